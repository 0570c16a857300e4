//! What is noted for each pusher until its worker takes it, in memory.
//!
//! The notes of several rows of the log and the position up to which they reach change together. So a worker that takes
//! notes knows that nothing up to that position is missing from them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ruma::OwnedRoomId;
use tokio::sync::Notify;

use super::{Key, course::Course};
use crate::storage::Position;

/// Where something happened that may concern a pusher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// In any room of the user: what is known of them is to be worked out anew.
    pub everywhere: bool,
    /// In these rooms.
    pub rooms: BTreeSet<OwnedRoomId>,
    /// To the pusher itself, which may have been set again or be gone.
    pub itself: bool,
}

/// The notes for all pushers.
#[derive(Default)]
pub(super) struct Lines(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    lines: HashMap<Key, Line>,
    /// The position up to which the log was read and noted.
    followed: Position,
}

#[derive(Default)]
struct Line {
    due: Due,
    running: bool,
    /// What the worker knew when it rested.
    course: Option<Box<Course>>,
    /// Tells a worker that waits for its next attempt that the pusher was set again.
    renewed: Arc<Notify>,
}

/// What a worker takes to work on.
pub(super) struct Taken {
    /// What is new since the worker last took something.
    pub due: Due,
    /// The position up to which nothing is missing from what was taken.
    pub followed: Position,
}

impl Due {
    /// Something happened in one room.
    pub fn in_room(room: OwnedRoomId) -> Self {
        Self { rooms: BTreeSet::from([room]), ..Self::default() }
    }

    /// Something happened that may change everything.
    pub fn everywhere() -> Self {
        Self { everywhere: true, ..Self::default() }
    }

    /// The pusher itself changed.
    pub fn itself() -> Self {
        Self { itself: true, ..Self::default() }
    }

    /// Both together.
    pub fn add(&mut self, other: Self) {
        self.everywhere |= other.everywhere;
        self.itself |= other.itself;
        self.rooms.extend(other.rooms);
    }

    fn is_nothing(&self) -> bool {
        !self.everywhere && !self.itself && self.rooms.is_empty()
    }
}

impl Lines {
    /// Adds notes and the position up to which they reach; gives the pushers that need a worker now.
    pub fn note(&self, notes: HashMap<Key, Due>, followed: Position) -> Vec<Key> {
        let mut inner = self.lock();
        inner.followed = inner.followed.max(followed);
        let mut resting = Vec::new();
        for (key, due) in notes {
            let line = inner.lines.entry(key.clone()).or_default();
            if due.itself {
                line.renewed.notify_one();
            }
            line.due.add(due);
            if !std::mem::replace(&mut line.running, true) {
                resting.push(key);
            }
        }
        resting
    }

    /// What a worker starts with: what was known of its pusher, and what wakes it early.
    pub fn start(&self, key: &Key) -> (Option<Box<Course>>, Arc<Notify>) {
        let mut inner = self.lock();
        let line = inner.lines.entry(key.clone()).or_default();
        (line.course.take(), line.renewed.clone())
    }

    /// Takes what is noted for a pusher, if only nothing.
    pub fn take(&self, key: &Key) -> Taken {
        let mut inner = self.lock();
        let followed = inner.followed;
        let due = inner.lines.get_mut(key).map(|line| std::mem::take(&mut line.due)).unwrap_or_default();
        Taken { due, followed }
    }

    /// Ends a worker that has nothing left to do, unless something is noted by now, in which case it gets its course back.
    pub fn rest(&self, key: &Key, course: Option<Box<Course>>) -> Result<(), Option<Box<Course>>> {
        let mut inner = self.lock();
        let Some(line) = inner.lines.get_mut(key) else { return Ok(()) };
        if !line.due.is_nothing() {
            return Err(course);
        }
        match course {
            Some(_) => (line.running, line.course) = (false, course),
            None => drop(inner.lines.remove(key)),
        }
        Ok(())
    }

    /// Takes note that a worker ended without resting, so that the next note starts another one.
    pub fn abandon(&self, key: &Key) {
        if let Some(line) = self.lock().lines.get_mut(key) {
            line.running = false;
        }
    }

    /// Takes out the courses of all workers that rest.
    pub fn courses(&self) -> Vec<(Key, Box<Course>)> {
        let mut inner = self.lock();
        let rest = inner.lines.iter_mut();
        rest.filter_map(|(key, line)| line.course.take().map(|course| (key.clone(), course))).collect()
    }

    /// The map holds no invariant that a panic elsewhere could have broken, so a poisoned lock is used as it is.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ruma::{owned_room_id, owned_user_id};

    use super::*;

    fn key() -> Key {
        Key { user: owned_user_id!("@alice:example.org"), app_id: "app".into(), pushkey: "key".into() }
    }

    fn note(lines: &Lines, due: Due, followed: u64) -> Vec<Key> {
        lines.note(HashMap::from([(key(), due)]), followed.into())
    }

    #[test]
    fn a_pusher_has_one_worker_that_misses_nothing() {
        let lines = Lines::default();
        let room = owned_room_id!("!one:example.org");
        assert_eq!(note(&lines, Due::in_room(room.clone()), 3), [key()]);
        assert_eq!(note(&lines, Due::everywhere(), 4), [], "it runs already");
        let taken = lines.take(&key());
        assert_eq!((taken.due.everywhere, taken.due.rooms.contains(&room)), (true, true));
        assert_eq!(taken.followed, 4.into());

        let course = || Some(Box::new(Course::new(7.into(), 0)));
        assert_eq!(note(&lines, Due::in_room(room.clone()), 5), []);
        assert!(lines.rest(&key(), course()).is_err(), "there is something new");
        assert_eq!(lines.take(&key()).due, Due::in_room(room));
        assert!(lines.rest(&key(), course()).is_ok());
        assert_eq!(note(&lines, Due::itself(), 6), [key()], "it has to be started again");
        assert!(lines.start(&key()).0.is_some(), "and knows what it knew");
    }

    #[test]
    fn a_pusher_that_is_gone_is_forgotten() {
        let lines = Lines::default();
        note(&lines, Due::itself(), 1);
        lines.take(&key());
        assert!(lines.rest(&key(), None).is_ok());
        assert_eq!(note(&lines, Due::itself(), 2), [key()]);
        assert!(lines.start(&key()).0.is_none());
    }
}
