//! Reads a room's timeline, page by page, as one reader may see it.

use ruma::{DeviceId, EventId, OwnedRoomId, RoomId, UserId, events::AnyTimelineEvent, serde::Raw};

use super::{Reader, Reading, Room, Rooms, Viewer};
use crate::{
    error::{Error, Kind, Result},
    matrix::{event::Event, relation_filter::RelationFilter},
    storage::{
        Direction, KeyRange, Order, Snapshot,
        schema::rooms::{EVENT_PLACES, EventHeader, EventPlace, TIMELINE, TimelineRow},
    },
};

/// How many rows of a timeline one read brings at most.
const LARGEST_READ: usize = 512;

/// The greatest number of events that one request looks at before it answers with what it found.
const SCANNED_AT_MOST: usize = 5_000;

/// An event with its place and what the server knows of it.
#[derive(Clone, Debug)]
pub struct TimelineEvent {
    /// Where it stands.
    pub order: Order,
    /// What the server knows of it besides its content.
    pub header: EventHeader,
    /// The event.
    pub event: Event,
}

/// Some events of a timeline in the order in which they were asked for.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The events that the reader may see and that passed the filter.
    pub events: Vec<TimelineEvent>,
    /// The place of the last event that was looked at, if there is more behind it.
    pub more_after: Option<Order>,
}

/// Which events a page is made of.
pub struct PageRequest<'a> {
    /// The room.
    pub room: &'a Room,
    /// The part of its timeline.
    pub range: KeyRange<(OwnedRoomId, Order)>,
    /// From which end to start.
    pub direction: Direction,
    /// The number of events wanted.
    pub limit: usize,
}

impl Rooms {
    /// The events of the range that `viewer` may see and `wanted` lets through.
    pub async fn page(
        &self,
        snapshot: &Snapshot,
        request: PageRequest<'_>,
        viewer: &Viewer,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Page> {
        self.filtered_page(snapshot, request, viewer, wanted, &RelationFilter::default()).await
    }

    /// As [`Rooms::page`], of those events that also `relations` lets through.
    pub async fn filtered_page(
        &self,
        snapshot: &Snapshot,
        request: PageRequest<'_>,
        viewer: &Viewer,
        wanted: impl Fn(&Event) -> bool,
        relations: &RelationFilter,
    ) -> Result<Page> {
        let PageRequest { room, range, direction, limit } = request;
        let mut page = Page::default();
        let mut scanned = 0;
        // One more than is wanted tells whether there is more. Where few of many pass, each read brings twice as many.
        let mut chunk = (limit + 1).min(LARGEST_READ);
        let mut stretches = viewer.visible_stretches();
        if direction == Direction::Reverse {
            stretches.reverse();
        }
        for stretch in stretches {
            let stretch = range.clone().and(stretch.rows(&room.id));
            let mut rest = stretch.clone();
            loop {
                let rows = TIMELINE.scan(snapshot, rest, direction, chunk).await?;
                let exhausted = rows.len() < chunk;
                for ((_, order), row) in rows {
                    if page.events.len() == limit || scanned == SCANNED_AT_MOST {
                        return Ok(page);
                    }
                    scanned += 1;
                    page.more_after = Some(order);
                    let found = parse(room, order, row)?;
                    if !viewer.may_see(order, &found.event) || !wanted(&found.event) {
                        continue;
                    }
                    if relations.asks_for_children()
                        && !self.is_related(snapshot, &room.id, &found.event.id, viewer, relations).await?
                    {
                        continue;
                    }
                    page.events.push(found);
                }
                let Some(last) = page.more_after.filter(|_| !exhausted) else { break };
                rest = stretch.clone().and(beyond(&room.id, last, direction));
                chunk = (2 * chunk).min(LARGEST_READ);
            }
        }
        page.more_after = None;
        Ok(page)
    }

    /// Up to `limit` events of the range from its start on, whoever asks.
    pub(super) async fn events_in(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        range: KeyRange<(OwnedRoomId, Order)>,
        limit: usize,
    ) -> Result<Vec<TimelineEvent>> {
        let rows = TIMELINE.scan(snapshot, range, Direction::Forward, limit).await?;
        rows.into_iter().map(|((_, order), row)| parse(room, order, row)).collect()
    }

    /// One event of a room, whoever asks.
    pub async fn event(&self, snapshot: &Snapshot, room: &Room, event_id: &EventId) -> Result<Option<TimelineEvent>> {
        let found = self.stored(snapshot, &room.id, event_id).await?;
        found.map(|(order, row)| parse(room, order, row)).transpose()
    }

    /// The row of an event of a room and its place.
    pub(super) async fn stored(
        &self,
        snapshot: &Snapshot,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<Option<(Order, TimelineRow)>> {
        let place = EVENT_PLACES.get(snapshot, (event_id,)).await?;
        let Some(EventPlace { order, .. }) = place.filter(|place| place.room_id == *room_id) else { return Ok(None) };
        let row = TIMELINE.get(snapshot, (room_id, order)).await?;
        Ok(row.map(|row| (order, row)))
    }

    /// One event that the reader may see.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if there is no such event in the room or the reader may not see it; the two look the same.
    pub async fn visible_event(
        &self,
        room_id: &RoomId,
        reader: Reader<'_>,
        event_id: &EventId,
    ) -> Result<Raw<AnyTimelineEvent>> {
        let reading = self.read(room_id, reader.user).await.map_err(as_no_such_event)?;
        let event = self.find_visible(&reading, event_id).await?;
        let renderer = self.renderer(&reading.snapshot, &reading.room, reading.recipient(reader), [&event]).await?;
        Ok(renderer.timeline(&event))
    }

    /// As [`Rooms::visible_event`], of whatever room.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if there is no such event or the reader may not see it.
    pub async fn visible_event_anywhere(&self, reader: Reader<'_>, id: &EventId) -> Result<Raw<AnyTimelineEvent>> {
        let place = EVENT_PLACES.get(&self.shared.store.snapshot(), (id,)).await?;
        self.visible_event(&place.ok_or_else(no_such_event)?.room_id, reader, id).await
    }

    /// Whether `user` has sent this event of the room.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if the user sees no such event in the room.
    pub async fn is_own(&self, room_id: &RoomId, user: &UserId, event_id: &EventId) -> Result<bool> {
        let reading = self.read(room_id, user).await.map_err(as_no_such_event)?;
        Ok(self.find_visible(&reading, event_id).await?.event.sender == *user)
    }

    /// As [`Rooms::visible_event`], before it is rendered.
    pub(super) async fn find_visible(&self, reading: &Reading, event_id: &EventId) -> Result<TimelineEvent> {
        let found = self.event(&reading.snapshot, &reading.room, event_id).await?;
        let visible = found.filter(|found| reading.viewer.may_see(found.order, &found.event));
        visible.ok_or_else(no_such_event)
    }

    /// The events at these places of a room, whoever asks; places without one are left out.
    pub async fn events_at(&self, snapshot: &Snapshot, room: &Room, orders: &[Order]) -> Result<Vec<TimelineEvent>> {
        let rows = TIMELINE.get_many(snapshot, orders.iter().map(|order| (&room.id, *order))).await?;
        let found = orders.iter().zip(rows).filter_map(|(order, row)| Some((*order, row?)));
        found.map(|(order, row)| parse(room, order, row)).collect()
    }

    /// The place of an event in this room.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if the room has no such event.
    pub async fn place(&self, snapshot: &Snapshot, room_id: &RoomId, event_id: &EventId) -> Result<Order> {
        let place = EVENT_PLACES.get(snapshot, (event_id,)).await?;
        let own = place.filter(|place| place.room_id == *room_id);
        own.map(|place| place.order).ok_or_else(no_such_event)
    }
}

impl TimelineEvent {
    /// The transaction id under which `device` sent this event, if it did.
    pub fn transaction_of(&self, viewer: &Viewer, device: &DeviceId) -> Option<&ruma::TransactionId> {
        let origin = self.header.origin.as_ref()?;
        (self.event.sender == *viewer.user() && origin.device_id == *device).then_some(&*origin.transaction_id)
    }

    /// The id under which the event waited before it was sent, for its sender.
    pub fn delay_id_for(&self, viewer: &Viewer) -> Option<&ruma::TransactionId> {
        let origin = self.header.origin.as_ref()?;
        origin.delay_id().filter(|_| self.event.sender == *viewer.user())
    }
}

/// The part of a room's timeline that lies beyond `order` in the direction of travel.
pub fn beyond(room_id: &RoomId, order: Order, direction: Direction) -> KeyRange<(OwnedRoomId, Order)> {
    match direction {
        Direction::Forward => KeyRange::prefix_after((room_id,), order),
        Direction::Reverse => KeyRange::prefix_before((room_id,), order),
    }
}

/// The answer to whoever asks for an event that is not there for them.
pub(super) fn no_such_event() -> Error {
    Error::not_found("There is no such event in this room.")
}

/// To those outside, an event that they may not see looks like one that does not exist.
pub(super) fn as_no_such_event(error: Error) -> Error {
    match error.kind {
        Kind::Forbidden => no_such_event(),
        _ => error,
    }
}

fn parse(room: &Room, order: Order, row: TimelineRow) -> Result<TimelineEvent> {
    let event = Event::parse(row.header.event_id.clone(), room.id.clone(), &row.json, room.rules)?;
    Ok(TimelineEvent { order, header: row.header, event })
}
