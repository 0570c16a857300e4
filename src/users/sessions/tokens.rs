//! The tokens of a session: given out when it begins and exchanged for new ones ("Refreshing access tokens").

use std::time::Duration;

use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use super::Sessions;
use crate::{
    error::{Error, Kind, Result},
    storage::{
        Batch, Snapshot,
        schema::users::{ACCESS_TOKENS, DEVICES, Device, DeviceTokens, REFRESH_TOKENS, SessionToken},
        until_settled,
    },
    users::{
        accounts::require_usable,
        oauth,
        secrets::{self, Token, TokenHash},
    },
};

/// The longest device id in bytes. The specification sets no limit; this one is that of other identifiers.
const MAXIMUM_DEVICE_ID: usize = 255;

/// The device that logs in, as its client describes it.
#[derive(Clone, Debug, Default)]
pub struct NewDevice {
    /// The id, of a device that logs in again or of a new one; `None` has the server choose.
    pub device_id: Option<OwnedDeviceId>,
    /// The name, if the device is new.
    pub display_name: Option<String>,
    /// What the client can do with tokens.
    pub refreshing: Refreshing,
}

/// Whether a client exchanges its tokens for new ones from time to time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refreshing {
    /// It does not, so that its access token lives until it logs out.
    #[default]
    Unsupported,
    /// It does, so that its access token may expire.
    Supported,
}

/// The tokens of a session, on their way to the client.
#[derive(Debug)]
pub struct Grant {
    /// Whose session it is.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// What the client shows with every request.
    pub access_token: Token,
    /// What it gets the next tokens for, if it refreshes them.
    pub refresh_token: Option<Token>,
    /// How long the access token works; `None` is until the session ends.
    pub expires_in: Option<Duration>,
}

impl Sessions {
    /// Begins a session of `user` on `device`, which ends the session that the device had.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the device id is empty or longer than 255 bytes; `Forbidden` if it is reserved; `NotFound`, `UserDeactivated` or `UserLocked` if
    /// the account cannot be used.
    pub async fn start(&self, user: &UserId, device: NewDevice) -> Result<Grant> {
        until_settled(|| async {
            let mut batch = Batch::new();
            let grant = self.start_in(&mut batch, &self.store.snapshot(), user, &device).await?;
            self.store.commit(batch).await?;
            Ok(grant)
        })
        .await
    }

    /// Adds to `batch` the start of a session, as [`Sessions::start`] does; its slot 0 tells of a new device.
    ///
    /// The commit fails with `Conflict` if the account or the device changes after `snapshot`.
    ///
    /// # Errors
    ///
    /// As [`Sessions::start`].
    pub(in crate::users) async fn start_in(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        device: &NewDevice,
    ) -> Result<Grant> {
        let device_id = device.device_id.clone().unwrap_or_else(DeviceId::new);
        check_id(&device_id)?;
        let device_id = &*device_id;
        let account = self.accounts.for_update(snapshot, user).await?;
        require_usable(&account)?;
        let before = DEVICES.get(snapshot, (user, device_id)).await?;

        // A deactivation that comes first must not leave this session behind.
        self.accounts.require_unchanged(batch, user, &account);
        let (grant, tokens) = self.grant(batch, user, device_id, device.refreshing);
        let display_name = match &before {
            Some(Device { tokens: DeviceTokens::NONE, .. }) => {
                return Err(Error::forbidden("This is the id of a device that is not there to log in."));
            }
            Some(before) => {
                self.revoke(batch, before);
                oauth::forget_session(batch, snapshot, user, device_id).await?;
                before.display_name.clone()
            }
            None => {
                self.require_free_id(batch, snapshot, user, device_id).await?;
                self.announce_devices(batch, user);
                device.display_name.clone()
            }
        };
        DEVICES.expect(batch, (user, device_id), before.as_ref());
        DEVICES.put(batch, (user, device_id), &Device { display_name, tokens, refreshed: None });
        Ok(grant)
    }

    /// Whose session `token` belongs to, an access token or a refresh token, expired or not.
    pub(in crate::users) async fn holder(&self, token: &str) -> Result<Option<(OwnedUserId, OwnedDeviceId)>> {
        let (hash, snapshot) = (secrets::hash(token), self.store.snapshot());
        let row = match ACCESS_TOKENS.get(&snapshot, (hash,)).await? {
            None => REFRESH_TOKENS.get(&snapshot, (hash,)).await?,
            found => found,
        };
        Ok(row.map(|row| (row.user_id, row.device_id)))
    }

    /// Whose session the refresh token `token` belongs to, expired or not.
    pub(in crate::users) async fn refresher(&self, token: &str) -> Result<Option<(OwnedUserId, OwnedDeviceId)>> {
        let row = REFRESH_TOKENS.get(&self.store.snapshot(), (secrets::hash(token),)).await?;
        Ok(row.map(|row| (row.user_id, row.device_id)))
    }

    /// Exchanges a refresh token for new tokens. The old ones work until the first of the new ones is used, so that a
    /// client which never got the answer can ask again.
    ///
    /// # Errors
    ///
    /// `UnknownToken` if there is no such refresh token, with `soft_logout` if it has expired and its device has not;
    /// `UserLocked` if the account is locked.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Grant> {
        let hash = secrets::hash(refresh_token);
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let (SessionToken { user_id, device_id, .. }, before) = self.find_refresh_token(&snapshot, &hash).await?;
            require_usable(&self.accounts.for_update(&snapshot, &user_id).await?)?;

            let mut batch = Batch::new();
            let (grant, new) = self.grant(&mut batch, &user_id, &device_id, Refreshing::Supported);
            // A client that presents refreshed tokens has them, and no more needs those before; a client that presents
            // those before never got the refreshed ones.
            let (kept, dropped) = match before.refreshed.clone() {
                Some(refreshed) if refreshed.refresh == Some(hash) => (refreshed, Some(before.tokens.clone())),
                refreshed => (before.tokens.clone(), refreshed),
            };
            dropped.into_iter().for_each(|tokens| self.revoke_tokens(&mut batch, &tokens));
            let after = Device { tokens: kept, refreshed: Some(new), ..before.clone() };
            DEVICES.expect(&mut batch, (&user_id, &device_id), Some(&before));
            DEVICES.put(&mut batch, (&user_id, &device_id), &after);
            self.store.commit(batch).await?;
            Ok(grant)
        })
        .await
    }

    /// Records that the client has the refreshed tokens of `device`, one of which is `token`: those before them end.
    pub(super) async fn settle_refresh(&self, token: &SessionToken, device: &Device) -> Result<()> {
        let Some(refreshed) = device.refreshed.clone() else { return Ok(()) };
        let mut batch = Batch::new();
        let key = (&token.user_id, &token.device_id);
        self.revoke_tokens(&mut batch, &device.tokens);
        DEVICES.expect(&mut batch, key, Some(device));
        DEVICES.put(&mut batch, key, &Device { tokens: refreshed, refreshed: None, ..device.clone() });
        self.store.commit(batch).await.map(drop)
    }

    /// Ends every token of `device` with `batch`.
    pub(super) fn revoke(&self, batch: &mut Batch, device: &Device) {
        self.revoke_tokens(batch, &device.tokens);
        device.refreshed.iter().for_each(|tokens| self.revoke_tokens(batch, tokens));
    }

    fn revoke_tokens(&self, batch: &mut Batch, tokens: &DeviceTokens) {
        ACCESS_TOKENS.delete(batch, (&tokens.access,));
        tokens.refresh.iter().for_each(|refresh| REFRESH_TOKENS.delete(batch, (refresh,)));
        self.uncache(batch, tokens.access);
    }

    /// Makes the tokens of a session, as the client and as the store gets them.
    fn grant(
        &self,
        batch: &mut Batch,
        user: &UserId,
        device: &DeviceId,
        refreshing: Refreshing,
    ) -> (Grant, DeviceTokens) {
        let refreshes = refreshing == Refreshing::Supported;
        let expires_in = refreshes.then_some(self.lifetimes.access_token_lifetime);
        let refresh_token = refreshes.then(|| Token::generate("refresh"));
        let access_token = Token::generate("access");
        let tokens = DeviceTokens { access: access_token.hash(), refresh: refresh_token.as_ref().map(Token::hash) };

        let now = self.clock.millis();
        let row = |lifetime: Option<Duration>| SessionToken {
            user_id: user.to_owned(),
            device_id: device.to_owned(),
            expires_at: lifetime.map(|lifetime| now.saturating_add(lifetime.as_millis() as u64)),
        };
        ACCESS_TOKENS.put(batch, (&tokens.access,), &row(expires_in));
        if let Some(refresh) = &tokens.refresh {
            REFRESH_TOKENS.put(batch, (refresh,), &row(Some(self.lifetimes.refresh_token_lifetime)));
        }
        let (user_id, device_id) = (user.to_owned(), device.to_owned());
        (Grant { user_id, device_id, access_token, refresh_token, expires_in }, tokens)
    }

    /// The row of a refresh token that still works, and its device.
    async fn find_refresh_token(&self, snapshot: &Snapshot, hash: &TokenHash) -> Result<(SessionToken, Device)> {
        let unknown = || Kind::UnknownToken { soft_logout: false }.with("The refresh token is not known.");
        let token = REFRESH_TOKENS.get(snapshot, (hash,)).await?.ok_or_else(unknown)?;
        if token.expires_at.is_some_and(|end| end <= self.clock.millis()) {
            return Err(Kind::UnknownToken { soft_logout: true }.with("The refresh token has expired."));
        }
        let device = DEVICES.get(snapshot, (&token.user_id, &token.device_id)).await?.ok_or_else(unknown)?;
        Ok((token, device))
    }
}

/// Checks the id of a new device.
///
/// # Errors
///
/// `InvalidParam` if it is empty or longer than 255 bytes.
pub(super) fn check_id(id: &DeviceId) -> Result<()> {
    if !(1..=MAXIMUM_DEVICE_ID).contains(&id.as_str().len()) {
        return Err(Error::invalid("A device id has at least one and at most 255 bytes."));
    }
    Ok(())
}
