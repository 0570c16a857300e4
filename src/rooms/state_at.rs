//! The whole state of a room at any place of its timeline: the state in memory, wound back or forward by what changed between.

use std::{collections::BTreeSet, sync::Arc};

use ruma::RoomId;

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
        // Most states that are asked for are the current one, which is known without asking the storage.
        if let Order::Live(position) = order
            && let Some(current) = room.current_as_of(position)
            && current.changed <= position
        {
            return Ok(current);
        }
        // Taken after the state, so that the snapshot holds all that the state holds.
        let snapshot = self.shared.store.snapshot();
        let now = Order::Live(current.position);
        let range = KeyRange::prefix_after((&room.id,), order.min(now));
        let range = range.and(KeyRange::prefix_until((&room.id,), order.max(now)));
        let changes = STATE_CHANGES.scan(&snapshot, range, Direction::Forward, usize::MAX).await?;
        if changes.is_empty() {
            return Ok(current);
        }
        let mut state = (*current).clone();
        let changed: BTreeSet<StatePlace> = changes.into_iter().map(|(_, place)| place).collect();
        let mut versions = Vec::with_capacity(changed.len());
        for StatePlace { kind, state_key } in changed {
            match self.state_version(&snapshot, &room.id, (&kind, &state_key), order).await? {
                Some(version) => versions.push(version),
                None => state.remove(&kind.into(), &state_key),
            }
        }
        for version in self.events_at(&snapshot, room, &versions).await? {
            state.set_stored(Arc::new(version.event), version.header.redacted_by);
        }
        Ok(Arc::new(state))
    }

    /// The place of the state event with this type and state key that held right after the event at `order`.
    pub(super) async fn state_version(
        &self,
        snapshot: &Snapshot,
        room_id: &RoomId,
        (kind, state_key): (&str, &str),
        order: Order,
    ) -> Result<Option<Order>> {
        let range = KeyRange::prefix_until((room_id, kind, state_key), order);
        let rows = STATE_HISTORY.scan(snapshot, range, Direction::Reverse, 1).await?;
        Ok(rows.into_iter().next().map(|((.., place), _)| place))
    }
}
