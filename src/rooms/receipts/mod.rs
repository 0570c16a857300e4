//! Receipts and read markers: how far people have read
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#receipts)).

mod news;
mod read_up_to;

use ruma::{
    OwnedEventId, RoomId, UserId,
    events::{RoomAccountDataEventType, fully_read::FullyReadEventContent, receipt::ReceiptThread},
};
use serde_json::value::to_raw_value;

pub(super) use self::read_up_to::ReadUpTo;
use super::{Room, Rooms, TimelineEvent, Viewer, threads::Thread};
pub use crate::storage::schema::rooms::ReceiptKind;
use crate::{
    error::{Error, Result},
    storage::{
        Batch, Position, Snapshot, Stamped,
        schema::rooms::{RECEIPTS, RECEIPTS_BY_POSITION, Receipt},
        until_settled,
    },
    streams::{Change, Log},
};

/// A way in which everything up to an event counts as read.
#[derive(Clone, Debug)]
pub enum Mark {
    /// A receipt: it was on the screen. It ends notifications.
    Receipt {
        /// Who learns of it.
        kind: ReceiptKind,
        /// The thread that was read, or all of the room.
        thread: ReceiptThread,
    },
    /// The reader is done with it. Only the reader's own devices know of this mark.
    FullyRead,
}

/// Who has read where, and what is known at that moment.
struct Reading<'a> {
    room: &'a Room,
    reader: &'a UserId,
    snapshot: Snapshot,
}

/// What is to be written.
#[derive(Default)]
struct Marked {
    batch: Batch,
    /// How many positions the batch takes so far.
    slots: u16,
}

impl Rooms {
    /// Moves marks of a member forward, all of them or none; a mark that is at its event or beyond stays where it is.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the reader is not in the room,
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) if an event is not or the reader may not see it,
    /// [`Kind::InvalidParam`](crate::error::Kind::InvalidParam) if an event does not belong to the thread.
    pub async fn mark_read(&self, room_id: &RoomId, reader: &UserId, marks: &[(Mark, OwnedEventId)]) -> Result<()> {
        let room = &*self.room_of_member(room_id, reader).await?;
        until_settled(|| async {
            let snapshot = self.shared.store.snapshot();
            let viewer = self.viewer(&snapshot, room_id, reader).await?;
            let (reading, mut marked) = (Reading { room, reader, snapshot }, Marked::default());
            for (mark, event_id) in marks {
                let event = self.readable(&reading, &viewer, event_id).await?;
                match mark {
                    Mark::Receipt { kind, thread } => {
                        self.check_thread(&reading, &event, thread).await?;
                        self.stage_receipt(&reading, &mut marked, &event, (*kind, thread)).await?;
                    }
                    Mark::FullyRead => self.stage_fully_read(&reading, &mut marked, &event).await?,
                }
            }
            let Marked { mut batch, slots } = marked;
            if slots == 0 {
                return Ok(());
            }
            batch.slots(slots);
            self.shared.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// The event, if the reader may see its place. People whom the reader ignores have written events, too.
    async fn readable(&self, reading: &Reading<'_>, viewer: &Viewer, event_id: &OwnedEventId) -> Result<TimelineEvent> {
        let event = self.event(&reading.snapshot, reading.room, event_id).await?;
        let visible = event.filter(|event| viewer.may_see_place(event.order));
        visible.ok_or_else(|| Error::not_found("There is no such event in this room."))
    }

    async fn stage_receipt(
        &self,
        reading: &Reading<'_>,
        marked: &mut Marked,
        event: &TimelineEvent,
        (kind, thread): (ReceiptKind, &ReceiptThread),
    ) -> Result<()> {
        let (room_id, reader) = (&reading.room.id, reading.reader);
        let thread = thread.as_str().unwrap_or_default();
        let key = (room_id, reader, kind, thread);
        let before = RECEIPTS.get(&reading.snapshot, key).await?;
        if before.as_ref().is_some_and(|before| before.value >= event.order) {
            return Ok(());
        }
        let (batch, at) = (&mut marked.batch, Position::pending(marked.slots));
        RECEIPTS.expect(batch, key, before.as_ref());
        RECEIPTS.put(batch, key, &Stamped { at, value: event.order });
        if let Some(before) = before {
            RECEIPTS_BY_POSITION.delete(batch, (room_id, before.at));
        }
        let event_id = event.event.id.clone();
        let received_at = self.shared.clock.millis();
        let (order, reader_id, thread) = (event.order, reader.to_owned(), thread.to_owned());
        let receipt = Receipt { reader: reader_id, kind, thread, event_id, order, received_at };
        RECEIPTS_BY_POSITION.put(batch, (room_id, at), &receipt);
        let private = kind == ReceiptKind::Private;
        let change = Change::Receipt { room: room_id.clone(), user: reader.to_owned(), private };
        Log::append(batch, marked.slots, &change);
        match kind {
            ReceiptKind::Public => self.wake_members_when_visible(batch, reading.room),
            ReceiptKind::Private => self.wake_when_visible(batch, reader),
        }
        marked.slots += 1;
        Ok(())
    }

    /// Whether a receipt for this thread may stand at this event.
    async fn check_thread(&self, reading: &Reading<'_>, event: &TimelineEvent, thread: &ReceiptThread) -> Result<()> {
        let (snapshot, room, event) = (&reading.snapshot, reading.room, &event.event);
        let fits = match thread {
            ReceiptThread::Unthreaded => true,
            ReceiptThread::Main => self.thread_of(snapshot, room, event).await? == Thread::Main,
            ReceiptThread::Thread(root) => self.follows(snapshot, room, event, root).await?,
            _ => return Err(Error::invalid("The thread_id must be \"main\" or the id of an event.")),
        };
        if fits { Ok(()) } else { Err(Error::invalid("The event does not belong to the thread of the thread_id.")) }
    }

    async fn stage_fully_read(&self, reading: &Reading<'_>, marked: &mut Marked, event: &TimelineEvent) -> Result<()> {
        let (account_data, kind) = (&self.shared.account_data, RoomAccountDataEventType::FullyRead.to_string());
        let (reader, room_id) = (reading.reader, Some(&*reading.room.id));
        let before = account_data.get(&reading.snapshot, reader, room_id, &kind).await?;
        if let Some(before) = &before
            && let Ok(content) = serde_json::from_str::<FullyReadEventContent>(before.get())
            && let Some(before) = self.event(&reading.snapshot, reading.room, &content.event_id).await?
            && before.order >= event.order
        {
            return Ok(());
        }
        let content = FullyReadEventContent::new(event.event.id.clone());
        let content = to_raw_value(&content).map_err(Error::internal)?;
        account_data.expect(&mut marked.batch, reader, room_id, &kind, before);
        account_data.put(&mut marked.batch, marked.slots, reader, room_id, &kind, content);
        marked.slots += 1;
        Ok(())
    }

    /// Wakes everybody in a room when `batch` becomes visible.
    fn wake_members_when_visible(&self, batch: &mut Batch, room: &Room) {
        let (notifier, joined) = (self.shared.notifier.clone(), room.current().joined.clone());
        batch.on_visible(move |_| notifier.wake_all(&joined));
    }
}

#[cfg(test)]
mod tests;
