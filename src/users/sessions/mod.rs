//! Sessions: which device an access token belongs to, and how a session begins, goes on and ends.

mod devices;
mod last_seen;
mod lent;
mod suspension;
mod tokens;
mod upper_layers;

#[cfg(test)]
mod tests;

use std::sync::{Arc, atomic::AtomicU64};

use quick_cache::sync::Cache;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

pub(in crate::users) use self::devices::MAXIMUM_DISPLAY_NAME;
use self::last_seen::LastSeen;
pub use self::{
    devices::DeviceInfo,
    last_seen::Seen,
    tokens::{Grant, NewDevice, Refreshing},
};
use super::{
    accounts::Accounts,
    secrets::{self, TokenHash},
};
use crate::{
    clock::Clock,
    config,
    error::{Kind, Result},
    storage::{
        Batch, Snapshot, Store,
        schema::{
            moderation::SUSPENSIONS,
            users::{ACCESS_TOKENS, ACCOUNTS, Account, DEVICES, Role, SessionToken, Standing},
        },
        until_settled,
    },
    streams::Notifier,
};

/// How many sessions are kept in memory; a session takes about 300 bytes.
const CACHED_SESSIONS: usize = 20_000;

/// A cheap-clone service over the devices of all users and their tokens.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    accounts: Accounts,
    notifier: Notifier,
    clock: Clock,
    lifetimes: config::Sessions,
    /// Filled from what is visible, and emptied of what ended once that is visible: it never outlives the truth.
    cache: Arc<Cache<TokenHash, Arc<Session>>>,
    last_seen: LastSeen,
    belongings: &'static [DeviceBelonging],
}

/// Adds to a batch that something goes which belongs to a device of the user: what layers above this one keep for each
/// device, such as its keys, so that it is gone in the same commit as the device.
pub type DeviceBelonging = fn(&mut Batch, &UserId, &DeviceId);

/// A device that presented its access token.
#[derive(Debug)]
pub struct Session {
    /// Whose device it is.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// Whether the account is locked: nothing but logging out is allowed then.
    pub locked: bool,
    /// Whether the account is suspended: it may read and leave, and do little else.
    pub suspended: bool,
    /// Whether it is a guest's.
    pub guest: bool,
    /// When the access token stops working, in milliseconds since the Unix epoch.
    expires_at: Option<u64>,
    /// When the device was last noted as seen, in milliseconds since the Unix epoch.
    noted_at: AtomicU64,
}

impl Sessions {
    /// The sessions in `store` of the users in `accounts`, with token lifetimes as configured.
    pub fn new(
        store: Store,
        accounts: Accounts,
        notifier: Notifier,
        clock: Clock,
        lifetimes: config::Sessions,
    ) -> Self {
        let cache = Arc::new(Cache::new(CACHED_SESSIONS));
        Self { store, accounts, notifier, clock, lifetimes, cache, last_seen: LastSeen::default(), belongings: &[] }
    }

    /// The same sessions, whose devices take `belongings` along when they go.
    #[must_use]
    pub fn with_belongings(self, belongings: &'static [DeviceBelonging]) -> Self {
        Self { belongings, ..self }
    }

    /// Who wakes the clients of the sessions' users.
    pub(super) fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// The session of the access token `token`, which was presented from `seen`.
    ///
    /// Usually one look into memory; it writes only when a refreshed token is used for the first time.
    ///
    /// # Errors
    ///
    /// `UnknownToken` if there is no such token, with `soft_logout` if it has expired and its device has not.
    pub async fn authenticate(&self, token: &str, seen: Seen<'_>) -> Result<Arc<Session>> {
        let hash = secrets::hash(token);
        let session = match self.cache.get_value_or_guard_async(&hash).await {
            Ok(session) => session,
            Err(guard) => {
                let session = Arc::new(self.load(&hash).await?);
                // It is refused if the session ended meanwhile, which this one request then came before.
                let _ = guard.insert(session.clone());
                session
            }
        };
        let now = self.clock.millis();
        if session.expires_at.is_some_and(|end| end <= now) {
            return Err(Kind::UnknownToken { soft_logout: true }.with("The access token has expired."));
        }
        self.last_seen.note(&session, seen, now);
        Ok(session)
    }

    /// Locks the account of `user` until [`Sessions::unlock`]: its sessions stay, and can do nothing but end. See "Account
    /// locking" in the client-server specification.
    ///
    /// # Errors
    ///
    /// `NotFound` or `UserDeactivated` if there is nothing to lock.
    pub async fn lock(&self, user: &UserId) -> Result<()> {
        self.set_standing(user, Standing::Locked).await
    }

    /// Lets `user` use a locked account again.
    ///
    /// # Errors
    ///
    /// `NotFound` or `UserDeactivated` if there is nothing to unlock.
    pub async fn unlock(&self, user: &UserId) -> Result<()> {
        self.set_standing(user, Standing::Active).await
    }

    async fn set_standing(&self, user: &UserId, standing: Standing) -> Result<()> {
        until_settled(|| async move {
            let snapshot = self.store.snapshot();
            let account = self.accounts.for_update(&snapshot, user).await?;
            let mut batch = Batch::new();
            self.accounts.replace(&mut batch, user, &account, &Account { standing, ..account.clone() });
            self.uncache_all(&mut batch, &snapshot, user).await?;
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Has every session of `user` be read anew once `batch`, which changes what they may do, is visible.
    async fn uncache_all(&self, batch: &mut Batch, snapshot: &Snapshot, user: &UserId) -> Result<()> {
        for (_, device) in self.device_rows(snapshot, user).await? {
            let current = Some(device.tokens);
            current.into_iter().chain(device.refreshed).for_each(|tokens| self.uncache(batch, tokens.access));
        }
        Ok(())
    }

    /// Reads the session of an access token from the store.
    async fn load(&self, hash: &TokenHash) -> Result<Session> {
        let unknown = || Kind::UnknownToken { soft_logout: false }.with("The access token is not known.");
        until_settled(|| async move {
            let snapshot = self.store.snapshot();
            let token = ACCESS_TOKENS.get(&snapshot, (hash,)).await?.ok_or_else(unknown)?;
            let device = DEVICES.get(&snapshot, (&token.user_id, &token.device_id)).await?.ok_or_else(unknown)?;
            let account = ACCOUNTS.get(&snapshot, (&token.user_id,)).await?.ok_or_else(unknown)?;
            if device.refreshed.as_ref().is_some_and(|refreshed| refreshed.access == *hash) {
                self.settle_refresh(&token, &device).await?;
            }
            let SessionToken { user_id, device_id, expires_at } = token;
            let locked = account.standing == Standing::Locked;
            let guest = account.role == Role::Guest;
            let suspended = SUSPENSIONS.exists(&snapshot, (&user_id,)).await?;
            Ok(Session { user_id, device_id, locked, suspended, guest, expires_at, noted_at: AtomicU64::new(0) })
        })
        .await
    }

    /// Has an access token leave the cache once `batch`, which changes what it stands for, is visible.
    fn uncache(&self, batch: &mut Batch, access_token: TokenHash) {
        let cache = self.cache.clone();
        batch.on_visible(move |_| drop(cache.remove(&access_token)));
    }
}
