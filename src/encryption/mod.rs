//! What devices need to encrypt for each other: the server keeps it and hands it on, and can read none of it.

mod dehydrated;
mod key_backup;
mod keys;
mod to_device;

#[cfg(test)]
mod tests;

pub use self::{
    dehydrated::{DehydratedDevices, NewDehydratedDevice, Received},
    key_backup::{BackupInfo, KeyBackups, KeyPages, PlacedKey, Selection, Tally},
    keys::{
        Authentication, Claimed, Claims, CrossSigningUpload, Failures, Found, KeyUpload, Keys, Outcome, Owner, Query,
        Stock,
    },
    to_device::{ForAppservice, ToDevice, Waiting},
};
use crate::{
    appservices::Appservices,
    clock::Clock,
    storage::Store,
    streams::Notifier,
    users::{DeviceBelonging, UserBelonging, Users},
};

/// What goes with a device when it ends.
pub const DEVICE_BELONGINGS: &[DeviceBelonging] = &[to_device::forget_device, keys::forget_device];

/// What goes when an account ends.
pub const USER_BELONGINGS: &[UserBelonging] = &[key_backup::forget_user, keys::forget_user];

/// The services of this folder, each for whoever names it; none of them sees this.
#[derive(Clone)]
pub struct Encryption {
    /// What devices send to each other.
    pub to_device: ToDevice,
    /// The room keys that users' devices keep here for each other.
    pub key_backups: KeyBackups,
    /// The public keys of devices and people.
    pub keys: Keys,
    /// Devices that wait for their users.
    pub dehydrated: DehydratedDevices,
}

impl Encryption {
    /// Builds the services over `store`, for the devices of `users`.
    pub fn new(store: &Store, notifier: &Notifier, clock: &Clock, users: &Users) -> Self {
        let (sessions, server_name) = (&users.sessions, users.accounts.server_name().to_owned());
        let to_device = ToDevice::new(store.clone(), sessions.clone(), notifier.clone(), clock.clone(), server_name);
        let keys = Keys::new(store.clone(), users.accounts.clone(), sessions.clone(), notifier.clone());
        Self {
            dehydrated: DehydratedDevices::new(store.clone(), sessions.clone(), keys.clone(), to_device.clone()),
            key_backups: KeyBackups::new(store.clone(), sessions.clone()),
            keys,
            to_device,
        }
    }

    /// The same services, where the inbox of a device holds at most so many messages.
    #[must_use]
    pub fn with_inboxes_of(self, limit: usize) -> Self {
        Self { to_device: self.to_device.with_inboxes_of(limit), ..self }
    }

    /// The same services, of which `appservices` hear what is for their users.
    #[must_use]
    pub fn with_appservices(self, appservices: &Appservices) -> Self {
        Self { to_device: self.to_device.with_appservices(appservices), ..self }
    }
}
