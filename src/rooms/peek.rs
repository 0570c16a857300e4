//! Looks into a room and listens to it without being there, as far as the room lets one; members may, too
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-previews)).

use ruma::{
    OwnedRoomId, RoomId,
    api::client::{filter::RoomEventFilter, room::Visibility},
    events::{AnyStateEvent, AnyTimelineEvent, room::member::MembershipState},
    serde::Raw,
};
use tokio::time::{Instant, timeout_at};

use super::{
    Messages, MessagesRequest, PageToken, Reader, Reading, Rooms,
    membership::as_not_in_room,
    timeline::{Page, PageRequest, TimelineEvent},
};
use crate::{
    error::Result,
    matrix::relation_filter::RelationFilter,
    shutdown::Shutdown,
    storage::{Direction, Order, Position},
};

/// The most events that listening brings at once.
const AT_ONCE: usize = 100;

/// A room as it is at one moment, with the newest that was said there.
#[derive(Debug)]
pub struct Peek {
    /// The reader's own membership.
    pub membership: MembershipState,
    /// The newest events in the order in which they happened, with the place before them if there is more.
    pub chunk: Vec<Raw<AnyTimelineEvent>>,
    /// Where earlier events are found, if there are any.
    pub start: Option<PageToken>,
    /// Where later events will be found.
    pub end: PageToken,
    /// The state that the reader may see: the one now, or the one at their leave.
    pub state: Vec<Raw<AnyStateEvent>>,
    /// Whether the room is in the public directory.
    pub visibility: Visibility,
}

/// What was heard by listening.
#[derive(Debug)]
pub struct Heard {
    /// From where on was listened.
    pub start: PageToken,
    /// Where to listen on.
    pub end: PageToken,
    /// The events.
    pub chunk: Vec<Raw<AnyTimelineEvent>>,
}

impl Rooms {
    /// The state of a room and the newest `limit` events, as far as the reader may see them.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) for those who never were members, unless the world may read the
    /// room.
    pub async fn peek(&self, room_id: &RoomId, reader: Reader<'_>, limit: u64) -> Result<Peek> {
        let reading = self.read(room_id, reader.user).await?;
        // Asked before anything else: who may not have a state may still see some of the history.
        reading.viewer.state_access()?;
        let now = PageToken::at(reading.snapshot.position());
        let filter = RoomEventFilter::default();
        let relations = &RelationFilter::default();
        let (from, direction) = (Some(now), Direction::Reverse);
        let request = MessagesRequest { from, to: None, direction, limit, filter: &filter, relations };
        let Messages { mut chunk, end: start, .. } = self.messages(room_id, reader, request).await?;
        chunk.reverse();
        Ok(Peek {
            membership: reading.viewer.membership(),
            chunk,
            start,
            end: now,
            state: self.state(room_id, reader).await?,
            visibility: self.visibility(room_id).await?,
        })
    }

    /// What happens in a room after `from`, or from now on. Waits for something until `deadline`.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the reader may see nothing of the room.
    pub async fn listen(
        &self,
        room_id: &RoomId,
        reader: Reader<'_>,
        from: Option<PageToken>,
        (deadline, shutdown): (Instant, &Shutdown),
    ) -> Result<Heard> {
        let room = self.room(room_id).await.map_err(as_not_in_room)?;
        let mut news = room.news();
        let start = from.unwrap_or_else(|| PageToken::at(self.shared.store.snapshot().position()));
        let mut end = start;
        loop {
            news.mark_unchanged();
            let reading = self.read(room_id, reader.user).await?;
            let page = self.heard(&reading, end).await?;
            if let Some(last) = page.events.last() {
                let renderer =
                    self.renderer(&reading.snapshot, &reading.room, reading.recipient(reader), &page.events).await?;
                let chunk = page.events.iter().map(|event| renderer.timeline(event)).collect();
                return Ok(Heard { start, end: PageToken::after(last.order), chunk });
            }
            // What the reader may not see need not be looked at again.
            let until = page.more_after.map_or(PageToken::at(reading.snapshot.position()), PageToken::after);
            end = if until.place() > end.place() { until } else { end };
            if page.more_after.is_some() {
                continue;
            }
            tokio::select! {
                woken = timeout_at(deadline, news.changed()) => if woken.is_err() {
                    return Ok(Heard { start, end, chunk: Vec::new() });
                },
                () = shutdown.begun() => return Ok(Heard { start, end, chunk: Vec::new() }),
            }
        }
    }

    /// What happened after `from` in all rooms that the reader is in, at once and without waiting.
    pub async fn heard_everywhere(&self, reader: Reader<'_>, from: PageToken) -> Result<Heard> {
        let snapshot = self.shared.store.snapshot();
        let mut found: Vec<(OwnedRoomId, TimelineEvent)> = Vec::new();
        // The place up to which every room has been looked at.
        let mut until: Option<Order> = None;
        let since = match from.place() {
            Order::Live(position) => position,
            Order::Backfilled(_) => Position::ZERO,
        };
        for room_id in self.joined_and_changed(&snapshot, reader.user, since).await? {
            let room = self.room(&room_id).await?;
            let viewer = self.viewer(&snapshot, &room_id, reader.user).await?;
            let page = self.heard(&Reading { snapshot: snapshot.clone(), room, viewer }, from).await?;
            until = until.into_iter().chain(page.more_after).min();
            found.extend(page.events.into_iter().map(|event| (room_id.clone(), event)));
        }
        // What is cut off here is found by the next request.
        found.retain(|(_, event)| until.is_none_or(|until| event.order <= until));
        found.sort_by_key(|(_, event)| event.order);
        if found.len() > AT_ONCE {
            found.truncate(AT_ONCE);
            until = found.last().map(|(_, event)| event.order);
        }
        let end = until.map_or(PageToken::at(snapshot.position()), PageToken::after);
        let mut chunk = Vec::with_capacity(found.len());
        for (room_id, event) in &found {
            let room = self.room(room_id).await?;
            let viewer = self.viewer(&snapshot, room_id, reader.user).await?;
            let reading = Reading { snapshot: snapshot.clone(), room, viewer };
            let renderer = self.renderer(&snapshot, &reading.room, reading.recipient(reader), [event]).await?;
            chunk.push(renderer.timeline(event));
        }
        Ok(Heard { start: from, end, chunk })
    }

    /// Where one begins to listen who says nothing else.
    pub fn now(&self) -> PageToken {
        PageToken::at(self.shared.store.snapshot().position())
    }

    async fn heard(&self, reading: &Reading, from: PageToken) -> Result<Page> {
        let range = from.ahead(&reading.room.id, Direction::Forward);
        let request = PageRequest { room: &reading.room, range, direction: Direction::Forward, limit: AT_ONCE };
        self.page(&reading.snapshot, request, &reading.viewer, |_| true).await
    }
}
