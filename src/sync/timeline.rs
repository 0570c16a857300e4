//! The newest events of a room in a sync.

use ruma::{OwnedRoomId, OwnedUserId, api::client::sync::sync_events::v3::Timeline};

use super::{Reading, Sync, joined::Known};
use crate::{
    error::Result,
    matrix::{event::Event, event_filter::passes},
    rooms::{Page, PageRequest, PageToken, Recipient, Room, Stretch, TimelineEvent, Viewer},
    storage::{Direction, KeyRange, Order},
};

/// How many events an answer brings of each room when the filter does not say.
const DEFAULT_LIMIT: usize = 10;

/// The most that it brings, whatever the filter says.
pub(super) const HIGHEST_LIMIT: usize = 1_000;

/// The newest events, and what else of the answer depends on them.
pub(super) struct Section {
    /// As the device gets them.
    pub timeline: Timeline,
    /// The events behind it, oldest first.
    pub events: Vec<TimelineEvent>,
}

impl Section {
    /// The place right before the first event.
    pub fn start(&self) -> Option<Order> {
        self.events.first().map(|event| PageToken::before(event.order).place())
    }

    /// Who speaks in it.
    pub fn senders(&self) -> impl Iterator<Item = &OwnedUserId> {
        self.events.iter().map(|event| &event.event.sender)
    }

    /// Whose membership changes in it.
    pub fn targets(&self) -> impl Iterator<Item = OwnedUserId> {
        self.events.iter().filter_map(|event| event.event.target()).map(ToOwned::to_owned)
    }

    /// Whether somebody's membership changes in it.
    pub fn has_members(&self) -> bool {
        self.events.iter().any(|event| event.event.target().is_some())
    }
}

/// The newest events that the device does not know and its user may see.
pub(super) async fn section(
    sync: &Sync,
    reading: &Reading,
    room: &Room,
    viewer: &Viewer,
    known: Known,
) -> Result<Section> {
    let filter = &reading.filter.room.timeline;
    let wished = filter.limit.map_or(DEFAULT_LIMIT, |limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX));
    let limit = wished.min(HIGHEST_LIMIT);
    let (range, has_gap) = contiguous(reading, room, viewer, known);
    let request = PageRequest { room, range, direction: Direction::Reverse, limit };
    let relations = &reading.relations;
    let wanted = |event: &Event| passes(filter, event) && relations.passes(event);
    let page = match known {
        Known::Until(since) if room.is_quiet_between(since, reading.until()) => Page::default(),
        _ => sync.rooms.filtered_page(&reading.snapshot, request, viewer, wanted, relations).await?,
    };
    let Page { mut events, more_after } = page;
    events.reverse();
    let mut section = of_events(sync, reading, room, viewer, events).await?;
    // A client that knows the room from its invitation takes `prev_batch`, from which it asks for what is older, only when
    // there is a gap; what it was not there for is one.
    let newly_joined = known == Known::Nothing && reading.since.is_some();
    section.timeline.limited = more_after.is_some() || newly_joined || has_gap;
    if section.timeline.prev_batch.is_none() && (section.timeline.limited || known == Known::Nothing) {
        let since = reading.since_position().unwrap_or(reading.until());
        section.timeline.prev_batch = Some(PageToken::at(since).known_until(reading.until()).to_string());
    }
    Ok(section)
}

/// The part of the room's timeline that the answer may bring, and whether the user may see something that is behind a gap before
/// it.
///
/// Clients make the state out of the state at the first event and the events after it, so that nothing may be hidden between
/// the two: what was said before the last place that the user may not see has to be asked for.
fn contiguous(reading: &Reading, room: &Room, viewer: &Viewer, known: Known) -> (KeyRange<(OwnedRoomId, Order)>, bool) {
    let newest = KeyRange::prefix_until((&room.id,), Order::Live(reading.until()));
    let since = match known {
        Known::Nothing => None,
        Known::Until(since) => Some(Order::Live(since)),
    };
    let range = match since {
        None => newest,
        Some(since) => newest.and(KeyRange::prefix_after((&room.id,), since)),
    };
    let stretches = viewer.visible_stretches();
    let has_gap = |last: &Stretch| stretches.len() > 1 && last.from > since;
    match stretches.last() {
        Some(last) if has_gap(last) => (range.and(last.rows(&room.id)), true),
        _ => (range, false),
    }
}

/// A timeline of exactly these events.
pub(super) async fn of_events(
    sync: &Sync,
    reading: &Reading,
    room: &Room,
    viewer: &Viewer,
    events: Vec<TimelineEvent>,
) -> Result<Section> {
    let mut timeline = Timeline::new();
    let recipient = Recipient { viewer, device: &reading.device };
    timeline.events = sync.rooms.render_sync(&reading.snapshot, room, recipient, &events).await?;
    timeline.prev_batch =
        events.first().map(|event| PageToken::before(event.order).known_until(reading.until()).to_string());
    Ok(Section { timeline, events })
}
