//! How the state of a room differs between two places of its timeline, at a cost that grows with the difference.

use std::collections::BTreeMap;

use super::{Room, Rooms, timeline::TimelineEvent};
use crate::{
    error::Result,
    storage::{
        Direction, KeyRange, Order, Snapshot,
        schema::rooms::{STATE_CHANGES, StatePlace},
    },
};

impl Rooms {
    /// The state events that hold after `until` and did not after `since`, oldest first.
    pub async fn state_delta(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        since: Order,
        until: Order,
    ) -> Result<Vec<TimelineEvent>> {
        if let Order::Live(since) = since
            && room.current_as_of(snapshot.position()).is_some_and(|current| current.changed <= since)
        {
            return Ok(Vec::new());
        }
        let range = KeyRange::prefix_after((&room.id,), since).and(KeyRange::prefix_until((&room.id,), until));
        let changes = STATE_CHANGES.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
        let newest: BTreeMap<StatePlace, Order> =
            changes.into_iter().map(|((_, order), place)| (place, order)).collect();
        let mut orders: Vec<Order> = newest.into_values().collect();
        orders.sort_unstable();
        self.events_at(snapshot, room, &orders).await
    }
}
