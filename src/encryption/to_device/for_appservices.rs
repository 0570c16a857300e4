//! What is for devices of application services' users, which are told of it and need not sync.

use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde_json::value::RawValue;

use super::ToDevice;
use crate::{
    appservices::Appservice,
    error::Result,
    storage::{
        Batch, Direction, KeyRange, Position, Snapshot,
        schema::{appservices::APPSERVICE_INBOX, encryption_messages::TO_DEVICE},
    },
};

/// A message to a device of an application service's user.
#[derive(Debug)]
pub struct ForAppservice {
    /// The position at which it came, and the device that it is for.
    pub key: (Position, OwnedUserId, OwnedDeviceId),
    /// The message; `None` if the device has it already, or is gone.
    pub event: Option<Box<RawValue>>,
}

impl ToDevice {
    /// Notes a message that `batch` puts into an inbox for the services that want to hear of it.
    pub(super) fn note_for_appservices(&self, batch: &mut Batch, user: &UserId, device: &DeviceId) {
        for service in self.appservices.all().iter() {
            if service.wishes.ephemeral && service.url.is_some() && service.has_user(user) {
                APPSERVICE_INBOX.put(batch, (&service.id, Position::pending(0), user, device), &());
            }
        }
    }

    /// The first messages, `limit` at most, that an application service has yet to hear of.
    pub async fn for_appservice(&self, snapshot: &Snapshot, id: &str, limit: usize) -> Result<Vec<ForAppservice>> {
        let rows = APPSERVICE_INBOX.scan(snapshot, KeyRange::prefix((id,)), Direction::Forward, limit).await?;
        let keys: Vec<_> = rows.into_iter().map(|((_, position, user, device), ())| (position, user, device)).collect();
        let events = TO_DEVICE.get_many(snapshot, keys.iter().map(|(at, user, device)| (user, device, *at))).await?;
        Ok(keys.into_iter().zip(events).map(|(key, event)| ForAppservice { key, event }).collect())
    }

    /// Adds to `batch` that an application service has heard of messages. Those to users that are its own and nobody else's
    /// leave their inboxes; others may still want to read theirs.
    pub fn heard_of(batch: &mut Batch, service: &Appservice, keys: &[(Position, OwnedUserId, OwnedDeviceId)]) {
        for (position, user, device) in keys {
            APPSERVICE_INBOX.delete(batch, (&service.id, *position, user, device));
            if service.owns_user(user) {
                TO_DEVICE.delete(batch, (user, device, *position));
            }
        }
    }
}
