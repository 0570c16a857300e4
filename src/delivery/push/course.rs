//! What the worker of a pusher knows: how far it is, what it has yet to look at, and the unread counts of its user.

use std::collections::{BTreeSet, HashMap};

use ruma::OwnedRoomId;

use super::progress;
use crate::{
    config::Badge,
    storage::{
        Position,
        schema::delivery::{PushFailing, PushProgress},
    },
};

/// What the worker of a pusher knows. All but `progress` may be lost, at the cost of working it out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Course {
    /// How far the pusher is.
    pub progress: PushProgress,
    /// The position in `progress` that was kept last.
    pub kept: Position,
    /// When the pusher was set as the worker knows it.
    pub set_at: u64,
    /// The events to look at, oldest first.
    pub waiting: BTreeSet<(Position, OwnedRoomId)>,
    /// The rooms whose events were listed already, each up to where, while something waits.
    listed: HashMap<OwnedRoomId, Position>,
    /// The unread notifications by room, zeros left out; `None` before anybody asked.
    pub counts: Option<HashMap<OwnedRoomId, u64>>,
}

impl Course {
    /// Of a pusher that is told of events from `since` on, and was told of none.
    pub fn new(since: Position, set_at: u64) -> Self {
        let progress = PushProgress { since, done: since, badge: 0, failing: None };
        Self::going_on(progress, set_at)
    }

    /// Of a pusher that is as far as `progress` says.
    pub fn going_on(progress: PushProgress, set_at: u64) -> Self {
        let kept = progress.done;
        Self { progress, kept, set_at, waiting: BTreeSet::new(), listed: HashMap::new(), counts: None }
    }

    /// The position after which a room's events have not been listed.
    pub fn unlisted_after(&self, room_id: &OwnedRoomId) -> Position {
        self.listed.get(room_id).copied().unwrap_or_default().max(self.progress.done)
    }

    /// Adds the events of a room that came up to `until`.
    pub fn list(&mut self, room_id: &OwnedRoomId, places: Vec<Position>, until: Position) {
        self.waiting.extend(places.into_iter().map(|place| (place, room_id.clone())));
        self.listed.insert(room_id.clone(), until);
    }

    /// Takes note that the event at `place` was told, or need not be.
    pub fn pass(&mut self, place: &(Position, OwnedRoomId)) {
        self.waiting.remove(place);
        self.progress.done = self.progress.done.max(place.0);
    }

    /// Takes note that nothing is left up to `until`.
    pub fn caught_up(&mut self, until: Position) {
        self.waiting.clear();
        self.listed.clear();
        self.progress.done = self.progress.done.max(until);
    }

    /// Takes note of how much is unread in a room.
    pub fn count(&mut self, room_id: &OwnedRoomId, unread: u64) {
        let Some(counts) = &mut self.counts else { return };
        match unread {
            0 => drop(counts.remove(room_id)),
            unread => drop(counts.insert(room_id.clone(), unread)),
        }
    }

    /// The number on the badge; `None` before anybody counted.
    pub fn badge(&self, badge: Badge) -> Option<u64> {
        let counts = self.counts.as_ref()?;
        Some(match badge {
            Badge::Messages => counts.values().sum(),
            Badge::Rooms => counts.len() as u64,
        })
    }

    /// Takes note that the gateway was told at last, or that what it was to be told is given up.
    pub fn succeed(&mut self) {
        self.progress.failing = None;
    }

    /// Takes note that the gateway could not be told at `now`; it asked to be left alone for `pause` milliseconds.
    pub fn fail(&mut self, now: u64, pause: Option<u64>) -> PushFailing {
        let failing = progress::next_attempt(self.progress.failing, now, pause);
        self.progress.failing = Some(failing);
        failing
    }
}

#[cfg(test)]
mod tests {
    use ruma::owned_room_id;

    use super::*;

    #[test]
    fn a_badge_counts_messages_or_rooms() {
        let mut course = Course::new(1.into(), 0);
        assert_eq!(course.badge(Badge::Messages), None);
        course.counts = Some(HashMap::new());
        course.count(&owned_room_id!("!one:example.org"), 3);
        course.count(&owned_room_id!("!two:example.org"), 2);
        assert_eq!((course.badge(Badge::Messages), course.badge(Badge::Rooms)), (Some(5), Some(2)));
        course.count(&owned_room_id!("!one:example.org"), 0);
        assert_eq!((course.badge(Badge::Messages), course.badge(Badge::Rooms)), (Some(2), Some(1)));
    }

    #[test]
    fn what_was_listed_is_not_listed_again_and_what_came_later_is() {
        let room = owned_room_id!("!one:example.org");
        let mut course = Course::new(10.into(), 0);
        assert_eq!(course.unlisted_after(&room), 10.into());
        course.list(&room, vec![12.into(), 14.into()], 15.into());
        assert_eq!(course.unlisted_after(&room), 15.into());
        course.pass(&(12.into(), room.clone()));
        assert_eq!((course.progress.done, course.waiting.len()), (12.into(), 1));
        course.caught_up(20.into());
        assert_eq!((course.unlisted_after(&room), course.waiting.len()), (20.into(), 0));
        course.caught_up(19.into());
        assert_eq!(course.progress.done, 20.into(), "it never goes back");
    }
}
