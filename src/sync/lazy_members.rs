//! Which members a device has been told of, so that lazy loading does not repeat them with every message.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use quick_cache::sync::Cache;
use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId};

use crate::streams::Position;

/// How many pairs of device and room are remembered. A forgotten one costs a repetition and nothing else.
const REMEMBERED: usize = 50_000;

/// A device in a room.
pub(super) type Place = (OwnedUserId, OwnedDeviceId, OwnedRoomId);

/// A memory of the members that were sent; it may lose anything at any time.
#[derive(Clone, Debug)]
pub(super) struct LazyMembers(Arc<Cache<Place, Arc<Mutex<Told>>>>);

/// The members that a device was told of in a room, each with the position of the answer that told it. A device that stands
/// at that position or later has received that answer; one that stands before it may have lost it on its way.
type Told = HashMap<OwnedUserId, Position>;

impl Default for LazyMembers {
    fn default() -> Self {
        Self(Arc::new(Cache::new(REMEMBERED)))
    }
}

impl LazyMembers {
    /// Of the `wanted` members, those that a device which stands at `since` has not been told of; the answer that brings them
    /// leads to `until`. A device without a position knows nobody.
    pub fn untold(
        &self,
        place: Place,
        (since, until): (Option<Position>, Position),
        wanted: HashSet<OwnedUserId>,
    ) -> HashSet<OwnedUserId> {
        let told = match self.0.get(&place) {
            Some(told) => told,
            None => {
                let told = Arc::<Mutex<Told>>::default();
                self.0.insert(place, told.clone());
                told
            }
        };
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_none() {
            told.clear();
        }
        let knows = |user: &OwnedUserId| since.is_some_and(|since| told.get(user).is_some_and(|at| *at <= since));
        let untold: HashSet<_> = wanted.into_iter().filter(|user| !knows(user)).collect();
        told.extend(untold.iter().map(|user| (user.clone(), until)));
        untold
    }
}

#[cfg(test)]
mod tests {
    use ruma::{device_id, owned_user_id, room_id, user_id};

    use super::*;

    fn place() -> Place {
        (user_id!("@a:b.c").to_owned(), device_id!("D").to_owned(), room_id!("!r:b.c").to_owned())
    }

    #[test]
    fn a_member_is_told_once_unless_the_answer_was_lost() {
        let members = LazyMembers::default();
        let bob = || HashSet::from([owned_user_id!("@bob:b.c")]);
        let at = |since: Option<u64>, until: u64| (since.map(Position::from), Position::from(until));
        assert_eq!(members.untold(place(), at(None, 5), bob()), bob());
        assert_eq!(members.untold(place(), at(Some(4), 6), bob()), bob(), "the answer up to 5 may have been lost");
        assert_eq!(members.untold(place(), at(Some(6), 7), bob()), HashSet::new());
        assert_eq!(members.untold(place(), at(Some(4), 8), bob()), bob(), "the device went back to an old token");
        assert_eq!(members.untold(place(), at(None, 9), bob()), bob(), "a new start knows nobody");
    }
}
