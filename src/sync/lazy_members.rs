//! Which members a device has been told of, so that lazy loading does not repeat them with every message.

use std::{
    collections::HashSet,
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
pub(super) struct LazyMembers(Arc<Cache<Place, Arc<Mutex<Sent>>>>);

/// What a device has been told in a room.
#[derive(Debug, Default)]
struct Sent {
    /// Members in answers that the device has certainly received, because it came back with a later token.
    received: HashSet<OwnedUserId>,
    /// Members in the answer that led to `at`, which may have been lost on its way.
    under_way: HashSet<OwnedUserId>,
    at: Position,
}

impl Default for LazyMembers {
    fn default() -> Self {
        Self(Arc::new(Cache::new(REMEMBERED)))
    }
}

impl LazyMembers {
    /// Of the `wanted` members, those that a device which stands at `since` has not been told of. They are taken as told once
    /// the device comes back with `until` or a later token. A device without a position knows nobody.
    pub fn untold(
        &self,
        place: Place,
        (since, until): (Option<Position>, Position),
        wanted: HashSet<OwnedUserId>,
    ) -> HashSet<OwnedUserId> {
        let sent = match self.0.get(&place) {
            Some(sent) => sent,
            None => {
                let sent = Arc::<Mutex<Sent>>::default();
                self.0.insert(place, sent.clone());
                sent
            }
        };
        let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = std::mem::take(&mut sent.under_way);
        match since {
            None => sent.received.clear(),
            Some(since) if since >= sent.at => sent.received.extend(under_way),
            Some(_) => {}
        }
        let untold: HashSet<_> = wanted.difference(&sent.received).cloned().collect();
        sent.under_way = untold.clone();
        sent.at = until;
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
        assert_eq!(members.untold(place(), at(None, 8), bob()), bob(), "a new start knows nobody");
    }
}
