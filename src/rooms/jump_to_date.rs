//! Finds the event nearest to a time
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event)).

use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, RoomId, UserId};

use super::{PageRequest, Reading, Rooms, stretch::Stretch, timeline::TimelineEvent};
use crate::{
    error::{Error, Result},
    storage::{Direction, KeyRange, Order, schema::rooms::EVENT_TIMES},
};

/// How many entries of the index are read at a time.
const CHUNK: usize = 64;
/// How many entries of the index one request reads at most.
const READ_AT_MOST: usize = 4_096;
/// How many stretches that the reader may see are looked at on each side when the index has led nowhere.
const STRETCHES: usize = 32;
/// How many events are looked at there on each side of the place where the time should be.
const AROUND: usize = 32;

impl Rooms {
    /// The visible event that bears `time` or the next time in `direction`. Of those that bear the same time it is the first
    /// one in that direction.
    ///
    /// Where thousands of events near that time are closed to the reader, the time is looked for in the stretches that are open,
    /// whatever lies between them: the cost is bounded, and the answer is still the nearest if times follow the timeline there.
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
        self.nearest_in_the_open(&reading, from, direction).await
    }

    /// The nearest visible event beyond a time in the stretches that the reader may see, nearest to where the index had got.
    async fn nearest_in_the_open(
        &self,
        reading: &Reading,
        (time, place): (u64, Option<Order>),
        direction: Direction,
    ) -> Result<(OwnedEventId, MilliSecondsSinceUnixEpoch)> {
        let stretches = reading.viewer.visible_stretches();
        let behind = |stretch: &Stretch| stretch.until.zip(place).is_some_and(|(until, place)| until < place);
        let middle = stretches.partition_point(behind);
        let (first, last) = (middle.saturating_sub(STRETCHES), stretches.len().min(middle + STRETCHES));
        let mut nearest: Option<TimelineEvent> = None;
        for stretch in &stretches[first..last] {
            let Some(place) = self.place_in(reading, stretch, (time, direction)).await? else { continue };
            let room = &reading.room.id;
            let parts = [KeyRange::prefix_before((room,), place), KeyRange::prefix_from((room,), place)];
            for (part, away) in parts.into_iter().zip([Direction::Reverse, Direction::Forward]) {
                let range = stretch.rows(room).and(part);
                for found in self.some(reading, range, away, AROUND).await? {
                    let distance = |event: &TimelineEvent| time_of(event).abs_diff(time);
                    let is_beyond = match direction {
                        Direction::Forward => time_of(&found) >= time,
                        Direction::Reverse => time_of(&found) <= time,
                    };
                    let is_nearer = nearest.as_ref().is_none_or(|nearest| distance(&found) < distance(nearest));
                    if is_beyond && is_nearer {
                        nearest = Some(found);
                    }
                }
            }
        }
        nearest.map(|found| (found.event.id, found.event.origin_server_ts)).ok_or_else(nothing_there)
    }

    /// The place in a stretch of the first event beyond a time if times follow the timeline there, found by halving.
    async fn place_in(
        &self,
        reading: &Reading,
        stretch: &Stretch,
        (time, direction): (u64, Direction),
    ) -> Result<Option<Order>> {
        let rows = || stretch.rows(&reading.room.id);
        let mut ends = Vec::new();
        for end in [Direction::Forward, Direction::Reverse] {
            ends.extend(self.some(reading, rows(), end, 1).await?.pop().map(|event| event.order));
        }
        let [Order::Live(low), Order::Live(high)] = *ends else { return Ok(ends.pop()) };
        let (mut low, mut high) = (low.get(), high.get());
        while low < high {
            let middle = low + (high - low) / 2;
            let until = KeyRange::prefix_until((&reading.room.id,), Order::Live(middle.into()));
            let found = self.some(reading, rows().and(until), Direction::Reverse, 1).await?.pop();
            let beyond = found.filter(|event| match direction {
                Direction::Forward => time_of(event) >= time,
                Direction::Reverse => time_of(event) > time,
            });
            match beyond.map(|event| event.order) {
                Some(Order::Live(place)) if place.get() >= low => high = place.get(),
                _ => low = middle + 1,
            }
        }
        Ok(Some(Order::Live(low.into())))
    }

    /// Some of the events of a range that the reader may see.
    async fn some(
        &self,
        reading: &Reading,
        range: KeyRange<(OwnedRoomId, Order)>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<TimelineEvent>> {
        let request = PageRequest { room: &reading.room, range, direction, limit };
        Ok(self.page(&reading.snapshot, request, &reading.viewer, |_| true).await?.events)
    }
}

fn time_of(event: &TimelineEvent) -> u64 {
    event.event.origin_server_ts.0.into()
}

/// The part of the index at and beyond a time, or beyond one entry.
fn ahead(
    reading: &Reading,
    (time, entry): (u64, Option<Order>),
    direction: Direction,
) -> KeyRange<(OwnedRoomId, u64, Order)> {
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
