//! The whole state of a room at any place of its timeline: the state in memory, wound back or forward by what changed between.

use std::{collections::BTreeSet, sync::Arc};

use ruma::events::StateEventType;

use super::{Room, RoomState, Rooms};
use crate::{
    error::Result,
    storage::{
        Direction, KeyRange, Order, Snapshot,
        schema::rooms::{STATE_CHANGES, STATE_HISTORY, StatePlace},
    },
};

impl Rooms {
    /// The state after everything up to and with `order`, as one map that nobody changes any more.
    ///
    /// Costs as much as there are state changes between `order` and now, and nothing if there are none.
    pub async fn state_at(&self, room: &Room, order: Order) -> Result<Arc<RoomState>> {
        let current = room.current();
        // Taken after the state, so that the snapshot holds all that the state holds.
        let snapshot = self.shared.store.snapshot();
        let now = Order::Live(current.position);
        let range = KeyRange::prefix_after((&room.id,), order.min(now));
        let range = range.and(KeyRange::prefix_until((&room.id,), order.max(now)));
        let changes = STATE_CHANGES.scan(&snapshot, range, Direction::Forward, usize::MAX).await?;
        let places: BTreeSet<StatePlace> = changes.into_iter().map(|(_, place)| place).collect();
        if places.is_empty() {
            return Ok(current);
        }
        let mut state = (*current).clone();
        for place in places {
            self.wind(&snapshot, room, &mut state, place, order).await?;
        }
        Ok(Arc::new(state))
    }

    /// Gives one piece of `state` the version that it had at `order`.
    async fn wind(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        state: &mut RoomState,
        place: StatePlace,
        order: Order,
    ) -> Result<()> {
        let StatePlace { kind, state_key } = place;
        let range = KeyRange::prefix_until((&room.id, kind.as_str(), state_key.as_str()), order);
        let versions = STATE_HISTORY.scan(snapshot, range, Direction::Reverse, 1).await?;
        let version = match versions.into_iter().next() {
            Some((_, version)) => self.event(snapshot, room, &version.event_id).await?,
            None => None,
        };
        match version {
            Some(version) => state.set(Arc::new(version.event)),
            None => state.remove(&StateEventType::from(kind), &state_key),
        }
        Ok(())
    }
}
