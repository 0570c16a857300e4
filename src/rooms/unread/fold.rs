//! The counts of unread events as a pure fold over the timeline.
//!
//! The events of a room go in one after the other, each with what it means to the reader; the counts come out. Nothing is
//! ever counted down: whatever the fold cannot follow by going forward makes it start again.

use std::{
    collections::BTreeMap,
    ops::{Add, AddAssign},
};

use ruma::OwnedEventId;

use crate::{
    matrix::push_rules::Verdict,
    rooms::{receipts::ReadUpTo, threads::Thread},
    storage::Order,
};

/// How many events are unread that the reader's push rules notify of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub notifications: u64,
    /// Those that stand out.
    pub highlights: u64,
}

/// What is unread in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Outside of threads.
    pub main: Counts,
    /// In the threads in which something is, by their roots.
    pub threads: BTreeMap<OwnedEventId, Counts>,
}

impl Unread {
    /// The counts of the whole room.
    pub fn total(&self) -> Counts {
        self.threads.values().fold(self.main, |total, counts| total + *counts)
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { notifications: self.notifications + other.notifications, highlights: self.highlights + other.highlights }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// What an event means to a reader's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing at all.
    Nothing,
    /// The reader is to be notified.
    Notifies {
        /// Whether it stands out.
        highlight: bool,
    },
    /// The reader said it themselves, and so has read what was said before in that thread.
    Own,
}

impl From<Verdict> for Meaning {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict { notify: true, highlight } => Self::Notifies { highlight },
            Verdict { notify: false, .. } => Self::Nothing,
        }
    }
}

/// The unread events of one reader in one room, after the events up to some place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fold {
    read: ReadUpTo,
    until: Order,
    tallies: BTreeMap<Thread, Tally>,
}

/// What is unread in one thread; never nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tally {
    counts: Counts,
    /// The place of the first event that counts.
    oldest: Order,
    /// The place of the last event that counts.
    newest: Order,
}

impl Fold {
    /// Before the first event that may be unread, which is the one after [`ReadUpTo::everywhere`].
    pub fn new(read: ReadUpTo) -> Self {
        Self { until: read.everywhere(), read, tallies: BTreeMap::new() }
    }

    /// How far the reader has read.
    pub fn read(&self) -> &ReadUpTo {
        &self.read
    }

    /// The place up to which the events are folded in.
    pub fn until(&self) -> Order {
        self.until
    }

    /// Folds in the next event, which stands in `thread` at `place`. An event that means nothing may be left out.
    pub fn note(&mut self, place: Order, thread: Thread, meaning: Meaning) {
        match meaning {
            Meaning::Nothing => {}
            Meaning::Own => drop(self.tallies.remove(&thread)),
            Meaning::Notifies { .. } if place <= self.read.in_thread(&thread) => {}
            Meaning::Notifies { highlight } => {
                let new = Tally { counts: Counts::default(), oldest: place, newest: place };
                let tally = self.tallies.entry(thread).or_insert(new);
                tally.counts += Counts { notifications: 1, highlights: u64::from(highlight) };
                tally.newest = place;
            }
        }
    }

    /// Takes note that everything up to `place` is folded in.
    pub fn pass(&mut self, place: Order) {
        self.until = place;
    }

    /// The same fold for a reader who has read on, or `None` if the events have to be looked at again to tell.
    pub fn read_on(&self, read: ReadUpTo) -> Option<Self> {
        if read == self.read {
            return Some(self.clone());
        }
        // Starting behind the receipts is less work than folding what lies before them.
        if !self.read.is_within(&read) || read.everywhere() > self.until {
            return None;
        }
        let mut tallies = BTreeMap::new();
        for (thread, tally) in &self.tallies {
            let place = read.in_thread(thread);
            if place < tally.oldest {
                tallies.insert(thread.clone(), *tally);
            } else if place < tally.newest {
                return None;
            }
        }
        Some(Self { read, until: self.until, tallies })
    }

    /// Whether an event that notifies and stands in `thread` at `place` is among those that count.
    pub fn has_unread(&self, thread: &Thread, place: Order) -> bool {
        self.tallies.get(thread).is_some_and(|tally| tally.oldest <= place && place <= tally.newest)
    }

    /// The counts.
    pub fn unread(&self) -> Unread {
        let mut unread = Unread::default();
        for (thread, tally) in &self.tallies {
            match thread {
                Thread::Main => unread.main = tally.counts,
                Thread::Root(root) => drop(unread.threads.insert(root.clone(), tally.counts)),
            }
        }
        unread
    }
}

#[cfg(test)]
mod tests;
