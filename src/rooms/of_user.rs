//! The rooms of one user: where they are joined, invited, or were before.

use ruma::{OwnedRoomId, RoomId, UserId, events::room::member::MembershipState};
use tokio::task::coop::consume_budget;

use super::Rooms;
use crate::{
    error::Result,
    storage::{
        Direction, KeyRange, Order, Position, Snapshot, Stamped,
        schema::rooms::{MEMBERSHIPS, Membership, TIMELINE},
    },
};

impl Rooms {
    /// Every room that the user ever had to do with, with the membership and the position that it has held since.
    pub async fn of_user(&self, snapshot: &Snapshot, user: &UserId) -> Result<Vec<(OwnedRoomId, Stamped<Membership>)>> {
        let rows = MEMBERSHIPS.scan(snapshot, KeyRange::prefix((user,)), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|((_, room_id), row)| (room_id, row)).collect())
    }

    /// The rooms that the user is joined to.
    pub async fn joined(&self, snapshot: &Snapshot, user: &UserId) -> Result<Vec<OwnedRoomId>> {
        let rooms = self.of_user(snapshot, user).await?.into_iter();
        let joined = rooms.filter(|(_, row)| row.value.membership == MembershipState::Join);
        Ok(joined.map(|(room_id, _)| room_id).collect())
    }

    /// The user's relation to one room, if there ever was one.
    pub async fn membership(
        &self,
        snapshot: &Snapshot,
        room_id: &RoomId,
        user: &UserId,
    ) -> Result<Option<Stamped<Membership>>> {
        MEMBERSHIPS.get(snapshot, (user, room_id)).await
    }

    /// Whether the user is joined to the room as of `snapshot`.
    pub async fn is_joined(&self, snapshot: &Snapshot, room_id: &RoomId, user: &UserId) -> Result<bool> {
        if let Some(current) = self.state_as_of(snapshot, room_id) {
            return Ok(current.is_joined(user));
        }
        let row = self.membership(snapshot, room_id, user).await?;
        Ok(row.is_some_and(|row| row.value.membership == MembershipState::Join))
    }

    /// The rooms that the user is joined to and in which something happened after `since`, at the cost of two look-ups for
    /// each room.
    pub async fn joined_and_changed(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        since: Position,
    ) -> Result<Vec<OwnedRoomId>> {
        let mut changed = Vec::new();
        for room_id in self.joined(snapshot, user).await? {
            // There may be thousands, and others wait for the thread.
            consume_budget().await;
            let events = KeyRange::prefix_after((&room_id,), Order::Live(since));
            if !TIMELINE.scan(snapshot, events, Direction::Forward, 1).await?.is_empty()
                || self.has_receipt_since(snapshot, &room_id, since).await?
            {
                changed.push(room_id);
            }
        }
        Ok(changed)
    }
}
