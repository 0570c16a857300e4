//! Finds the event nearest to a time
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event)).

use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UserId};

use super::{Reading, Rooms, stretch::Stretch, timeline::TimelineEvent};
use crate::{
    error::{Error, Result},
    storage::{
        Direction, KeyRange, Order,
        schema::rooms::{EVENT_TIMES, TIMELINE},
    },
};

/// How many entries of the index are read at a time.
const CHUNK: usize = 64;
/// How many entries of the index one request reads at most.
const READ_AT_MOST: usize = 4_096;
/// How many events at the edge of each part that the reader may see are looked at when the index has led nowhere.
const EDGE: usize = 64;
/// How many such parts are looked at.
const PARTS: usize = 32;

impl Rooms {
    /// The visible event that bears `time` or the next time in `direction`. Of those that bear the same time it is the first
    /// one in that direction.
    ///
    /// Where thousands of events near that time are closed to the reader, the nearest open one is looked for at the edges of
    /// what is open: the cost is bounded, and the answer is still the nearest if times follow the timeline there.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the reader may see nothing of the room,
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) if there is no such event.
    pub async fn jump_to_date(
        &self,
        room_id: &RoomId,
        user: &UserId,
        time: MilliSecondsSinceUnixEpoch,
        direction: Direction,
    ) -> Result<(OwnedEventId, MilliSecondsSinceUnixEpoch)> {
        let reading = self.read(room_id, user).await?;
        let mut from = (u64::from(time.0), None);
        for _ in 0..READ_AT_MOST / CHUNK {
            let range = ahead(&reading, from, direction);
            let rows = EVENT_TIMES.scan(&reading.snapshot, range, direction, CHUNK).await?;
            let open: Vec<Order> = rows
                .iter()
                .map(|((.., order), ())| *order)
                .filter(|order| reading.viewer.may_see_place(*order))
                .collect();
            let found = self.events_at(&reading.snapshot, &reading.room, &open).await?;
            // Events at open places are closed only if their senders are ignored.
            if let Some(event) = found.into_iter().find(|found| reading.viewer.may_see(found.order, &found.event)) {
                return Ok((event.event.id, event.event.origin_server_ts));
            }
            match rows.last() {
                Some(((_, time, order), ())) if rows.len() == CHUNK => from = (*time, Some(*order)),
                _ => return Err(nothing_there()),
            }
        }
        self.nearest_at_an_edge(&reading, from.0, direction).await
    }

    /// The nearest visible event beyond `time` among those at the edges of the parts that the reader may see.
    async fn nearest_at_an_edge(
        &self,
        reading: &Reading,
        time: u64,
        direction: Direction,
    ) -> Result<(OwnedEventId, MilliSecondsSinceUnixEpoch)> {
        let mut stretches: Vec<Stretch> = reading.viewer.visible_stretches();
        if direction == Direction::Reverse {
            stretches.reverse();
        }
        let mut nearest: Option<TimelineEvent> = None;
        for stretch in stretches.into_iter().take(PARTS) {
            let range = stretch.rows(&reading.room.id);
            let rows = TIMELINE.scan(&reading.snapshot, range, direction, EDGE).await?;
            let orders: Vec<Order> = rows.iter().map(|((_, order), _)| *order).collect();
            for found in self.events_at(&reading.snapshot, &reading.room, &orders).await? {
                let distance = |event: &TimelineEvent| u64::from(event.event.origin_server_ts.0).abs_diff(time);
                let is_beyond = match direction {
                    Direction::Forward => u64::from(found.event.origin_server_ts.0) >= time,
                    Direction::Reverse => u64::from(found.event.origin_server_ts.0) <= time,
                };
                let is_nearer = nearest.as_ref().is_none_or(|nearest| distance(&found) < distance(nearest));
                if is_beyond && is_nearer && reading.viewer.may_see(found.order, &found.event) {
                    nearest = Some(found);
                }
            }
        }
        nearest.map(|found| (found.event.id, found.event.origin_server_ts)).ok_or_else(nothing_there)
    }
}

/// The part of the index at and beyond a time, or beyond one entry.
fn ahead(
    reading: &Reading,
    (time, entry): (u64, Option<Order>),
    direction: Direction,
) -> KeyRange<(ruma::OwnedRoomId, u64, Order)> {
    let room = &reading.room.id;
    let whole = KeyRange::prefix((room,));
    match (direction, entry) {
        (Direction::Forward, None) => KeyRange::prefix_from((room,), time),
        (Direction::Reverse, None) => KeyRange::prefix_until((room,), time),
        (Direction::Forward, Some(order)) => whole.and(KeyRange::after((room, time, order))),
        (Direction::Reverse, Some(order)) => whole.and(KeyRange::before((room, time, order))),
    }
}

fn nothing_there() -> Error {
    Error::not_found("There is no event on that side of that time.")
}
