//! Builds the services, lowest layer first.

use std::{fs, sync::Arc};

use ruma::OwnedUserId;

use super::admin::Admin;
use crate::{
    appservices::Appservices,
    clock::Clock,
    config::{self, Config},
    delivery::{Bridges, Push, appservices, push},
    encryption::{self, Encryption},
    error::{Error, Result},
    federation::ServerKeys,
    http::{App, Parts, rate_limit::RateLimits, web_client::WebClient},
    matrix::signing::SigningKey,
    media::{Media, Previews},
    outgoing::Outgoing,
    presence::{self, Patience, Presence},
    rooms::{NoticeSettings, Rooms, Settings},
    search::{People, PeopleSettings, Search},
    shutdown::Shutdown,
    storage::{Durability, StorageOptions, Store},
    streams::{Ephemerals, Notifier},
    sync::{Sources, Sync},
    users::{GuestExpiry, Sessions, UserBelonging, Users},
};

/// What goes when an account ends, of all layers above accounts.
static USER_BELONGINGS: [UserBelonging; 3] =
    [encryption::USER_BELONGINGS[0], encryption::USER_BELONGINGS[1], presence::forget_user];

/// A server that is ready to be served, or to carry out an operator's command without being served.
pub struct Ready {
    /// What the HTTP handlers are served from.
    pub app: App,
    /// What operators' commands are carried out by.
    pub admin: Admin,
    /// Whose memory of when devices were last seen is to be written now and then.
    pub(super) sessions: Sessions,
    /// What ends guests in time.
    pub(super) guest_expiry: GuestExpiry,
    /// Whose clock has to be kept, so that people appear as away and as gone in time.
    pub(super) presence: Presence,
    /// Which has to be swept now and then.
    pub(super) media: Media,
    /// Whose old previews are removed now and then.
    pub(super) previews: Previews,
    /// What has to be kept up with what becomes of users, and with the time for those who are typing.
    pub(super) rooms: Rooms,
    /// What tells phones what happens.
    pub(super) push: Push,
    /// Whose index has to follow what is said.
    pub(super) search: Search,
    /// What tells bridges and bots what happens.
    pub(super) bridges: Bridges,
    /// Tells everyone who waits that the server is stopping.
    pub(super) shutdown: Shutdown,
    store: Store,
}

impl Ready {
    /// Opens the data folder and builds every service on it, as `config` wants them.
    ///
    /// # Errors
    ///
    /// Says what of the data folder cannot be used, or which choice of the operator cannot be met.
    pub async fn new(config: Arc<Config>) -> Result<Self> {
        super::install_tls_provider();
        let (key, clock, notifier) = (signing_key(&config)?, Clock::system(), Notifier::default());
        // What the operator may have written wrongly is read before the database is opened, which would have to be closed again.
        let appservices = Appservices::load(config.appservices.folder.as_deref(), &config.server_name)?;
        let (outgoing, web_client) = (Outgoing::new(&config.outgoing)?, WebClient::new(&config)?);
        let store = Store::open(&config.database(), &storage_options(&config.storage))?;
        let shutdown = Shutdown::default();
        let users = Users::new(&store, &notifier, &clock, &config, encryption::DEVICE_BELONGINGS)?
            .with_user_belongings(&USER_BELONGINGS)
            .with_appservices(&appservices);
        let inboxes = usize::try_from(config.limits.device_inbox).unwrap_or(usize::MAX);
        let encryption = Encryption::new(&store, &notifier, &clock, &users).with_inboxes_of(inboxes);
        let encryption = encryption.with_appservices(&appservices);
        let media = media(&config, &store, &clock, &shutdown)?;
        let previews =
            Previews::new(store.clone(), clock.clone(), media.clone(), outgoing.clone(), config.previews.clone());
        let server_keys = ServerKeys::new(config.server_name.clone(), key.clone(), clock.clone());
        let sender = users.prepare_server_account(&config.server_notices).await?;
        let settings = room_settings(&config, sender);
        // Positions of what is only in memory start anew with the process; the number tells clients which start is meant.
        let ephemerals = Ephemerals::new(rand::random());
        let rooms =
            Rooms::new(store.clone(), clock.clone(), notifier.clone(), ephemerals.clone(), &users, key, settings);
        let presence = Presence::load(
            store.clone(),
            clock.clone(),
            notifier.clone(),
            ephemerals.clone(),
            rooms.clone(),
            patience(&config.presence),
        )
        .await?;
        let bridged = bridge_sources(&appservices, &users, &encryption, &rooms, &presence);
        let waking = (notifier.clone(), ephemerals.clone());
        let reaching = (&outgoing, config.appservices.answer_timeout);
        let bridges = Bridges::new(store.clone(), clock.clone(), waking, shutdown.clone(), bridged, reaching);
        let told = push::Sources { rooms: rooms.clone(), pushers: users.pushers.clone(), outgoing };
        let push = Push::new(store.clone(), clock.clone(), notifier.clone(), shutdown.clone(), told, config.push.badge);
        let search = search(&config, &store, &rooms, &notifier, &shutdown)?;
        let people = people(&config, &store, &users, &rooms);
        let sources = sync_sources(&users, &encryption, &rooms, &presence);
        let sync = Sync::new(store.clone(), notifier, ephemerals, shutdown.clone(), sources);
        Ok(Self {
            sessions: users.sessions.clone(),
            guest_expiry: users.guest_expiry.clone(),
            admin: Admin::new(&users, rooms.clone(), clock.clone()).with_bridges(bridges.clone()),
            app: App::new(Parts {
                rate_limits: RateLimits::new(&config.limits),
                web_client,
                config,
                clock,
                shutdown: shutdown.clone(),
                store: store.clone(),
                server_keys,
                users,
                appservices,
                bridges: bridges.clone(),
                media: media.clone(),
                previews: previews.clone(),
                rooms: rooms.clone(),
                encryption,
                presence: presence.clone(),
                sync,
                search: search.clone(),
                people,
            }),
            media,
            previews,
            presence,
            rooms,
            push,
            search,
            bridges,
            shutdown,
            store,
        })
    }

    /// Finishes what is being written and closes the database.
    pub async fn close(self) {
        self.store.close().await;
    }
}

/// What syncs read from.
fn sync_sources(users: &Users, encryption: &Encryption, rooms: &Rooms, presence: &Presence) -> Sources {
    Sources {
        rooms: rooms.clone(),
        account_data: users.account_data.clone(),
        presence: presence.clone(),
        to_device: encryption.to_device.clone(),
        keys: encryption.keys.clone(),
        thread_subscriptions: users.thread_subscriptions.clone(),
    }
}

fn media(config: &Config, store: &Store, clock: &Clock, shutdown: &Shutdown) -> Result<Media> {
    let (server_name, settings) = (config.server_name.clone(), config.media.clone());
    Media::new(store.clone(), clock.clone(), shutdown.clone(), server_name, settings, &config.media_folder())
}

fn search(config: &Config, store: &Store, rooms: &Rooms, notifier: &Notifier, shutdown: &Shutdown) -> Result<Search> {
    let (store, rooms, notifier, shutdown) = (store.clone(), rooms.clone(), notifier.clone(), shutdown.clone());
    Search::new(&config.search, &config.search_folder(), store, rooms, notifier, shutdown)
}

fn people(config: &Config, store: &Store, users: &Users, rooms: &Rooms) -> People {
    let settings = PeopleSettings { everyone: config.user_directory.show_all_users };
    People::new(store.clone(), users.accounts.clone(), users.profiles.clone(), rooms.clone(), settings)
}

/// What application services are told of.
fn bridge_sources(
    appservices: &Appservices,
    users: &Users,
    encryption: &Encryption,
    rooms: &Rooms,
    presence: &Presence,
) -> appservices::Sources {
    appservices::Sources {
        appservices: appservices.clone(),
        accounts: users.accounts.clone(),
        sessions: users.sessions.clone(),
        rooms: rooms.clone(),
        presence: presence.clone(),
        to_device: encryption.to_device.clone(),
        keys: encryption.keys.clone(),
    }
}

/// What the operator decides about rooms, where the server itself speaks as `sender`.
pub(super) fn room_settings(config: &Config, sender: OwnedUserId) -> Settings {
    let config::ServerNotices { room_name, avatar_url, .. } = config.server_notices.clone();
    Settings {
        server_name: config.server_name.clone(),
        default_version: config.rooms.default_version.clone(),
        default_history_visibility: config.rooms.default_history_visibility,
        server_notices: NoticeSettings { sender, room_name, avatar_url },
    }
}

/// Reads the key that `commonroom init` made.
///
/// # Errors
///
/// Says which file cannot be used and why.
pub(super) fn signing_key(config: &Config) -> Result<SigningKey> {
    let file = config.signing_key_file();
    let text = fs::read_to_string(&file).map_err(|e| {
        Error::internal(format!("cannot read the signing key {}: {e}; `commonroom init` makes one", file.display()))
    })?;
    SigningKey::parse(&text).map_err(|e| Error::invalid(format!("{}: {e}", file.display())))
}

/// How long people may be idle and absent, unless the operator wants no presence at all.
fn patience(chosen: &config::Presence) -> Option<Patience> {
    let config::Presence { enabled, away_after, offline_after } = *chosen;
    enabled.then_some(Patience { away_after, offline_after })
}

fn storage_options(chosen: &config::Storage) -> StorageOptions {
    StorageOptions {
        durability: match chosen.durability {
            config::Durability::Fsync => Durability::Fsync,
            config::Durability::Relaxed => Durability::Relaxed { interval: chosen.relaxed_interval },
        },
        block_cache_bytes: chosen.block_cache.try_into().unwrap_or(usize::MAX),
    }
}
