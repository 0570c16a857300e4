//! Sessions in which an application service acts as one of its users ("Identity assertion").

use std::sync::{Arc, atomic::AtomicU64};

use ruma::{DeviceId, UserId};

use super::{Seen, Session, Sessions};
use crate::{
    error::{Error, Kind, Result},
    storage::{
        Batch, Snapshot,
        schema::users::{ACCOUNTS, DEVICES, Standing},
        until_settled,
    },
    users::accounts::require_usable,
};

impl Sessions {
    /// The session in which an application service acts as `user`, on a device if it names one. Without one the device's id
    /// is empty, which no device has, so that what needs a device finds none.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such user, `UserDeactivated` if the account cannot be used any more; `UnknownDevice` if the
    /// user has no such device.
    pub async fn lend(&self, user: &UserId, device: Option<&DeviceId>, seen: Seen<'_>) -> Result<Arc<Session>> {
        let snapshot = self.store.snapshot();
        let account = ACCOUNTS.get(&snapshot, (user,)).await?;
        let account = account.ok_or_else(|| Error::not_found("There is no such user on this server."))?;
        let locked = account.standing == Standing::Locked;
        if !locked {
            require_usable(&account)?;
        }
        if let Some(device) = device
            && (device.as_str().is_empty() || !DEVICES.exists(&snapshot, (user, device)).await?)
        {
            return Err(Kind::UnknownDevice.with("The user has no such device."));
        }
        let device_id = device.map_or_else(|| "".into(), ToOwned::to_owned);
        let noted_at = AtomicU64::new(0);
        let suspended = self.accounts.is_suspended(user).await?;
        let user_id = user.to_owned();
        let session = Session { user_id, device_id, locked, suspended, guest: false, expires_at: None, noted_at };
        if device.is_some() {
            self.last_seen.note(&session, seen, self.clock.millis());
        }
        Ok(Arc::new(session))
    }

    /// As [`Sessions::require_device`] for what belongs to the user and not to the device. An application service that acts
    /// without one needs none for it, but an account that can be used.
    ///
    /// # Errors
    ///
    /// `NotFound` if the user has no such device, or there is no such user; `UserDeactivated` if the account is closed.
    pub async fn require_origin(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        (user, device): (&UserId, &DeviceId),
    ) -> Result<()> {
        if !device.as_str().is_empty() {
            return self.require_device(batch, snapshot, user, device).await;
        }
        let account = self.accounts.for_update(snapshot, user).await?;
        self.accounts.require_unchanged(batch, user, &account);
        Ok(())
    }

    /// Makes a device of `user` that has no tokens, for the application service whose user it is.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the id or the name has not the right length; `Forbidden` if the user has such a device, or the id is
    /// reserved; `NotFound` or `UserDeactivated` if there is no such user.
    pub async fn add_device(&self, user: &UserId, device: &DeviceId, display_name: Option<String>) -> Result<()> {
        until_settled(|| async {
            let (snapshot, mut batch) = (self.store.snapshot(), Batch::new());
            let account = self.accounts.for_update(&snapshot, user).await?;
            self.accounts.require_unchanged(&mut batch, user, &account);
            self.add_without_tokens(&mut batch, &snapshot, (user, device), display_name.clone()).await?;
            self.store.commit(batch).await.map(drop)
        })
        .await
    }
}
