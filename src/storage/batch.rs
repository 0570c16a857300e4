//! A list of changes that become durable and visible together, at one position.

use std::{fmt, ops::Range};

use super::{Encoder, Family, Position};
use crate::error::{Error, Result};

/// Run by the writer at the moment a batch becomes visible.
pub(super) type Hook = Box<dyn FnOnce(Position) + Send>;

/// Changes to be committed together, built through the [`Table`](super::Table)s.
///
/// All keys and values lie in one buffer, so that a change costs no allocation of its own and the engine can fill in the
/// commit's position wherever it was pending.
pub struct Batch {
    buffer: Encoder,
    changes: Vec<Change>,
    expectations: Vec<Expectation>,
    hooks: Vec<Hook>,
    slots: u16,
    failure: Option<Error>,
}

/// A change as places in the buffer.
enum Change {
    Put { family: Family, key: Range<usize>, value: Range<usize> },
    Delete { family: Family, key: Range<usize> },
    DeleteRange { family: Family, start: Range<usize>, end: Range<usize> },
}

/// A precondition as places in the buffer.
struct Expectation {
    family: Family,
    key: Range<usize>,
    value: Option<Range<usize>>,
}

/// One change as an engine sees it.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// The row is written, whether or not it was there.
    Put {
        /// Where the row's table lives.
        family: Family,
        /// The engine's key.
        key: &'a [u8],
        /// The encoded value.
        value: &'a [u8],
    },
    /// The row is gone, whether or not it was there.
    Delete {
        /// Where the row's table lives.
        family: Family,
        /// The engine's key.
        key: &'a [u8],
    },
    /// Every row from `start` up to but not with `end` is gone.
    DeleteRange {
        /// Where the rows' table lives.
        family: Family,
        /// The first key that goes.
        start: &'a [u8],
        /// The first key that stays.
        end: &'a [u8],
    },
}

/// A precondition as the writer sees it: the row has this value, or is absent.
pub(super) struct Expected<'a> {
    pub(super) family: Family,
    pub(super) key: &'a [u8],
    pub(super) value: Option<&'a [u8]>,
}

impl Batch {
    /// A batch without changes, which consumes one position.
    pub fn new() -> Self {
        Self {
            buffer: Encoder::default(),
            changes: Vec::new(),
            expectations: Vec::new(),
            hooks: Vec::new(),
            slots: 1,
            failure: None,
        }
    }

    /// Makes the batch consume `count` consecutive positions instead of one: slots 0 to `count - 1`.
    ///
    /// With no slots the commit answers with the position of the one before it.
    pub fn slots(&mut self, count: u16) {
        self.slots = count;
    }

    /// Has the writer call `hook` with the position of slot 0 when the batch is durable and visible, in commit order and
    /// before the [`Commit`](super::Commit) resolves.
    ///
    /// Every commit waits for it, so it must be quick; it may queue a commit but not wait for one.
    pub fn on_visible(&mut self, hook: impl FnOnce(Position) + Send + 'static) {
        self.hooks.push(Box::new(hook));
    }

    /// Adds everything of another batch, whose slots come behind those of this one. Its hooks run first, and are given the
    /// position of this one's slot 0.
    pub fn absorb(&mut self, other: Self) {
        let (start, slots) = (self.buffer.len(), self.slots);
        let behind = |range: Range<usize>| range.start + start..range.end + start;
        self.buffer.append(other.buffer, slots);
        self.changes.extend(other.changes.into_iter().map(|change| match change {
            Change::Put { family, key, value } => Change::Put { family, key: behind(key), value: behind(value) },
            Change::Delete { family, key } => Change::Delete { family, key: behind(key) },
            Change::DeleteRange { family, start, end } => {
                Change::DeleteRange { family, start: behind(start), end: behind(end) }
            }
        }));
        self.expectations.extend(other.expectations.into_iter().map(|Expectation { family, key, value }| {
            Expectation { family, key: behind(key), value: value.map(behind) }
        }));
        self.hooks.splice(..0, other.hooks);
        self.slots += other.slots;
        self.failure = self.failure.take().or(other.failure);
    }

    /// Whether there is nothing to write and nothing to check.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.expectations.is_empty()
    }

    /// What an engine has to apply, in order; later changes win over earlier ones.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let bytes = self.buffer.bytes();
        self.changes.iter().map(move |change| match change {
            Change::Put { family, key, value } => {
                Operation::Put { family: *family, key: &bytes[key.clone()], value: &bytes[value.clone()] }
            }
            Change::Delete { family, key } => Operation::Delete { family: *family, key: &bytes[key.clone()] },
            Change::DeleteRange { family, start, end } => {
                Operation::DeleteRange { family: *family, start: &bytes[start.clone()], end: &bytes[end.clone()] }
            }
        })
    }

    /// Appends bytes written by `write` and says where they are; a failure is kept for the commit to report.
    fn record(&mut self, write: impl FnOnce(&mut Encoder) -> Result<()>) -> Range<usize> {
        let start = self.buffer.len();
        if let Err(error) = write(&mut self.buffer) {
            self.failure.get_or_insert(error);
        }
        start..self.buffer.len()
    }

    pub(super) fn put(
        &mut self,
        family: Family,
        key: impl FnOnce(&mut Encoder),
        value: impl FnOnce(&mut Encoder) -> Result<()>,
    ) {
        let key = self.record_key(key);
        let value = self.record(value);
        self.changes.push(Change::Put { family, key, value });
    }

    pub(super) fn delete(&mut self, family: Family, key: impl FnOnce(&mut Encoder)) {
        let key = self.record_key(key);
        self.changes.push(Change::Delete { family, key });
    }

    pub(super) fn delete_range(&mut self, family: Family, start: &[u8], end: &[u8]) {
        if start >= end {
            return;
        }
        let start = self.record_key(|out| out.extend(start));
        let end = self.record_key(|out| out.extend(end));
        self.changes.push(Change::DeleteRange { family, start, end });
    }

    pub(super) fn expect(
        &mut self,
        family: Family,
        key: impl FnOnce(&mut Encoder),
        value: Option<impl FnOnce(&mut Encoder) -> Result<()>>,
    ) {
        let key = self.record_key(key);
        let value = value.map(|value| self.record(value));
        self.expectations.push(Expectation { family, key, value });
    }

    fn record_key(&mut self, key: impl FnOnce(&mut Encoder)) -> Range<usize> {
        let start = self.buffer.len();
        key(&mut self.buffer);
        start..self.buffer.len()
    }

    pub(super) fn expectations(&self) -> impl ExactSizeIterator<Item = Expected<'_>> {
        let bytes = self.buffer.bytes();
        self.expectations.iter().map(move |expectation| Expected {
            family: expectation.family,
            key: &bytes[expectation.key.clone()],
            value: expectation.value.clone().map(|value| &bytes[value]),
        })
    }

    /// Why the batch cannot be committed at all: a value would not encode, or a slot was used that was not asked for.
    pub(super) fn take_failure(&mut self) -> Option<Error> {
        if let Some(error) = self.failure.take() {
            return Some(error);
        }
        let highest = self.buffer.highest_slot()?;
        (highest >= self.slots)
            .then(|| Error::internal(format_args!("slot {highest} was used in a batch with {} slots", self.slots)))
    }

    /// Fills in the commit's positions, counting from `base`.
    pub(super) fn stamp(&mut self, base: Position) {
        self.buffer.stamp(base);
    }

    pub(super) fn take_hooks(&mut self) -> Vec<Hook> {
        std::mem::take(&mut self.hooks)
    }

    /// How many positions the batch consumes.
    pub fn slot_count(&self) -> u16 {
        self.slots
    }

    /// How much the batch holds, in bytes of keys and values.
    pub(super) fn size(&self) -> usize {
        self.buffer.len()
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("changes", &self.changes.len())
            .field("expectations", &self.expectations.len())
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}
