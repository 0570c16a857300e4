//! Pushers: where a user's devices want to be told of what happens while they are not connected.
//!
//! They are kept here and go with their devices; telling them is for whoever follows the log.

use ruma::{
    DeviceId, OwnedUserId, UserId,
    api::client::push::{Pusher, PusherIds, PusherKind},
};

use crate::{
    clock::Clock,
    error::{Error, Result},
    storage::{
        Batch, Direction, KeyRange, Position, Snapshot, Stamped, Store,
        schema::users::{DEVICES, PUSHER_OWNERS, PUSHERS, PUSHERS_SET},
        until_settled,
    },
    streams::{Change, Log, Notifier},
};

/// The longest app id, in characters.
const MAXIMUM_APP_ID: usize = 64;
/// The longest pushkey, in bytes.
const MAXIMUM_PUSHKEY: usize = 512;
/// The most pushers of one user, since each is called for every message.
const MAXIMUM_PUSHERS: usize = 100;
/// The largest pusher as JSON, in bytes, since what the client set for the gateway goes with every message.
const MAXIMUM_SIZE: usize = 16 << 10;
/// The one path that a push gateway has.
const GATEWAY_PATH: &str = "_matrix/push/v1/notify";

/// A cheap-clone service over the pushers of all users.
#[derive(Clone)]
pub struct Pushers {
    store: Store,
    notifier: Notifier,
    clock: Clock,
    encryption: GatewayEncryption,
}

/// Whether push gateways must be reached over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayEncryption {
    /// They must.
    Required,
    /// They may be reached without.
    Optional,
}

/// A pusher with what the server knows of it.
#[derive(Clone, Debug)]
pub struct KeptPusher {
    /// The pusher as the client set it.
    pub pusher: Pusher,
    /// When it was last set, in milliseconds since the Unix epoch.
    pub set_at: u64,
    /// The position from which on it is told of events.
    pub since: Position,
}

/// What becomes of the pushers that other users have with the same app id and pushkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherUsers {
    /// They stay: several users share the app.
    Keep,
    /// They go: the app has another user now.
    Replace,
}

impl Pushers {
    /// The pushers in `store`.
    pub fn new(store: Store, notifier: Notifier, clock: Clock, encryption: GatewayEncryption) -> Self {
        Self { store, notifier, clock, encryption }
    }

    /// The pushers of `user` as of `snapshot`, on whatever devices.
    pub async fn of(&self, snapshot: &Snapshot, user: &UserId) -> Result<Vec<Pusher>> {
        let rows = PUSHERS.scan(snapshot, KeyRange::prefix((user,)), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|(_, pusher)| pusher).collect())
    }

    /// As [`Pushers::of`], as of now.
    pub async fn current(&self, user: &UserId) -> Result<Vec<Pusher>> {
        self.of(&self.store.snapshot(), user).await
    }

    /// The ids of the pushers of all users as of `snapshot`.
    pub async fn all(&self, snapshot: &Snapshot) -> Result<Vec<(OwnedUserId, PusherIds)>> {
        let rows = PUSHERS_SET.scan(snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await?;
        let ids = |((user, _, app_id, pushkey), _)| (user, PusherIds::new(pushkey, app_id));
        Ok(rows.into_iter().map(ids).collect())
    }

    /// One pusher of `user` as of `snapshot`.
    ///
    /// One that was set before this server knew how to call gateways is not found; its app sets it again when it starts.
    pub async fn find(&self, snapshot: &Snapshot, user: &UserId, ids: &PusherIds) -> Result<Option<KeptPusher>> {
        let PusherIds { app_id, pushkey, .. } = ids;
        let Some(device) = PUSHER_OWNERS.get(snapshot, (app_id, pushkey, user)).await? else { return Ok(None) };
        let key = || (user, &*device, app_id, pushkey);
        let pusher = PUSHERS.get(snapshot, key()).await?;
        let set = PUSHERS_SET.get(snapshot, key()).await?;
        let (Some(pusher), Some(Stamped { at: since, value: set_at })) = (pusher, set) else { return Ok(None) };
        Ok(Some(KeptPusher { pusher, set_at, since }))
    }

    /// Adds a pusher of `user` on `device`, or replaces the one with its app id and pushkey. It is told of what happens from
    /// now on; one that is replaced goes on where it was.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the app id, the pushkey or all of it is too long, if it is not the HTTPS address of a push gateway, or if the
    /// user has too many pushers; `NotFound` if the device is gone.
    pub async fn set(&self, user: &UserId, device: &DeviceId, pusher: &Pusher, others: OtherUsers) -> Result<()> {
        self.check(pusher)?;
        let PusherIds { app_id, pushkey, .. } = &pusher.ids;
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let session = DEVICES.get(&snapshot, (user, device)).await?;
            let session = session.ok_or_else(|| Error::not_found("You have no such device."))?;
            let mut batch = Batch::new();
            // A device that ends at this moment must take this pusher along.
            DEVICES.expect(&mut batch, (user, device), Some(&session));
            let range = KeyRange::prefix((app_id, pushkey));
            let owners = PUSHER_OWNERS.scan(&snapshot, range, Direction::Forward, usize::MAX).await?;
            let mut since = None;
            for ((_, _, owner), owners_device) in owners {
                if owner != user && others == OtherUsers::Keep {
                    continue;
                }
                let key = || (&*owner, &*owners_device, app_id, pushkey);
                if owner == user {
                    let before = PUSHERS_SET.get(&snapshot, key()).await?;
                    PUSHERS_SET.expect(&mut batch, key(), before.as_ref());
                    since = before.map(|before| before.at);
                }
                PUSHERS.delete(&mut batch, key());
                PUSHERS_SET.delete(&mut batch, key());
                PUSHER_OWNERS.delete(&mut batch, (app_id, pushkey, &owner));
            }
            if since.is_none() {
                self.check_number(&snapshot, user).await?;
            }
            PUSHERS.put(&mut batch, (user, device, app_id, pushkey), pusher);
            let set = Stamped { at: since.unwrap_or(Position::pending(0)), value: self.clock.millis() };
            PUSHERS_SET.put(&mut batch, (user, device, app_id, pushkey), &set);
            PUSHER_OWNERS.put(&mut batch, (app_id, pushkey, user), &device.to_owned());
            self.announce(&mut batch, user);
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Removes a pusher of `user`, if there is one with these ids.
    pub async fn remove(&self, user: &UserId, ids: &PusherIds) -> Result<()> {
        let PusherIds { app_id, pushkey, .. } = ids;
        let Some(device) = PUSHER_OWNERS.get(&self.store.snapshot(), (app_id, pushkey, user)).await? else {
            return Ok(());
        };
        let mut batch = Batch::new();
        PUSHERS.delete(&mut batch, (user, &device, app_id, pushkey));
        PUSHERS_SET.delete(&mut batch, (user, &device, app_id, pushkey));
        PUSHER_OWNERS.delete(&mut batch, (app_id, pushkey, user));
        self.announce(&mut batch, user);
        self.store.commit(batch).await.map(drop)
    }

    /// Tells those who call gateways that the pushers of `user` change with `batch`, at its slot 0.
    fn announce(&self, batch: &mut Batch, user: &UserId) {
        Log::append(batch, 0, &Change::Pushers { user: user.to_owned() });
        let (notifier, user) = (self.notifier.clone(), user.to_owned());
        batch.on_visible(move |_| {
            // The first wakes those who follow the log, the second those who had no reason to.
            notifier.wake(&user);
            notifier.wake_chores();
        });
    }

    async fn check_number(&self, snapshot: &Snapshot, user: &UserId) -> Result<()> {
        let rows = PUSHERS.scan(snapshot, KeyRange::prefix((user,)), Direction::Forward, MAXIMUM_PUSHERS).await?;
        match rows.len() < MAXIMUM_PUSHERS {
            true => Ok(()),
            false => Err(Error::invalid("You have 100 pushers, which is the most there can be: remove one first.")),
        }
    }

    fn check(&self, pusher: &Pusher) -> Result<()> {
        if pusher.ids.app_id.chars().count() > MAXIMUM_APP_ID {
            return Err(Error::invalid("An app id has at most 64 characters."));
        }
        if pusher.ids.pushkey.len() > MAXIMUM_PUSHKEY {
            return Err(Error::invalid("A pushkey has at most 512 bytes."));
        }
        if serde_json::to_vec(pusher).map_err(Error::internal)?.len() > MAXIMUM_SIZE {
            return Err(Error::invalid("A pusher has at most 16 KiB as JSON."));
        }
        match &pusher.kind {
            PusherKind::Http(data) if self.may_call(&data.url) => Ok(()),
            PusherKind::Http(_) => Err(Error::invalid(
                "The URL of a push gateway starts with https:// and has the path /_matrix/push/v1/notify.",
            )),
            _ => Err(Error::invalid("This server has pushers of the kind \"http\" only.")),
        }
    }

    /// Whether `url` can be that of a push gateway, and the operator lets it be called.
    pub fn may_call(&self, url: &str) -> bool {
        let plain = || url.strip_prefix("http://").filter(|_| self.encryption == GatewayEncryption::Optional);
        let host_and_path = url.strip_prefix("https://").or_else(plain).and_then(|rest| rest.split_once('/'));
        host_and_path.is_some_and(|(host, path)| {
            !host.is_empty() && path.split_once(['?', '#']).map_or(path, |(path, _)| path) == GATEWAY_PATH
        })
    }
}

/// Adds to `batch` that every pusher of a device of `user` goes.
pub(super) async fn forget(batch: &mut Batch, snapshot: &Snapshot, user: &UserId, device: &DeviceId) -> Result<()> {
    let range = || KeyRange::prefix((user, device));
    for ((_, _, app_id, pushkey), _) in PUSHERS.scan(snapshot, range(), Direction::Forward, usize::MAX).await? {
        PUSHER_OWNERS.delete(batch, (&app_id, &pushkey, user));
    }
    // By range, so that those go too that came after the snapshot.
    PUSHERS.delete_range(batch, range());
    PUSHERS_SET.delete_range(batch, range());
    Ok(())
}

#[cfg(test)]
mod tests;
