//! How far one reader has read, by all of their receipts together.

use std::{cmp::max, collections::BTreeMap};

use ruma::{EventId, RoomId, UserId};

use crate::{
    error::{Error, Result},
    rooms::{Rooms, threads::Thread},
    storage::{Direction, KeyRange, Order, Position, Snapshot, schema::rooms::RECEIPTS},
};

/// The places up to which a reader has read. Public and private receipts count alike: the one further ahead holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadUpTo {
    /// The place up to which nothing is unread in any thread.
    everywhere: Order,
    /// The threads in which the reader has read further than that.
    threads: BTreeMap<Thread, Order>,
}

impl ReadUpTo {
    /// Nothing was read since `start`.
    pub fn nothing_since(start: Order) -> Self {
        Self { everywhere: start, threads: BTreeMap::new() }
    }

    /// The place up to which nothing is unread in any thread.
    pub fn everywhere(&self) -> Order {
        self.everywhere
    }

    /// The place up to which nothing is unread in `thread`.
    pub fn in_thread(&self, thread: &Thread) -> Order {
        self.threads.get(thread).copied().unwrap_or(self.everywhere)
    }

    /// Whether nothing that is read by `self` is unread by `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.everywhere <= other.everywhere
            && self.threads.iter().all(|(thread, place)| *place <= other.in_thread(thread))
    }

    /// Takes a receipt for every thread into account.
    pub fn read(&mut self, place: Order) {
        self.everywhere = max(self.everywhere, place);
        self.threads.retain(|_, read| *read > self.everywhere);
    }

    /// Takes a receipt for one thread into account.
    pub fn read_thread(&mut self, thread: Thread, place: Order) {
        if place > self.in_thread(&thread) {
            self.threads.insert(thread, place);
        }
    }
}

impl Rooms {
    /// Whether a receipt of `reader` in a room came after `since`.
    pub async fn has_read_since(
        &self,
        snapshot: &Snapshot,
        room_id: &RoomId,
        reader: &UserId,
        since: Position,
    ) -> Result<bool> {
        let receipts = KeyRange::prefix((room_id, reader));
        let receipts = RECEIPTS.scan(snapshot, receipts, Direction::Forward, usize::MAX).await?;
        Ok(receipts.iter().any(|(_, receipt)| receipt.at > since))
    }

    /// How far `reader` has read in a room that they joined at `joined`.
    pub(in crate::rooms) async fn read_up_to(
        &self,
        snapshot: &Snapshot,
        room_id: &RoomId,
        reader: &UserId,
        joined: Order,
    ) -> Result<ReadUpTo> {
        let receipts = KeyRange::prefix((room_id, reader));
        let receipts = RECEIPTS.scan(snapshot, receipts, Direction::Forward, usize::MAX).await?;
        let mut read = ReadUpTo::nothing_since(joined);
        for ((.., thread), receipt) in receipts {
            match thread.as_str() {
                "" => read.read(receipt.value),
                "main" => read.read_thread(Thread::Main, receipt.value),
                root => {
                    let root = EventId::parse(root).map_err(Error::internal)?;
                    read.read_thread(Thread::Root(root), receipt.value);
                }
            }
        }
        Ok(read)
    }
}
