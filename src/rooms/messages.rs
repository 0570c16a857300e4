//! Reads a room's history page by page, in both directions.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use ruma::{
    RoomId, UserId,
    api::client::filter::RoomEventFilter,
    events::{AnyStateEvent, AnyTimelineEvent},
    serde::Raw,
};

use super::{
    PageToken, Reader, Reading, Rooms,
    timeline::{PageRequest, TimelineEvent},
};
use crate::{
    error::Result,
    matrix::{event_filter, relation_filter::RelationFilter},
    storage::Direction,
};

/// The greatest number of events in one page, whatever is asked for.
pub(super) const LARGEST_PAGE: usize = 1_000;

/// Which part of a room's history is asked for.
#[derive(Debug)]
pub struct MessagesRequest<'a> {
    /// Where to start; the end of the history that one comes from if it is not said.
    pub from: Option<PageToken>,
    /// Where to stop.
    pub to: Option<PageToken>,
    /// Which way to go.
    pub direction: Direction,
    /// How many events are wanted at most.
    pub limit: u64,
    /// Which events are wanted.
    pub filter: &'a RoomEventFilter,
    /// Which of them, by their relations.
    pub relations: &'a RelationFilter,
}

/// A page of a room's history.
#[derive(Debug)]
pub struct Messages {
    /// Where it starts.
    pub start: PageToken,
    /// Where the next page starts, if there is more.
    pub end: Option<PageToken>,
    /// The events in the direction of travel.
    pub chunk: Vec<Raw<AnyTimelineEvent>>,
    /// The members who sent them, if the filter wants members loaded lazily.
    pub state: Vec<Raw<AnyStateEvent>>,
}

impl Rooms {
    /// A page of the history of a room, as far as the reader may see it
    /// ([spec](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages)).
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the reader may see nothing of the room.
    pub async fn messages(
        &self,
        room_id: &RoomId,
        reader: Reader<'_>,
        request: MessagesRequest<'_>,
    ) -> Result<Messages> {
        let reading = self.read(room_id, reader.user).await?;
        let MessagesRequest { from, to, direction, limit, filter, relations } = request;
        let start = from.unwrap_or_else(|| match direction {
            Direction::Forward => PageToken::START,
            Direction::Reverse => PageToken::at(reading.snapshot.position()),
        });
        let mut range = start.ahead(&reading.room.id, direction);
        if let Some(to) = to {
            range = range.and(to.behind(&reading.room.id, direction));
        }
        let limit = capped(limit, filter);
        if limit == 0 {
            return Ok(Messages { start, end: Some(start), chunk: Vec::new(), state: Vec::new() });
        }
        let page = PageRequest { room: &reading.room, range, direction, limit };
        let left_out = AtomicBool::new(relations.asks_for_children());
        let wanted = |event: &_| {
            let passes = event_filter::passes(filter, event) && relations.passes(event);
            left_out.fetch_or(!passes, Ordering::Relaxed);
            passes
        };
        let page = self.filtered_page(&reading.snapshot, page, &reading.viewer, wanted, relations).await?;
        // A page that a filter has thinned says where it ended, since clients take a missing end for the start of the room.
        // It costs them one request more, whose page is empty.
        let last_found = page.events.last().filter(|_| left_out.load(Ordering::Relaxed)).map(|event| event.order);
        let end = page.more_after.or(last_found).map(|last| match direction {
            Direction::Forward => PageToken::after(last),
            Direction::Reverse => PageToken::before(last),
        });

        let members = self.lazily_loaded(&reading, &page.events, filter).await?;
        let renderer = self
            .renderer(&reading.snapshot, &reading.room, reading.recipient(reader), page.events.iter().chain(&members))
            .await?;
        let chunk = page.events.iter().map(|event| renderer.timeline(event)).collect();
        let state = members.iter().map(|member| renderer.state(member)).collect();
        Ok(Messages { start, end, chunk, state })
    }

    /// The members who sent `events`, as they were at the newest of these, if the filter wants members loaded lazily.
    async fn lazily_loaded(
        &self,
        reading: &Reading,
        events: &[TimelineEvent],
        filter: &RoomEventFilter,
    ) -> Result<Vec<TimelineEvent>> {
        let Some(newest) = events.iter().map(|event| event.order).max() else { return Ok(Vec::new()) };
        if filter.lazy_load_options.is_disabled() {
            return Ok(Vec::new());
        }
        let senders: BTreeSet<&UserId> = events.iter().map(|event| &*event.event.sender).collect();
        let mut members = Vec::with_capacity(senders.len());
        for sender in senders {
            let place = ("m.room.member", sender.as_str());
            members.extend(self.state_version(&reading.snapshot, &reading.room.id, place, newest).await?);
        }
        self.events_at(&reading.snapshot, &reading.room, &members).await
    }
}

/// The number of events that both the request and its filter allow.
pub(super) fn capped(limit: u64, filter: &RoomEventFilter) -> usize {
    let own = filter.limit.map_or(u64::MAX, u64::from);
    usize::try_from(limit.min(own)).unwrap_or(usize::MAX).min(LARGEST_PAGE)
}
