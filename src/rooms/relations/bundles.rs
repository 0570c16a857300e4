//! What is bundled with an event for one reader: its newest edit, its thread, and what refers to it
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events)).

use std::collections::{HashMap, HashSet};

use ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId, events::relation::RelationType};

use crate::{
    error::Result,
    rooms::{Room, Rooms, Stretch, TimelineEvent, Viewer},
    storage::{
        Direction, KeyRange, Order, Snapshot,
        schema::relations::{PARENTS, RELATIONS},
    },
};

/// The most references that are bundled; all of them can be asked for.
const MOST_REFERENCES: usize = 1_000;

/// How many references are looked at at a time, and at most.
const REFERENCES_AT_A_TIME: usize = 256;
const REFERENCES_LOOKED_AT: usize = 20 * REFERENCES_AT_A_TIME;

/// What is bundled with an event.
#[derive(Clone, Debug, Default)]
pub(in crate::rooms) struct Bundle {
    /// The newest valid edit.
    pub edit: Option<TimelineEvent>,
    /// The thread that starts at the event.
    pub thread: Option<BundledThread>,
    /// The events that refer to it.
    pub references: Vec<OwnedEventId>,
}

/// A thread as its root tells of it.
#[derive(Clone, Debug)]
pub(in crate::rooms) struct BundledThread {
    /// The newest event.
    pub latest: TimelineEvent,
    /// The number of events.
    pub count: usize,
    /// Whether the reader said something in it, or started it.
    pub participated: bool,
}

impl Bundle {
    /// The events that stand in it whole.
    pub fn events(&self) -> impl Iterator<Item = &TimelineEvent> {
        self.edit.iter().chain(self.thread.iter().map(|thread| &thread.latest))
    }
}

impl Rooms {
    /// What is bundled with those of these events to which anything relates, and with the newest events of their threads.
    pub(in crate::rooms) async fn bundles(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        viewer: &Viewer,
        events: &[&TimelineEvent],
    ) -> Result<HashMap<OwnedEventId, Bundle>> {
        let mut bundles = HashMap::new();
        let mut latest = Vec::new();
        for (event, kinds) in parents_among(snapshot, &room.id, events).await? {
            let mut bundle = self.bundle(snapshot, room, viewer, event, &kinds).await?;
            if kinds.contains(&RelationType::Thread.to_string()) {
                bundle.thread = self.bundled_thread(snapshot, room, viewer, event).await?;
                latest.extend(bundle.thread.as_ref().map(|thread| thread.latest.clone()));
            }
            bundles.insert(event.event.id.clone(), bundle);
        }
        let latest: Vec<&TimelineEvent> =
            latest.iter().filter(|event| !bundles.contains_key(&event.event.id)).collect();
        for (event, kinds) in parents_among(snapshot, &room.id, &latest).await? {
            let bundle = self.bundle(snapshot, room, viewer, event, &kinds).await?;
            bundles.insert(event.event.id.clone(), bundle);
        }
        bundles.retain(|_, bundle| bundle.edit.is_some() || bundle.thread.is_some() || !bundle.references.is_empty());
        Ok(bundles)
    }

    /// What is bundled with an event besides its thread.
    async fn bundle(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        viewer: &Viewer,
        event: &TimelineEvent,
        kinds: &HashSet<String>,
    ) -> Result<Bundle> {
        let mut bundle = Bundle::default();
        // An event that was taken back is not shown as somebody edited it before.
        if kinds.contains(&RelationType::Replacement.to_string()) && event.header.redacted_by.is_none() {
            let newest = self.newest_edit(snapshot, room, &event.event.id, viewer).await?;
            bundle.edit = self.events_at(snapshot, room, newest.as_slice()).await?.pop();
        }
        if kinds.contains(&RelationType::Reference.to_string()) {
            bundle.references = references(snapshot, &room.id, &event.event.id, viewer).await?;
        }
        Ok(bundle)
    }

    async fn bundled_thread(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        viewer: &Viewer,
        root: &TimelineEvent,
    ) -> Result<Option<BundledThread>> {
        let summary = self.thread_summary(snapshot, &room.id, &root.event.id, viewer).await?;
        let Some(summary) = summary else { return Ok(None) };
        let latest = self.events_at(snapshot, room, &[summary.latest]).await?.pop();
        Ok(latest.map(|latest| BundledThread {
            latest,
            count: summary.count,
            participated: summary.spoke || root.event.sender == *viewer.user(),
        }))
    }
}

/// Those of the events that have something to bundle, with the types of the relations. State events have none, as the
/// specification has it.
async fn parents_among<'e>(
    snapshot: &Snapshot,
    room_id: &RoomId,
    events: &[&'e TimelineEvent],
) -> Result<Vec<(&'e TimelineEvent, HashSet<String>)>> {
    let mut by_place: HashMap<Order, &TimelineEvent> =
        events.iter().filter(|event| !event.event.is_state()).map(|event| (event.order, *event)).collect();
    let (Some(first), Some(last)) = (by_place.keys().min().copied(), by_place.keys().max().copied()) else {
        return Ok(Vec::new());
    };
    // Events of one page stand side by side, so that one scan answers for all. Where they are far apart, there may be more
    // between them than is worth reading.
    let most = 4 * by_place.len() + 12;
    let between = KeyRange::prefix_from((room_id,), first).and(KeyRange::prefix_until((room_id,), last));
    let mut rows = PARENTS.scan(snapshot, between, Direction::Forward, most).await?;
    if rows.len() == most {
        rows.clear();
        for order in by_place.keys() {
            let own = KeyRange::prefix((room_id, *order));
            rows.extend(PARENTS.scan(snapshot, own, Direction::Forward, usize::MAX).await?);
        }
    }
    let mut kinds: HashMap<Order, HashSet<String>> = HashMap::new();
    for ((_, order, kind), ()) in rows {
        kinds.entry(order).or_default().insert(kind);
    }
    Ok(kinds.into_iter().filter_map(|(order, kinds)| Some((by_place.remove(&order)?, kinds))).collect())
}

/// The events that refer to an event and that the reader may see and wants to, oldest first.
async fn references(
    snapshot: &Snapshot,
    room_id: &RoomId,
    event_id: &EventId,
    viewer: &Viewer,
) -> Result<Vec<OwnedEventId>> {
    let kind = RelationType::Reference.to_string();
    let of_event = (room_id, event_id, kind.as_str());
    let (mut seen, mut looked_at) = (Vec::new(), 0);
    // What the reader may not see is not even read, and what they do not want to see takes nobody's place.
    for stretch in viewer.visible_stretches() {
        let mut rest = within(of_event, &stretch);
        loop {
            let rows = RELATIONS.scan(snapshot, rest, Direction::Forward, REFERENCES_AT_A_TIME).await?;
            let last = rows.last().filter(|_| rows.len() == REFERENCES_AT_A_TIME).map(|((.., order), _)| *order);
            looked_at += rows.len();
            let wanted = rows.into_iter().filter(|(_, row)| !viewer.ignored().contains(&row.sender));
            seen.extend(wanted.map(|(_, row)| row.event_id).take(MOST_REFERENCES - seen.len()));
            if seen.len() == MOST_REFERENCES || looked_at >= REFERENCES_LOOKED_AT {
                return Ok(seen);
            }
            let Some(last) = last else { break };
            rest = within(of_event, &stretch).and(KeyRange::prefix_after(of_event, last));
        }
    }
    Ok(seen)
}

/// The rows of what relates to an event in one way that lie in a stretch of the timeline.
fn within(
    of_event: (&RoomId, &EventId, &str),
    stretch: &Stretch,
) -> KeyRange<(OwnedRoomId, OwnedEventId, String, Order)> {
    let mut rows = KeyRange::prefix(of_event);
    if let Some(from) = stretch.from {
        rows = rows.and(KeyRange::prefix_from(of_event, from));
    }
    if let Some(until) = stretch.until {
        rows = rows.and(KeyRange::prefix_until(of_event, until));
    }
    rows
}
