//! Sends an event into a room, exactly once for each transaction id of a device.

use std::sync::Arc;

use ruma::{DeviceId, OwnedEventId, RoomId, TransactionId, UserId, events::TimelineEventType};
use serde_json::value::RawValue;

use super::{Intent, Rooms, append::transaction_scope};
use crate::{
    error::{Error, Kind, Result},
    matrix::event::Event,
    storage::schema::rooms::{EventOrigin, TRANSACTIONS},
};

/// How often an append starts again when someone else's came first.
const ATTEMPTS: usize = 5;

impl Rooms {
    /// Sends a message event for a device's transaction and returns its id; the same id if the transaction is repeated.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the sender is not joined or lacks the power level, and what
    /// [`Writer::add`](super::Writer::add) says of the content.
    pub async fn send_message(
        &self,
        room_id: &RoomId,
        (sender, device_id): (&UserId, &DeviceId),
        kind: TimelineEventType,
        transaction_id: &TransactionId,
        content: Box<RawValue>,
    ) -> Result<OwnedEventId> {
        let origin = EventOrigin { device_id: device_id.to_owned(), transaction_id: transaction_id.to_owned() };
        let intent = Intent { origin: Some(origin), ..Intent::message(sender, kind, content) };
        self.send_once(room_id, intent).await
    }

    /// Sends an intent that bears a transaction, unless that transaction has made its event already.
    pub(super) async fn send_once(&self, room_id: &RoomId, intent: Intent) -> Result<OwnedEventId> {
        for _ in 0..ATTEMPTS {
            if let Some(event_id) = self.event_of_transaction(room_id, &intent).await? {
                return Ok(event_id);
            }
            match self.append(room_id, intent.clone()).await {
                Err(Error { kind: Kind::Conflict, .. }) => {}
                sent => return Ok(sent?.id.clone()),
            }
        }
        Err(Error::internal(format_args!("room {room_id} was too busy to append to")))
    }

    /// Appends a single event to a room.
    pub(super) async fn append(&self, room_id: &RoomId, intent: Intent) -> Result<Arc<Event>> {
        let room = self.room(room_id).await?;
        let mut writer = self.write(&room).await?;
        let event = writer.add(intent)?;
        writer.commit().await?;
        Ok(event)
    }

    /// The event that the intent's transaction made before, if it did.
    async fn event_of_transaction(&self, room_id: &RoomId, intent: &Intent) -> Result<Option<OwnedEventId>> {
        let Some(origin) = &intent.origin else { return Ok(None) };
        let scope = transaction_scope(room_id, &intent.kind, intent.redacts.as_deref());
        let key = (&intent.sender, &origin.device_id, scope.as_str(), &origin.transaction_id);
        TRANSACTIONS.get(&self.shared.store.snapshot(), key).await
    }
}
