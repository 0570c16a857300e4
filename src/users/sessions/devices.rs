//! The devices of a user as the user manages them ("Device Management"), and the end of sessions.

use ruma::{DeviceId, OwnedDeviceId, UserId};

use super::Sessions;
use crate::{
    error::{Error, Result},
    storage::{
        Batch, Direction, KeyRange, Snapshot,
        schema::users::{DEVICE_AGENTS, DEVICES, DEVICES_SEEN, Device, DeviceSeen},
        until_settled,
    },
    streams::{Change, Log},
    users::{local_notifications, oauth, pushers},
};

/// The longest name of a device, in characters.
pub(in crate::users) const MAXIMUM_DISPLAY_NAME: usize = 100;

/// What a user is told about one of their devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The device.
    pub device_id: OwnedDeviceId,
    /// Its name.
    pub display_name: Option<String>,
    /// When and from where it was last seen, to the minute.
    pub last_seen: Option<DeviceSeen>,
    /// What program it ran then, as it names itself.
    pub user_agent: Option<String>,
}

impl Sessions {
    /// The devices of `user` in the order of their ids.
    pub async fn devices(&self, user: &UserId) -> Result<Vec<DeviceInfo>> {
        let snapshot = self.store.snapshot();
        let rows = self.device_rows(&snapshot, user).await?;
        let seen = DEVICES_SEEN.get_many(&snapshot, rows.iter().map(|(device_id, _)| (user, device_id))).await?;
        let agents = DEVICE_AGENTS.get_many(&snapshot, rows.iter().map(|(device_id, _)| (user, device_id))).await?;
        let kept = seen.into_iter().zip(agents);
        let infos = rows.into_iter().zip(kept).map(|((id, device), kept)| self.info(user, id, device, kept));
        Ok(infos.collect())
    }

    /// One device of `user`.
    ///
    /// # Errors
    ///
    /// `NotFound` if the user has no such device.
    pub async fn device(&self, user: &UserId, device_id: &DeviceId) -> Result<DeviceInfo> {
        let snapshot = self.store.snapshot();
        let device = DEVICES.get(&snapshot, (user, device_id)).await?.ok_or_else(no_such_device)?;
        let seen = DEVICES_SEEN.get(&snapshot, (user, device_id)).await?;
        let agent = DEVICE_AGENTS.get(&snapshot, (user, device_id)).await?;
        Ok(self.info(user, device_id.to_owned(), device, (seen, agent)))
    }

    /// What is known of a device, of which this is `kept` and more may be in memory.
    fn info(
        &self,
        user: &UserId,
        device_id: OwnedDeviceId,
        device: Device,
        kept: (Option<DeviceSeen>, Option<String>),
    ) -> DeviceInfo {
        let noted = self.last_seen.of(user, &device_id).map(|noted| (Some(noted.seen), noted.user_agent));
        let (last_seen, user_agent) = noted.unwrap_or(kept);
        DeviceInfo { device_id, display_name: device.display_name, last_seen, user_agent }
    }

    /// The devices of `user` as of `snapshot` for which `wanted` says so; the commit of `batch` fails with `Conflict` if one
    /// of them ends or changes before.
    pub async fn hold_devices(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        wanted: impl Fn(&DeviceId) -> bool,
    ) -> Result<Vec<OwnedDeviceId>> {
        let mut rows = self.device_rows(snapshot, user).await?;
        rows.retain(|(device_id, _)| wanted(device_id));
        rows.iter().for_each(|(device_id, device)| DEVICES.expect(batch, (user, device_id), Some(device)));
        Ok(rows.into_iter().map(|(device_id, _)| device_id).collect())
    }

    /// Adds to `batch` the condition that the device does not change after `snapshot`, so that one which ends at this moment
    /// leaves nothing behind.
    ///
    /// # Errors
    ///
    /// `NotFound` if the user has no such device.
    pub async fn require_device(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        device: &DeviceId,
    ) -> Result<()> {
        let row = DEVICES.get(snapshot, (user, device)).await?.ok_or_else(no_such_device)?;
        DEVICES.expect(batch, (user, device), Some(&row));
        Ok(())
    }

    /// Gives a device of `user` another name.
    ///
    /// # Errors
    ///
    /// `NotFound` if the user has no such device, `InvalidParam` if the name is longer than 100 characters.
    pub async fn rename_device(&self, user: &UserId, device_id: &DeviceId, display_name: &str) -> Result<()> {
        if display_name.chars().count() > MAXIMUM_DISPLAY_NAME {
            return Err(Error::invalid("The name of a device has at most 100 characters."));
        }
        until_settled(|| async {
            let before = DEVICES.get(&self.store.snapshot(), (user, device_id)).await?.ok_or_else(no_such_device)?;
            let after = Device { display_name: Some(display_name.to_owned()), ..before.clone() };
            let mut batch = Batch::new();
            DEVICES.expect(&mut batch, (user, device_id), Some(&before));
            DEVICES.put(&mut batch, (user, device_id), &after);
            self.announce_devices(&mut batch, user);
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Ends the sessions of `user` on `devices` and forgets these; those that the user does not have are skipped.
    pub async fn end(&self, user: &UserId, devices: &[OwnedDeviceId]) -> Result<()> {
        self.end_those(user, |device| devices.iter().any(|ending| ending == device)).await
    }

    /// Ends every session of `user` and forgets their devices.
    pub async fn end_all(&self, user: &UserId) -> Result<()> {
        self.end_those(user, |_| true).await
    }

    async fn end_those(&self, user: &UserId, ending: impl Fn(&DeviceId) -> bool) -> Result<()> {
        until_settled(|| async {
            let mut batch = Batch::new();
            self.end_in(&mut batch, &self.store.snapshot(), user, &ending).await?;
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Adds to `batch` the end of the sessions of `user` on the devices for which `ending` says so; uses its slots up to the
    /// one that it gives, which is the next free one.
    ///
    /// The commit fails with `Conflict` if one of those devices changes after `snapshot`.
    pub(in crate::users) async fn end_in(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        ending: impl Fn(&DeviceId) -> bool,
    ) -> Result<u16> {
        let mut slot = 1;
        let mut rows = self.device_rows(snapshot, user).await?;
        rows.retain(|(device_id, _)| ending(device_id));
        for (device_id, device) in &rows {
            DEVICES.expect(batch, (user, device_id), Some(device));
            DEVICES.delete(batch, (user, device_id));
            DEVICES_SEEN.delete(batch, (user, device_id));
            DEVICE_AGENTS.delete(batch, (user, device_id));
            self.revoke(batch, device);
            oauth::forget_session(batch, snapshot, user, device_id).await?;
            pushers::forget(batch, snapshot, user, device_id).await?;
            slot = local_notifications::forget(batch, snapshot, slot, user, device_id).await?;
            self.belongings.iter().for_each(|forget| forget(batch, user, device_id));
        }
        if !rows.is_empty() {
            self.announce_devices(batch, user);
        }
        let (last_seen, user) = (self.last_seen.clone(), user.to_owned());
        batch.on_visible(move |_| rows.iter().for_each(|(device_id, _)| last_seen.forget(&user, device_id)));
        Ok(slot)
    }

    /// Tells those who care about the devices of `user` that these change with `batch`, at its slot 0.
    pub fn announce_devices(&self, batch: &mut Batch, user: &UserId) {
        Log::append(batch, 0, &Change::DeviceList { user: user.to_owned() });
        let (notifier, user) = (self.notifier.clone(), user.to_owned());
        batch.on_visible(move |_| {
            notifier.wake(&user);
            notifier.wake_company_of(&user);
        });
    }

    /// The devices of `user` as they are kept.
    pub(super) async fn device_rows(&self, snapshot: &Snapshot, user: &UserId) -> Result<Vec<(OwnedDeviceId, Device)>> {
        let rows = DEVICES.scan(snapshot, KeyRange::prefix((user,)), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|((_, device_id), device)| (device_id, device)).collect())
    }
}

fn no_such_device() -> Error {
    Error::not_found("You have no such device.")
}
