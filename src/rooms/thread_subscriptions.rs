//! Which threads a user may subscribe to, and which events subscribe them (MSC4306).

use ruma::{EventId, RoomId, UserId, events::relation::RelationType};

use super::{Reading, Rooms, timeline::no_such_event};
use crate::{
    error::{Kind, Result},
    storage::{Order, Position},
};

impl Rooms {
    /// Checks that the root of a thread is open to a user, who may ignore its sender and not the thread, and, if there is a `cause`, that this event is in the thread; gives the
    /// position of the cause.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if the user sees no such root, [`Kind::NotInThread`] if they see no such cause in the thread.
    pub async fn check_thread_to_follow(
        &self,
        room_id: &RoomId,
        user: &UserId,
        root: &EventId,
        cause: Option<&EventId>,
    ) -> Result<Option<Position>> {
        let reading = self.read(room_id, user).await.map_err(|error| match error.kind {
            Kind::Forbidden => no_such_event(),
            _ => error,
        })?;
        let found = self.event(&reading.snapshot, &reading.room, root).await?;
        found.filter(|found| reading.viewer.may_see_place(found.order)).ok_or_else(no_such_event)?;
        match cause {
            Some(cause) => self.place_in_thread(&reading, root, cause).await.map(Some),
            None => Ok(None),
        }
    }

    async fn place_in_thread(&self, reading: &Reading, root: &EventId, cause: &EventId) -> Result<Position> {
        let not_in_thread = || Kind::NotInThread.with("The event that causes the subscription is not in the thread.");
        let found = self.event(&reading.snapshot, &reading.room, cause).await?;
        let found =
            found.filter(|found| reading.viewer.may_see(found.order, &found.event)).ok_or_else(not_in_thread)?;
        let relation = found.event.relation();
        if !relation.is_some_and(|relation| relation.kind == RelationType::Thread && relation.event_id == root) {
            return Err(not_in_thread());
        }
        Ok(match found.order {
            Order::Live(position) => position,
            // What came in as history is older than every decision.
            Order::Backfilled(_) => Position::ZERO,
        })
    }
}
