//! The threads of a room, those with the newest events first
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#querying-threads-in-a-room)).

use ruma::{OwnedEventId, RoomId, events::AnyTimelineEvent, serde::Raw};

use crate::{
    error::Result,
    matrix::{event::Event, redact::redact},
    rooms::{PageToken, Reader, Reading, Rooms, TimelineEvent},
    storage::{
        Direction, KeyRange, Order,
        schema::relations::{Newest, THREAD_PARTICIPANTS, THREADS},
    },
};

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
        let threads = self.threads_by_newest(&reading, request).await?;
        let (mut roots, mut next, mut last) = (Vec::new(), None, None);
        for (newest, root) in threads {
            if roots.len() == request.limit {
                next = last.map(PageToken::before);
                break;
            }
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

    /// The threads that come into question after where the page starts, with the place of the newest event that the reader may
    /// see and wants to, newest first.
    async fn threads_by_newest(
        &self,
        reading: &Reading,
        request: ThreadsRequest,
    ) -> Result<Vec<(Order, OwnedEventId)>> {
        let Reading { snapshot, room, viewer } = reading;
        let mut threads = Vec::new();
        for (root, newest) in candidates(reading, request.only_participated).await? {
            let plain = viewer.may_see_place(newest.order) && !viewer.ignored().contains(&newest.sender);
            let newest = match plain {
                true => Some(newest.order),
                // Something older may be for this reader.
                false => self.thread_summary(snapshot, &room.id, &root, viewer).await?.map(|summary| summary.latest),
            };
            let behind = |newest: &Order| request.from.is_none_or(|from| *newest <= from.place());
            threads.extend(newest.filter(behind).map(|newest| (newest, root)));
        }
        threads.sort_unstable_by(|one, two| two.cmp(one));
        Ok(threads)
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

/// The roots of the threads of the room, or of those in which the reader may have taken part, with the newest event of each.
async fn candidates(reading: &Reading, only_participated: bool) -> Result<Vec<(OwnedEventId, Newest)>> {
    let Reading { snapshot, room, viewer } = reading;
    if !only_participated {
        let range = KeyRange::prefix((&room.id,));
        let rows = THREADS.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
        return Ok(rows.into_iter().map(|((_, root), newest)| (root, newest)).collect());
    }
    let range = KeyRange::prefix((&room.id, viewer.user()));
    let rows = THREAD_PARTICIPANTS.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
    let roots: Vec<OwnedEventId> = rows.into_iter().map(|((.., root), ())| root).collect();
    let newest = THREADS.get_many(snapshot, roots.iter().map(|root| (&room.id, root))).await?;
    Ok(roots.into_iter().zip(newest).filter_map(|(root, newest)| Some((root, newest?))).collect())
}
