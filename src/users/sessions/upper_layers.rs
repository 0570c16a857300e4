//! Devices as the layers above use them in batches of their own: what they keep for a device must come and go with it.

use ruma::{DeviceId, OwnedDeviceId, UserId};

use super::{Sessions, devices::MAXIMUM_DISPLAY_NAME, tokens::check_id};
use crate::{
    error::{Error, Result},
    storage::{
        Batch, KeyRange, Snapshot,
        schema::users::{DEVICES, Device, DeviceTokens, RESERVED_DEVICE_IDS},
    },
};

impl Sessions {
    /// The devices of `user` with their names.
    pub async fn device_names(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
    ) -> Result<Vec<(OwnedDeviceId, Option<String>)>> {
        let rows = self.device_rows(snapshot, user).await?;
        Ok(rows.into_iter().map(|(device_id, device)| (device_id, device.display_name)).collect())
    }

    /// Adds to `batch` a new device of `user` that has no tokens; its slot 0 tells of it.
    ///
    /// # Errors
    ///
    /// `Forbidden` if the user has a device with this id, or the id is reserved.
    pub async fn add_without_tokens(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        (user, device_id): (&UserId, &DeviceId),
        display_name: Option<String>,
    ) -> Result<()> {
        check_id(device_id)?;
        if display_name.as_ref().is_some_and(|name| name.chars().count() > MAXIMUM_DISPLAY_NAME) {
            return Err(Error::invalid("The name of a device has at most 100 characters."));
        }
        self.require_free_id(batch, snapshot, user, device_id).await?;
        if DEVICES.exists(snapshot, (user, device_id)).await? {
            return Err(Error::forbidden("You have a device with this id already."));
        }
        DEVICES.expect(batch, (user, device_id), None);
        let device = Device { display_name, tokens: DeviceTokens::NONE, refreshed: None };
        DEVICES.put(batch, (user, device_id), &device);
        self.announce_devices(batch, user);
        Ok(())
    }

    /// Adds to `batch` that a device of `user` ends; its slots from 0 on tell of it.
    pub async fn remove_device(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        device: &DeviceId,
    ) -> Result<()> {
        self.end_in(batch, snapshot, user, |ending| ending == device).await.map(drop)
    }

    /// Adds to `batch` that no device of `user` gets the id `name` from now on.
    ///
    /// # Errors
    ///
    /// `Forbidden` if the user has such a device.
    pub async fn reserve_device_id(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        name: &str,
    ) -> Result<()> {
        let id: &DeviceId = name.into();
        if DEVICES.exists(snapshot, (user, id)).await? {
            return Err(Error::forbidden("The id of one of your devices is the same as this key."));
        }
        DEVICES.expect(batch, (user, id), None);
        RESERVED_DEVICE_IDS.put(batch, (user, id), &());
        Ok(())
    }

    /// Adds to `batch` that devices of `user` may have the id `name` again.
    pub fn release_device_id(&self, batch: &mut Batch, user: &UserId, name: &str) {
        let id: &DeviceId = name.into();
        RESERVED_DEVICE_IDS.delete(batch, (user, id));
    }

    /// Adds to `batch` the condition that `id` is not reserved.
    pub(super) async fn require_free_id(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        id: &DeviceId,
    ) -> Result<()> {
        if RESERVED_DEVICE_IDS.exists(snapshot, (user, id)).await? {
            return Err(Error::forbidden("This device id is the same as one of your cross-signing keys."));
        }
        RESERVED_DEVICE_IDS.expect(batch, (user, id), None);
        Ok(())
    }

    /// Adds to `batch` that devices of `user` may have any id again.
    pub(in crate::users) fn release_device_ids(&self, batch: &mut Batch, user: &UserId) {
        RESERVED_DEVICE_IDS.delete_range(batch, KeyRange::prefix((user,)));
    }
}
