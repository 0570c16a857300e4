//! The rooms that two people share ([spec](https://spec.matrix.org/v1.19/client-server-api/#mutual-rooms)).

use ruma::{OwnedRoomId, RoomId, UserId, events::room::member::MembershipState};

use super::Rooms;
use crate::{
    error::{Error, Result},
    storage::schema::rooms::MEMBERSHIPS,
};

/// How many rooms come at once.
const AT_ONCE: usize = 100;

/// Some of the rooms that two people share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutualRooms {
    /// The rooms, in the order of their ids.
    pub rooms: Vec<OwnedRoomId>,
    /// How many there are in all.
    pub count: usize,
    /// After which room it goes on, if it does.
    pub next: Option<OwnedRoomId>,
}

impl Rooms {
    /// The rooms that `user` shares with `other`, after the room where the last page ended. None with somebody who does not exist.
    ///
    /// Costs two look-ups for each room of `user`.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the two are the same.
    pub async fn mutual_rooms(&self, user: &UserId, other: &UserId, after: Option<&RoomId>) -> Result<MutualRooms> {
        if user == other {
            return Err(Error::invalid("You share every room of yours with yourself: name somebody else."));
        }
        let snapshot = self.shared.store.snapshot();
        let own = self.joined(&snapshot, user).await?;
        let rows = MEMBERSHIPS.get_many(&snapshot, own.iter().map(|room| (other, room))).await?;
        let is_joined = |row: Option<_>| row.is_some_and(|row: crate::storage::Stamped<_>| joined(&row.value));
        let shared: Vec<_> =
            own.into_iter().zip(rows).filter_map(|(room, row)| is_joined(row).then_some(room)).collect();
        let count = shared.len();
        let mut rest = shared.into_iter().filter(|room| after.is_none_or(|after| **room > *after));
        let rooms: Vec<_> = rest.by_ref().take(AT_ONCE).collect();
        let next = rest.next().and_then(|_| rooms.last().cloned());
        Ok(MutualRooms { rooms, count, next })
    }
}

fn joined(membership: &crate::storage::schema::rooms::Membership) -> bool {
    membership.membership == MembershipState::Join
}
