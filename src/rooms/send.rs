//! Sends an event into a room, exactly once for each transaction id of a device.

use std::sync::Arc;

use ruma::{
    DeviceId, MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, TransactionId, UserId, events::TimelineEventType,
};
use serde_json::value::RawValue;

use super::{Intent, Rooms, append::transaction_scope, delayed::Waiting, membership::as_not_in_room, redaction};
use crate::{
    error::Result,
    matrix::event::Event,
    storage::{
        schema::rooms::{EventOrigin, TRANSACTIONS},
        until_settled,
    },
};

impl Rooms {
    /// Sends a message event for a device's transaction and returns its id; the same id if the transaction is repeated.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the sender is not joined or lacks the power level, and what
    /// [`Writer::add`](super::Writer::add) says of the content. For a redaction also what [`Rooms::redact`] says.
    pub async fn send_message(
        &self,
        room_id: &RoomId,
        (sender, device_id): (&UserId, &DeviceId),
        kind: TimelineEventType,
        transaction_id: &TransactionId,
        content: Box<RawValue>,
    ) -> Result<OwnedEventId> {
        self.send_message_at(room_id, (sender, device_id), kind, transaction_id, content, None).await
    }

    /// As [`Rooms::send_message`], with the time that an application service wants the event to bear.
    ///
    /// # Errors
    ///
    /// As [`Rooms::send_message`].
    pub async fn send_message_at(
        &self,
        room_id: &RoomId,
        (sender, device_id): (&UserId, &DeviceId),
        kind: TimelineEventType,
        transaction_id: &TransactionId,
        content: Box<RawValue>,
        timestamp: Option<MilliSecondsSinceUnixEpoch>,
    ) -> Result<OwnedEventId> {
        let redacts = match kind {
            TimelineEventType::RoomRedaction => Some(redaction::target_in(&content)?),
            _ => None,
        };
        let origin = EventOrigin { device_id: device_id.to_owned(), transaction_id: transaction_id.to_owned() };
        let intent = Intent { redacts, origin: Some(origin), timestamp, ..Intent::message(sender, kind, content) };
        self.send_once(room_id, intent).await
    }

    /// Sends an intent, unless its transaction has made its event already.
    pub(super) async fn send_once(&self, room_id: &RoomId, intent: Intent) -> Result<OwnedEventId> {
        until_settled(|| async {
            match self.event_of_transaction(room_id, &intent).await? {
                Some(event_id) => Ok(event_id),
                None => self.append(room_id, intent.clone()).await.map(|event| event.id.clone()),
            }
        })
        .await
    }

    /// Appends a single event to a room.
    pub(super) async fn append(&self, room_id: &RoomId, intent: Intent) -> Result<Arc<Event>> {
        self.append_waited(room_id, intent, None).await
    }

    /// As [`Rooms::append`]; an event that waited until now does not wait any more from the same moment on.
    pub(super) async fn append_waited(
        &self,
        room_id: &RoomId,
        intent: Intent,
        waited: Option<&Waiting<'_>>,
    ) -> Result<Arc<Event>> {
        let room = self.room(room_id).await.map_err(as_not_in_room)?;
        let mut writer = self.write(&room).await?;
        let event = match intent.redacts.clone() {
            Some(target) => self.add_redaction(&mut writer, intent, &target).await?,
            None => {
                let parent = self.parent_of(writer.room(), writer.state(), &intent).await?;
                writer.add_related(intent, parent.as_ref())?
            }
        };
        if let Some(waited) = waited {
            waited.sent(writer.batch(), &event.id);
        }
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
