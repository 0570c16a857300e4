//! Reads what was said around one event.

use std::collections::BTreeSet;

use ruma::{
    EventId, OwnedUserId, RoomId, UserId,
    api::client::filter::RoomEventFilter,
    events::{AnyStateEvent, AnyTimelineEvent, TimelineEventType},
    serde::Raw,
};

use super::{
    PageToken, Reader, Reading, Rooms,
    messages::capped,
    timeline::{Page, PageRequest, TimelineEvent},
};
use crate::{
    error::Result,
    matrix::{event::Event, event_filter, relation_filter::RelationFilter},
    storage::Direction,
};

/// An event with its neighbours.
#[derive(Debug)]
pub struct Context {
    /// Where to go on backwards.
    pub start: PageToken,
    /// Where to go on forwards.
    pub end: PageToken,
    /// The event that was asked for.
    pub event: Raw<AnyTimelineEvent>,
    /// What came before it, newest first.
    pub before: Vec<Raw<AnyTimelineEvent>>,
    /// What came after it, oldest first.
    pub after: Vec<Raw<AnyTimelineEvent>>,
    /// The state of the room right after the newest of these events.
    pub state: Vec<Raw<AnyStateEvent>>,
}

/// An event with its neighbours, and who sent all these.
#[derive(Debug)]
pub struct Surroundings {
    /// Where to go on backwards.
    pub start: PageToken,
    /// Where to go on forwards.
    pub end: PageToken,
    /// The event.
    pub event: Raw<AnyTimelineEvent>,
    /// What came before it, newest first.
    pub before: Vec<Raw<AnyTimelineEvent>>,
    /// What came after it, oldest first.
    pub after: Vec<Raw<AnyTimelineEvent>>,
    /// Who sent any of them.
    pub senders: BTreeSet<OwnedUserId>,
}

impl Rooms {
    /// The events around one event, and the state of the room at the last of them
    /// ([spec](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid)).
    ///
    /// At most `limit` neighbours are given, half of them from each side. The filters hold for neighbours and state.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the reader may see nothing of the room,
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) if the event is not there or not for this reader.
    pub async fn context(
        &self,
        room_id: &RoomId,
        reader: Reader<'_>,
        event_id: &EventId,
        limit: u64,
        filters: (&RoomEventFilter, &RelationFilter),
    ) -> Result<Context> {
        let (filter, relations) = filters;
        let reading = self.read(room_id, reader.user).await?;
        let event = self.find_visible(&reading, event_id).await?;
        let limit = capped(limit, filter);
        let before = self.neighbours(&reading, &event, Direction::Reverse, limit / 2, filters).await?;
        let after = self.neighbours(&reading, &event, Direction::Forward, limit.div_ceil(2), filters).await?;
        let (first, last) = (before.last().unwrap_or(&event), after.last().unwrap_or(&event));
        let state = self.state_at(&reading.room, last.order).await?;

        let shown = before.iter().chain([&event]).chain(&after);
        let senders: BTreeSet<&UserId> = shown.clone().map(|event| &*event.event.sender).collect();
        let wanted = |event: &Event| {
            let lazy = !filter.lazy_load_options.is_disabled() && event.kind == TimelineEventType::RoomMember;
            event_filter::passes(filter, event)
                && relations.passes(event)
                && (!lazy || event.target().is_some_and(|user| senders.contains(user)))
        };
        let recipient = reading.recipient(reader);
        let renderer = self.renderer(&reading.snapshot, &reading.room, recipient, shown).await?;
        let state_renderer = self.state_renderer(&reading.snapshot, &reading.room, recipient, &state).await?;
        Ok(Context {
            start: PageToken::before(first.order),
            end: PageToken::after(last.order),
            event: renderer.timeline(&event),
            before: before.iter().map(|event| renderer.timeline(event)).collect(),
            after: after.iter().map(|event| renderer.timeline(event)).collect(),
            state: state
                .events()
                .filter(|event| wanted(event))
                .map(|event| state_renderer.state_of(&state, event))
                .collect(),
        })
    }

    /// What stands around an event that the reader may see: up to so many events before it and after it.
    pub async fn surroundings(
        &self,
        reading: &Reading,
        reader: Reader<'_>,
        event: &TimelineEvent,
        (before, after): (usize, usize),
    ) -> Result<Surroundings> {
        let (all, relations) = (RoomEventFilter::default(), RelationFilter::default());
        let before = self.neighbours(reading, event, Direction::Reverse, before, (&all, &relations)).await?;
        let after = self.neighbours(reading, event, Direction::Forward, after, (&all, &relations)).await?;
        let (first, last) = (before.last().unwrap_or(event), after.last().unwrap_or(event));
        let shown = before.iter().chain([event]).chain(&after);
        let senders = shown.clone().map(|event| event.event.sender.clone()).collect();
        let renderer = self.renderer(&reading.snapshot, &reading.room, reading.recipient(reader), shown).await?;
        Ok(Surroundings {
            start: PageToken::before(first.order),
            end: PageToken::after(last.order),
            event: renderer.timeline(event),
            before: before.iter().map(|event| renderer.timeline(event)).collect(),
            after: after.iter().map(|event| renderer.timeline(event)).collect(),
            senders,
        })
    }

    /// The nearest `limit` events on one side of an event.
    async fn neighbours(
        &self,
        reading: &Reading,
        event: &TimelineEvent,
        direction: Direction,
        limit: usize,
        (filter, relations): (&RoomEventFilter, &RelationFilter),
    ) -> Result<Vec<TimelineEvent>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let from = match direction {
            Direction::Forward => PageToken::after(event.order),
            Direction::Reverse => PageToken::before(event.order),
        };
        let range = from.ahead(&reading.room.id, direction);
        let request = PageRequest { room: &reading.room, range, direction, limit };
        let wanted = |event: &Event| event_filter::passes(filter, event) && relations.passes(event);
        let page = self.filtered_page(&reading.snapshot, request, &reading.viewer, wanted, relations);
        let Page { events, .. } = page.await?;
        Ok(events)
    }
}
