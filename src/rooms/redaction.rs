//! Takes the content out of events on request ([spec](https://spec.matrix.org/v1.19/client-server-api/#redactions)).
//!
//! What a redaction takes away is taken away at once and everywhere: from the event's row, from the copy that the state event
//! after it keeps for `prev_content`, and from the state in memory.

use std::sync::Arc;

use ruma::{DeviceId, EventId, OwnedEventId, RoomId, TransactionId, UserId, events::TimelineEventType};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Intent, Room, RoomState, Rooms, Writer, membership::not_in_room, relations, timeline::no_such_event};
use crate::{
    error::{Error, Kind, Result},
    matrix::{event::Event, redact::redact},
    storage::{
        Direction, KeyRange, Order, Snapshot,
        schema::rooms::{EventHeader, EventOrigin, ReplacedState, STATE_HISTORY, TIMELINE, TimelineRow},
    },
};

/// The content of an `m.room.redaction` event, whose target is added where the room version wants it.
#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Rooms {
    /// Redacts an event for a device's transaction and returns the id of the redaction; the same id if the transaction is
    /// repeated. Redacting an event again only adds another redaction event.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if there is no such event in the room. [`Kind::Forbidden`] if the user is not joined, the event is
    /// someone else's and the user lacks the power to redact, or the room would break without it.
    pub async fn redact(
        &self,
        room_id: &RoomId,
        (sender, device_id): (&UserId, &DeviceId),
        target: &EventId,
        transaction_id: &TransactionId,
        reason: Option<&str>,
    ) -> Result<OwnedEventId> {
        let content = to_raw_value(&Content { reason }).map_err(Error::internal)?;
        let intent = Intent {
            redacts: Some(target.to_owned()),
            origin: Some(EventOrigin { device_id: device_id.to_owned(), transaction_id: transaction_id.to_owned() }),
            ..Intent::message(sender, TimelineEventType::RoomRedaction, content)
        };
        self.send_once(room_id, intent).await
    }

    /// Adds a redaction and carries it out, unless its target has been redacted before.
    pub(super) async fn add_redaction(
        &self,
        writer: &mut Writer,
        intent: Intent,
        target: &EventId,
    ) -> Result<Arc<Event>> {
        // Rows that are queued cannot be read yet. Nobody else queues any for this room while its lock is held, so that
        // after this nothing is missing.
        self.until_visible().await?;
        let snapshot = self.shared.store.snapshot();

        let room = writer.room().clone();
        if !writer.state().is_joined(&intent.sender) {
            return Err(not_in_room());
        }
        let (order, row) = self.stored(&snapshot, &room.id, target).await?.ok_or_else(no_such_event)?;
        let event = Event::parse(target.to_owned(), room.id.clone(), &row.json, room.rules)?;
        check_may_redact(&room, writer.state(), &intent.sender, &event)?;
        let redaction = writer.add(intent)?;
        if row.header.redacted_by.is_some() {
            return Ok(redaction);
        }

        relations::unstage(&snapshot, writer.batch(), order, &event).await?;
        let json = redact(&row.json, room.rules)?;
        let redacted = Event::parse(target.to_owned(), room.id.clone(), &json, room.rules)?;
        if let Some((order, row)) = next_version(&snapshot, &room, order, &redacted).await? {
            writer.rewrite(order, &row, &without_copy(&row, &redacted));
        }
        let header = EventHeader { redacted_by: Some(redaction.id.clone()), ..row.header.clone() };
        writer.rewrite(order, &row, &TimelineRow { header, json });
        writer.show_redacted(redacted, &redaction.id);
        self.part_from_guests(writer, &event).await?;
        Ok(redaction)
    }
}

/// The event that a redaction names in its content, as clients may write it in every room version.
///
/// # Errors
///
/// [`Kind::BadJson`] if it names none.
pub(super) fn target_in(content: &RawValue) -> Result<OwnedEventId> {
    #[derive(serde::Deserialize)]
    struct Content {
        redacts: OwnedEventId,
    }

    let content: Result<Content, _> = serde_json::from_str(content.get());
    content.map(|content| content.redacts).map_err(|e| Kind::BadJson.with(format!("This redacts no event: {e}.")))
}

/// Whether the user may take the content out of `event`. The auth rules only say whether they may send a redaction.
fn check_may_redact(room: &Room, state: &RoomState, user: &UserId, event: &Event) -> Result<()> {
    if matches!(event.kind, TimelineEventType::RoomCreate | TimelineEventType::RoomServerAcl) {
        return Err(Error::forbidden("The room would not work without this event."));
    }
    match room.power_levels(state)?.may_redact(user, &event.sender) {
        true => Ok(()),
        false => Err(Error::forbidden("You may redact only what you sent yourself.")),
    }
}

/// The row of the event that took the place of a state event, which keeps a copy of its content.
async fn next_version(
    snapshot: &Snapshot,
    room: &Room,
    order: Order,
    event: &Event,
) -> Result<Option<(Order, TimelineRow)>> {
    let Some((kind, state_key)) = event.state_place() else { return Ok(None) };
    let later = KeyRange::prefix_after((&room.id, kind.to_string(), state_key), order);
    let versions = STATE_HISTORY.scan(snapshot, later, Direction::Forward, 1).await?;
    let Some(((.., order), _)) = versions.into_iter().next() else { return Ok(None) };
    Ok(TIMELINE.get(snapshot, (&room.id, order)).await?.map(|row| (order, row)))
}

/// The row with the content of `redacted` in place of what it was before.
fn without_copy(row: &TimelineRow, redacted: &Event) -> TimelineRow {
    let mut row = row.clone();
    if let Some(ReplacedState { event_id, content }) = &mut row.header.replaces
        && *event_id == redacted.id
    {
        *content = redacted.content.get().into();
    }
    row
}
