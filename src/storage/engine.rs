//! What the server needs of an ordered key-value engine; narrow enough for a distributed one to offer it too.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use super::{Batch, Direction, Position};
use crate::error::{Error, Result};

/// Where a table's rows live; each family is tuned for how its rows are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Small rows that are looked up by key and change.
    Rows,
    /// Rows by position, written once and read in ranges.
    Log,
    /// Events: larger, written once, mostly text.
    Timeline,
}

/// An ordered key-value store with consistent snapshots and one order of commits.
pub trait Engine: Send + Sync {
    /// Everything that is visible now; stays as it is while others write.
    fn snapshot(&self) -> Arc<dyn View>;

    /// The newest position that is visible.
    fn position(&self) -> Position;

    /// Queues the batch, in the order of the calls.
    fn commit(&self, batch: Batch) -> Commit;

    /// Finishes what is queued, makes it durable and takes no more.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A consistent state of the store.
pub trait View: Send + Sync {
    /// The newest position that is visible in it.
    fn position(&self) -> Position;

    /// The value of one key.
    fn get(&self, family: Family, key: Vec<u8>) -> Read<Option<Vec<u8>>>;

    /// The values of many keys, in the order of the keys.
    fn get_many(&self, family: Family, keys: Vec<Vec<u8>>) -> Read<Vec<Option<Vec<u8>>>>;

    /// The rows of a range, in key order or its reverse.
    fn scan(&self, family: Family, scan: Scan) -> Read<Rows>;
}

/// A range to be read.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The first key inside.
    pub start: Vec<u8>,
    /// The first key behind.
    pub end: Vec<u8>,
    /// Which end to start from.
    pub direction: Direction,
    /// How many rows to return at most.
    pub limit: usize,
}

/// The answer of a read: there already when it came from memory, or on its way from the disk.
///
/// It is a type of its own so that a read from memory costs no boxed future.
pub enum Read<T> {
    /// The answer; `None` once it was taken.
    Ready(Option<Result<T>>),
    /// The answer comes later.
    Later(Pin<Box<dyn Future<Output = Result<T>> + Send>>),
}

impl<T> Read<T> {
    /// An answer that is there.
    pub fn ready(answer: Result<T>) -> Self {
        Self::Ready(Some(answer))
    }
}

// Nothing in it is ever pinned in place: the pending future has a box of its own.
impl<T> Unpin for Read<T> {}

impl<T> Future for Read<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready(answer) => Poll::Ready(answer.take().expect("a read is polled no more after its answer")),
            Self::Later(answer) => answer.as_mut().poll(context),
        }
    }
}

/// Rows as one run of bytes, which spares two allocations a row.
#[derive(Debug, Default)]
pub struct Rows {
    bytes: Vec<u8>,
    /// Where each row's key and value end; a row begins where the one before it ended.
    ends: Vec<(usize, usize)>,
}

impl Rows {
    /// Appends a row.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((key_end, self.bytes.len()));
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The rows as key and value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(key_end, value_end)| {
            let row = (&self.bytes[start..key_end], &self.bytes[key_end..value_end]);
            start = value_end;
            row
        })
    }

    /// The key of the last row.
    pub fn last_key(&self) -> Option<&[u8]> {
        let (key_end, _) = *self.ends.last()?;
        let start = self.ends.len().checked_sub(2).map_or(0, |before| self.ends[before].1);
        Some(&self.bytes[start..key_end])
    }
}

/// A commit on its way: resolves to the position of its slot 0 once it is durable and visible.
///
/// The commit was queued before this was returned; dropping it cancels nothing.
#[must_use = "a commit may fail; drop it explicitly if that does not matter"]
pub struct Commit {
    answer: oneshot::Receiver<Result<Position>>,
}

impl Commit {
    pub(super) fn new(answer: oneshot::Receiver<Result<Position>>) -> Self {
        Self { answer }
    }
}

impl Future for Commit {
    type Output = Result<Position>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| {
            answer.unwrap_or_else(|_| Err(Error::internal("the store was closed before the commit was written")))
        })
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Commit")
    }
}
