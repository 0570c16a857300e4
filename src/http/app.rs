//! What the handlers are served from: every service once, and how each is picked out by its type.

use std::sync::Arc;

use axum::extract::FromRef;

use super::{rate_limit::RateLimits, web_client::WebClient};
use crate::{
    appservices::Appservices,
    clock::Clock,
    config::Config,
    delivery::Bridges,
    encryption::{DehydratedDevices, Encryption, KeyBackups, Keys, ToDevice},
    federation::ServerKeys,
    media::{Media, Previews},
    presence::Presence,
    rooms::Rooms,
    search::{People, Search},
    shutdown::Shutdown,
    storage::Store,
    sync::Sync,
    users::{
        AccountData, Accounts, EmailValidations, Filters, InteractiveAuth, LoginTokens, OAuth, OpenIdTokens, Profiles,
        PushRules, Pushers, Registration, RegistrationTokens, Reports, Sessions, Tags, ThirdPartyIds,
        ThreadSubscriptions, Users,
    },
};

/// The services the handlers name in their signatures, shared by all requests.
///
/// A handler cannot see this: it asks for `State<Service>` and gets that one.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The services, built and handed over by the server.
pub struct Parts {
    /// The operator's choices.
    pub config: Arc<Config>,
    /// The current time.
    pub clock: Clock,
    /// The news that the server is stopping, which ends requests that wait.
    pub shutdown: Shutdown,
    /// Where everything is kept; handlers take snapshots of it for the services that read from one.
    pub store: Store,
    /// How often one client may ask.
    pub rate_limits: RateLimits,
    /// The keys that this server signs with.
    pub server_keys: ServerKeys,
    /// What belongs to one person.
    pub users: Users,
    /// Which bridges and bots are registered.
    pub appservices: Appservices,
    /// What they are told and asked.
    pub bridges: Bridges,
    /// Files and pictures.
    pub media: Media,
    /// What links lead to.
    pub previews: Previews,
    /// Rooms and what happens in them.
    pub rooms: Rooms,
    /// What devices need to encrypt for each other.
    pub encryption: Encryption,
    /// Who is online.
    pub presence: Presence,
    /// What changed for a device.
    pub sync: Sync,
    /// Finding messages.
    pub search: Search,
    /// Finding people.
    pub people: People,
    /// The files of a web client, if there is one.
    pub web_client: Option<WebClient>,
}

impl App {
    /// Shares `parts` with the handlers.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Whether clients can log in by the OAuth 2.0 API.
    pub(super) fn has_oauth(&self) -> bool {
        self.0.config.oauth.enabled
    }

    /// The largest request body that is read, in bytes.
    pub(super) fn max_body_size(&self) -> usize {
        self.0.config.limits.max_body_size.try_into().unwrap_or(usize::MAX)
    }
}

impl FromRef<App> for Arc<Config> {
    fn from_ref(app: &App) -> Self {
        app.0.config.clone()
    }
}

impl FromRef<App> for Clock {
    fn from_ref(app: &App) -> Self {
        app.0.clock.clone()
    }
}

impl FromRef<App> for Shutdown {
    fn from_ref(app: &App) -> Self {
        app.0.shutdown.clone()
    }
}

impl FromRef<App> for Store {
    fn from_ref(app: &App) -> Self {
        app.0.store.clone()
    }
}

impl FromRef<App> for Appservices {
    fn from_ref(app: &App) -> Self {
        app.0.appservices.clone()
    }
}

impl FromRef<App> for Bridges {
    fn from_ref(app: &App) -> Self {
        app.0.bridges.clone()
    }
}

impl FromRef<App> for Previews {
    fn from_ref(app: &App) -> Self {
        app.0.previews.clone()
    }
}

impl FromRef<App> for Media {
    fn from_ref(app: &App) -> Self {
        app.0.media.clone()
    }
}

impl FromRef<App> for ServerKeys {
    fn from_ref(app: &App) -> Self {
        app.0.server_keys.clone()
    }
}

impl FromRef<App> for Search {
    fn from_ref(app: &App) -> Self {
        app.0.search.clone()
    }
}

impl FromRef<App> for People {
    fn from_ref(app: &App) -> Self {
        app.0.people.clone()
    }
}

impl FromRef<App> for Rooms {
    fn from_ref(app: &App) -> Self {
        app.0.rooms.clone()
    }
}

impl FromRef<App> for Presence {
    fn from_ref(app: &App) -> Self {
        app.0.presence.clone()
    }
}

impl FromRef<App> for Sync {
    fn from_ref(app: &App) -> Self {
        app.0.sync.clone()
    }
}

impl FromRef<App> for RateLimits {
    fn from_ref(app: &App) -> Self {
        app.0.rate_limits.clone()
    }
}

impl FromRef<App> for Accounts {
    fn from_ref(app: &App) -> Self {
        app.0.users.accounts.clone()
    }
}

impl FromRef<App> for Sessions {
    fn from_ref(app: &App) -> Self {
        app.0.users.sessions.clone()
    }
}

impl FromRef<App> for Registration {
    fn from_ref(app: &App) -> Self {
        app.0.users.registration.clone()
    }
}

impl FromRef<App> for RegistrationTokens {
    fn from_ref(app: &App) -> Self {
        app.0.users.registration_tokens.clone()
    }
}

impl FromRef<App> for InteractiveAuth {
    fn from_ref(app: &App) -> Self {
        app.0.users.interactive_auth.clone()
    }
}

impl FromRef<App> for ThirdPartyIds {
    fn from_ref(app: &App) -> Self {
        app.0.users.third_party_ids.clone()
    }
}

impl FromRef<App> for EmailValidations {
    fn from_ref(app: &App) -> Self {
        app.0.users.email_validations.clone()
    }
}

impl FromRef<App> for LoginTokens {
    fn from_ref(app: &App) -> Self {
        app.0.users.login_tokens.clone()
    }
}

impl FromRef<App> for OAuth {
    fn from_ref(app: &App) -> Self {
        app.0.users.oauth.clone()
    }
}

impl FromRef<App> for OpenIdTokens {
    fn from_ref(app: &App) -> Self {
        app.0.users.openid_tokens.clone()
    }
}

impl FromRef<App> for Reports {
    fn from_ref(app: &App) -> Self {
        app.0.users.reports.clone()
    }
}

impl FromRef<App> for Profiles {
    fn from_ref(app: &App) -> Self {
        app.0.users.profiles.clone()
    }
}

impl FromRef<App> for AccountData {
    fn from_ref(app: &App) -> Self {
        app.0.users.account_data.clone()
    }
}

impl FromRef<App> for Tags {
    fn from_ref(app: &App) -> Self {
        app.0.users.tags.clone()
    }
}

impl FromRef<App> for PushRules {
    fn from_ref(app: &App) -> Self {
        app.0.users.push_rules.clone()
    }
}

impl FromRef<App> for Pushers {
    fn from_ref(app: &App) -> Self {
        app.0.users.pushers.clone()
    }
}

impl FromRef<App> for Filters {
    fn from_ref(app: &App) -> Self {
        app.0.users.filters.clone()
    }
}

impl FromRef<App> for ToDevice {
    fn from_ref(app: &App) -> Self {
        app.0.encryption.to_device.clone()
    }
}

impl FromRef<App> for Keys {
    fn from_ref(app: &App) -> Self {
        app.0.encryption.keys.clone()
    }
}

impl FromRef<App> for DehydratedDevices {
    fn from_ref(app: &App) -> Self {
        app.0.encryption.dehydrated.clone()
    }
}

impl FromRef<App> for KeyBackups {
    fn from_ref(app: &App) -> Self {
        app.0.encryption.key_backups.clone()
    }
}

impl FromRef<App> for ThreadSubscriptions {
    fn from_ref(app: &App) -> Self {
        app.0.users.thread_subscriptions.clone()
    }
}

impl FromRef<App> for Option<WebClient> {
    fn from_ref(app: &App) -> Self {
        app.0.web_client.clone()
    }
}
