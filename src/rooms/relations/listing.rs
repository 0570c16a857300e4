//! The events that relate to an event, page by page
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#relationships-api)).

use std::collections::{BTreeMap, HashSet};

use ruma::{
    EventId, OwnedEventId, OwnedRoomId, RoomId,
    events::{AnyMessageLikeEvent, relation::RelationType},
    serde::Raw,
};

use super::ANY;
use crate::{
    error::Result,
    rooms::{PageToken, Reader, Reading, Rooms, TimelineEvent, timeline::no_such_event},
    storage::{
        Direction, KeyRange, Order,
        schema::relations::{RELATIONS, Relating},
    },
};

/// How many relations are followed one after the other, as the specification recommends.
const DEPTH: u8 = 3;

/// The greatest number of related events that one request which follows relations looks at.
const FOLLOWED_AT_MOST: usize = 5_000;

/// The greatest number of events that one request which does not looks at before it answers with what it found.
const SCANNED_AT_MOST: usize = 5_000;

/// Which of the events that relate to an event are wanted.
#[derive(Debug)]
pub struct RelationsRequest<'a> {
    /// The event.
    pub event_id: &'a EventId,
    /// Only those that relate to it in this way.
    pub relation: Option<&'a RelationType>,
    /// Only those of this type.
    pub kind: Option<&'a str>,
    /// Where to start.
    pub from: Option<PageToken>,
    /// Where to stop.
    pub to: Option<PageToken>,
    /// Which way to go.
    pub direction: Direction,
    /// How many are wanted at most.
    pub limit: usize,
    /// Whether also those are wanted that relate to the ones found.
    pub recurse: bool,
}

/// Some events that relate to another one.
#[derive(Debug)]
pub struct Relations {
    /// The events in the direction of travel.
    pub chunk: Vec<Raw<AnyMessageLikeEvent>>,
    /// Where the page starts, unless it is the first.
    pub previous: Option<PageToken>,
    /// Where the next page starts, if there is more.
    pub next: Option<PageToken>,
    /// How many relations were followed one after the other, if that was asked for.
    pub depth: Option<u8>,
}

/// Places of related events on the way.
type Keys = KeyRange<(OwnedRoomId, OwnedEventId, String, Order)>;

impl Rooms {
    /// The events that relate to an event, as far as the reader may see them.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the reader may see nothing of the room,
    /// [`Kind::NotFound`](crate::error::Kind::NotFound) if the event is not there or not for this reader.
    pub async fn relations(
        &self,
        room_id: &RoomId,
        reader: Reader<'_>,
        request: RelationsRequest<'_>,
    ) -> Result<Relations> {
        let reading = self.read(room_id, reader.user).await?;
        // What relates to what somebody said whom the reader ignores is there all the same: a thread goes on without its root.
        let parent = self.event(&reading.snapshot, &reading.room, request.event_id).await?;
        parent.filter(|parent| reading.viewer.may_see_place(parent.order)).ok_or_else(no_such_event)?;
        let (events, more_after) = match request.recurse {
            false => self.directly_related(&reading, &request).await?,
            true => self.indirectly_related(&reading, &request).await?,
        };
        let renderer = self.renderer(&reading.snapshot, &reading.room, reading.recipient(reader), &events).await?;
        Ok(Relations {
            chunk: events.iter().map(|event| renderer.timeline(event).cast_unchecked()).collect(),
            previous: request.from,
            next: more_after.map(|last| match request.direction {
                Direction::Forward => PageToken::after(last),
                Direction::Reverse => PageToken::before(last),
            }),
            depth: request.recurse.then_some(DEPTH),
        })
    }

    /// A page of what relates to the event itself, and the place of its last event if there is more.
    async fn directly_related(
        &self,
        reading: &Reading,
        request: &RelationsRequest<'_>,
    ) -> Result<(Vec<TimelineEvent>, Option<Order>)> {
        let room_id = &reading.room.id;
        let relation = request.relation.map_or_else(|| ANY.to_owned(), ToString::to_string);
        let prefix = || (room_id, request.event_id, relation.as_str());
        let range = request.range(prefix);
        let (mut rest, mut scanned, mut places) = (range.clone(), 0, Vec::new());
        let mut more_after = None;
        'scan: loop {
            let chunk = (request.limit + 1).clamp(16, 512);
            let rows = RELATIONS.scan(&reading.snapshot, rest, request.direction, chunk).await?;
            let exhausted = rows.len() < chunk;
            for ((.., order), row) in rows {
                if places.len() == request.limit || scanned == SCANNED_AT_MOST {
                    break 'scan;
                }
                scanned += 1;
                more_after = Some(order);
                if request.wants(reading, order, &row) {
                    places.push(order);
                }
            }
            let Some(last) = more_after.filter(|_| !exhausted) else {
                more_after = None;
                break;
            };
            rest = range.clone().and(match request.direction {
                Direction::Forward => KeyRange::prefix_after(prefix(), last),
                Direction::Reverse => KeyRange::prefix_before(prefix(), last),
            });
        }
        Ok((self.seen_at(reading, &places).await?, more_after))
    }

    /// A page of what relates to the event or to what relates to it, and the place of its last event if there is more.
    async fn indirectly_related(
        &self,
        reading: &Reading,
        request: &RelationsRequest<'_>,
    ) -> Result<(Vec<TimelineEvent>, Option<Order>)> {
        let relation = request.relation.map_or_else(|| ANY.to_owned(), ToString::to_string);
        let mut found: BTreeMap<Order, OwnedEventId> = BTreeMap::new();
        let mut passed = HashSet::from([request.event_id.to_owned()]);
        let mut level = vec![request.event_id.to_owned()];
        for _ in 0..DEPTH {
            let mut next = Vec::new();
            for parent in level {
                let children = KeyRange::prefix((&reading.room.id, &parent, relation.as_str()));
                let most = FOLLOWED_AT_MOST.saturating_sub(found.len());
                let rows = RELATIONS.scan(&reading.snapshot, children, Direction::Reverse, most).await?;
                for ((.., order), row) in rows {
                    if request.wants(reading, order, &row) && passed.insert(row.event_id.clone()) {
                        found.insert(order, row.event_id.clone());
                        next.push(row.event_id);
                    }
                }
            }
            level = next;
        }
        let within = |order: &Order| request.covers(*order);
        let mut places: Vec<Order> = found.into_keys().filter(within).collect();
        if request.direction == Direction::Reverse {
            places.reverse();
        }
        let more = places.len() > request.limit;
        places.truncate(request.limit);
        let more_after = places.last().copied().filter(|_| more);
        Ok((self.seen_at(reading, &places).await?, more_after))
    }

    /// The events at these places that the reader may see.
    async fn seen_at(&self, reading: &Reading, places: &[Order]) -> Result<Vec<TimelineEvent>> {
        let mut events = self.events_at(&reading.snapshot, &reading.room, places).await?;
        events.retain(|event| reading.viewer.may_see(event.order, &event.event));
        Ok(events)
    }
}

impl RelationsRequest<'_> {
    /// The rows of the page and of all after it.
    fn range<'k>(&self, prefix: impl Fn() -> (&'k OwnedRoomId, &'k EventId, &'k str)) -> Keys {
        let mut range = KeyRange::prefix(prefix());
        let (lower, upper) = self.bounds();
        if let Some(lower) = lower {
            range = range.and(KeyRange::prefix_after(prefix(), lower.place()));
        }
        if let Some(upper) = upper {
            range = range.and(KeyRange::prefix_until(prefix(), upper.place()));
        }
        range
    }

    fn covers(&self, order: Order) -> bool {
        let (lower, upper) = self.bounds();
        lower.is_none_or(|lower| lower.place() < order) && upper.is_none_or(|upper| order <= upper.place())
    }

    /// The boundaries at the older and at the newer end.
    fn bounds(&self) -> (Option<PageToken>, Option<PageToken>) {
        match self.direction {
            Direction::Forward => (self.from, self.to),
            Direction::Reverse => (self.to, self.from),
        }
    }

    /// Whether an event is wanted and may be seen, as far as the index tells.
    fn wants(&self, reading: &Reading, order: Order, row: &Relating) -> bool {
        self.kind.is_none_or(|kind| kind == row.kind)
            && !reading.viewer.ignored().contains(&row.sender)
            && reading.viewer.may_see_place(order)
    }
}
