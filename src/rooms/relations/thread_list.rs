//! The threads of a room, those with the newest events first
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#querying-threads-in-a-room)).

use std::collections::BinaryHeap;

use ruma::{OwnedEventId, OwnedRoomId, RoomId, events::AnyTimelineEvent, serde::Raw};

use crate::{
    error::Result,
    matrix::{event::Event, redact::redact},
    rooms::{PageToken, Reader, Reading, Rooms, Stretch, TimelineEvent},
    storage::{
        Direction, KeyRange, Order,
        schema::relations::{Newest, THREAD_PARTICIPANTS, THREADS, THREADS_BY_NEWEST},
    },
};

/// How many threads are read at a time.
const CHUNK: usize = 64;

/// The greatest number of threads that one request looks at before it answers with what it found.
const LOOKED_AT_MOST: usize = 2_000;

/// Which threads of a room are wanted.
#[derive(Clone, Copy, Debug)]
pub struct ThreadsRequest {
    /// Where to start, unless it is with the newest.
    pub from: Option<PageToken>,
    /// How many are wanted at most.
    pub limit: usize,
    /// Whether only those in which the reader has taken part.
    pub only_participated: bool,
}

/// Some threads of a room.
#[derive(Debug)]
pub struct ThreadPage {
    /// The roots with their threads bundled.
    pub roots: Vec<Raw<AnyTimelineEvent>>,
    /// Where the next page starts, if there may be more.
    pub next: Option<PageToken>,
}

impl Rooms {
    /// The threads of a room that the reader may see something of.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the reader may see nothing of the room.
    pub async fn threads(&self, room_id: &RoomId, reader: Reader<'_>, request: ThreadsRequest) -> Result<ThreadPage> {
        let reading = self.read(room_id, reader.user).await?;
        let mut candidates = Candidates::new(self, &reading, request).await?;
        let (mut roots, mut next, mut last, mut looked_at) = (Vec::new(), None, None, 0);
        while let Some((newest, root)) = candidates.next().await? {
            if roots.len() == request.limit || looked_at == LOOKED_AT_MOST {
                next = last.map(PageToken::before);
                break;
            }
            looked_at += 1;
            last = Some(newest);
            let Some(event) = self.root(&reading, &root).await? else { continue };
            if request.only_participated && event.event.sender != *reader.user {
                let summary = self.thread_summary(&reading.snapshot, room_id, &root, &reading.viewer).await?;
                if !summary.is_some_and(|summary| summary.spoke) {
                    continue;
                }
            }
            roots.push(event);
        }
        let renderer = self.renderer(&reading.snapshot, &reading.room, reading.recipient(reader), &roots).await?;
        Ok(ThreadPage { roots: roots.iter().map(|root| renderer.timeline(root)).collect(), next })
    }

    /// The root of a thread, if the reader may see it. What somebody said whom the reader ignores is left out of it, since the
    /// thread goes on without them.
    async fn root(&self, reading: &Reading, root: &OwnedEventId) -> Result<Option<TimelineEvent>> {
        let Reading { snapshot, room, viewer } = reading;
        let Some(mut found) = self.event(snapshot, room, root).await? else { return Ok(None) };
        if !viewer.may_see_place(found.order) {
            return Ok(None);
        }
        if viewer.ignored().contains(&found.event.sender)
            && let Some((_, row)) = self.stored(snapshot, &room.id, root).await?
        {
            let json = redact(&row.json, room.rules)?;
            found.event = Event::parse(root.clone(), room.id.clone(), &json, room.rules)?;
        }
        Ok(Some(found))
    }
}

/// The threads that come into question after where the page starts, by the newest event that the reader may see and wants to,
/// newest first. They are read as far as somebody asks for the next one.
struct Candidates<'a> {
    rooms: &'a Rooms,
    reading: &'a Reading,
    from: Option<PageToken>,
    /// Those that were read and not given yet.
    known: BinaryHeap<(Order, OwnedEventId)>,
    /// What was not read yet; `None` at the end.
    rest: Option<KeyRange<(OwnedRoomId, Order)>>,
    /// The place before which the newest events of the rest stand.
    read_down_to: Option<Order>,
}

impl<'a> Candidates<'a> {
    async fn new(rooms: &'a Rooms, reading: &'a Reading, request: ThreadsRequest) -> Result<Self> {
        let known = BinaryHeap::new();
        let mut candidates = Self { rooms, reading, from: request.from, known, rest: None, read_down_to: None };
        if request.only_participated {
            candidates.read_own().await?;
        } else {
            candidates.rest = Some(candidates.rows());
        }
        Ok(candidates)
    }

    /// The next one with the place of its newest event.
    async fn next(&mut self) -> Result<Option<(Order, OwnedEventId)>> {
        while self.rest.is_some() {
            // A thread whose newest events are not for this reader waits until those are read that come before it.
            let is_settled = |newest: &Order| self.read_down_to.is_some_and(|read| *newest >= read);
            if self.known.peek().is_some_and(|(newest, _)| is_settled(newest)) {
                break;
            }
            self.read_on().await?;
        }
        Ok(self.known.pop())
    }

    /// The rows that the page may be made of: those from its start on, unless something newer may be hidden from the reader, so
    /// that the thread stands further back for them than for others.
    fn rows(&self) -> KeyRange<(OwnedRoomId, Order)> {
        let Reading { room, viewer, .. } = self.reading;
        let all = KeyRange::prefix((&room.id,));
        let Some(start) = self.from.map(|from| from.place()) else { return all };
        let is_open = |stretch: &Stretch| stretch.until.is_none() && stretch.from.is_none_or(|from| from <= start);
        match viewer.ignored().is_empty() && viewer.visible_stretches().last().is_some_and(is_open) {
            true => all.and(KeyRange::prefix_until((&room.id,), start)),
            false => all,
        }
    }

    /// Reads some more threads of the room.
    async fn read_on(&mut self) -> Result<()> {
        let Some(rest) = self.rest.take() else { return Ok(()) };
        let Reading { snapshot, room, .. } = self.reading;
        let rows = THREADS_BY_NEWEST.scan(snapshot, rest, Direction::Reverse, CHUNK).await?;
        if let Some(((_, last), _)) = rows.last().filter(|_| rows.len() == CHUNK) {
            self.read_down_to = Some(*last);
            self.rest = Some(KeyRange::prefix_before((&room.id,), *last));
        }
        let newest = THREADS.get_many(snapshot, rows.iter().map(|(_, (root, _))| (&room.id, root))).await?;
        for (((_, order), (root, _)), newest) in rows.into_iter().zip(newest) {
            if let Some(newest) = newest.filter(|newest| newest.order == order) {
                self.consider(root, newest).await?;
            }
        }
        Ok(())
    }

    /// Reads all threads in which the reader may have taken part. These are as many as somebody had the patience for, and their
    /// order is not the order in which others go on with them.
    async fn read_own(&mut self) -> Result<()> {
        let Reading { snapshot, room, viewer } = self.reading;
        let range = KeyRange::prefix((&room.id, viewer.user()));
        let rows = THREAD_PARTICIPANTS.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
        let roots: Vec<OwnedEventId> = rows.into_iter().map(|((.., root), ())| root).collect();
        let newest = THREADS.get_many(snapshot, roots.iter().map(|root| (&room.id, root))).await?;
        for (root, newest) in roots.into_iter().zip(newest) {
            if let Some(newest) = newest {
                self.consider(root, newest).await?;
            }
        }
        Ok(())
    }

    /// Keeps a thread if there is something in it for the reader, and not before where the page starts.
    async fn consider(&mut self, root: OwnedEventId, newest: Newest) -> Result<()> {
        let Reading { snapshot, room, viewer } = self.reading;
        let plain = viewer.may_see_place(newest.order) && !viewer.ignored().contains(&newest.sender);
        let newest = match plain {
            true => Some(newest.order),
            // Something older may be for this reader.
            false => self.rooms.thread_summary(snapshot, &room.id, &root, viewer).await?.map(|summary| summary.latest),
        };
        let behind = |newest: &Order| self.from.is_none_or(|from| *newest <= from.place());
        self.known.extend(newest.filter(behind).map(|newest| (newest, root)));
        Ok(())
    }
}
