//! The state of a room in a sync: all of it for a device that does not know the room, else what changed.

use std::{collections::HashSet, sync::Arc};

use ruma::{
    OwnedUserId,
    api::client::{
        filter::LazyLoadOptions,
        sync::sync_events::v3::{State, StateEvents},
    },
    events::AnySyncStateEvent,
    serde::Raw,
};

use super::{Reading, StateStyle, Sync, joined::Known, timeline::Section};
use crate::{
    error::Result,
    matrix::{event::Event, event_filter::passes},
    rooms::{Recipient, Room, Viewer},
    storage::Order,
};

/// Which part of a room's history the state of the answer spans.
pub(super) struct Scope<'a> {
    /// The room.
    pub room: &'a Room,
    /// What the device's user may see of it.
    pub viewer: &'a Viewer,
    /// What the device knows of it.
    pub known: Known,
    /// Whether it gets the whole state whatever it knows.
    pub whole: bool,
    /// The last place that the answer reaches to.
    pub until: Order,
}

impl Scope<'_> {
    /// The place at which the state of the answer holds.
    fn end(&self, reading: &Reading, timeline: &Section) -> Order {
        match reading.state_style {
            StateStyle::Before => timeline.start().unwrap_or(self.until),
            StateStyle::After => self.until,
        }
    }
}

/// The state events that the device does not know, and that the timeline will not tell it of.
pub(super) async fn delta(
    sync: &Sync,
    reading: &Reading,
    scope: &Scope<'_>,
    timeline: &Section,
) -> Result<Vec<Arc<Event>>> {
    let end = scope.end(reading, timeline);
    match scope.known {
        Known::Until(since) if !scope.whole => {
            let changes = sync.rooms.state_delta(&reading.snapshot, scope.room, Order::Live(since), end).await?;
            Ok(changes.into_iter().map(|change| Arc::new(change.event)).collect())
        }
        _ => Ok(sync.rooms.state_at(scope.room, end).await?.events().cloned().collect()),
    }
}

/// The section of the answer: `delta` without what the filter leaves out, and with the members that lazy loading calls for.
pub(super) async fn section(
    sync: &Sync,
    reading: &Reading,
    scope: &Scope<'_>,
    timeline: &Section,
    mut delta: Vec<Arc<Event>>,
    heroes: &[OwnedUserId],
) -> Result<State> {
    let filter = &reading.filter.room.state;
    if let LazyLoadOptions::Enabled { include_redundant_members } = filter.lazy_load_options {
        let mut wanted: HashSet<OwnedUserId> = timeline.senders().chain(heroes).cloned().collect();
        if scope.whole {
            wanted.insert(reading.user.clone());
            delta.retain(|event| event.target().is_none_or(|user| wanted.contains(user)));
        }
        let told = told_anyway(timeline, &delta, reading.state_style);
        let missing = wanted.difference(&told).cloned().collect();
        let untold = if include_redundant_members { missing } else { untold(sync, reading, scope, missing, &told) };
        if !untold.is_empty() {
            let state = sync.rooms.state_at(scope.room, scope.end(reading, timeline)).await?;
            delta.extend(untold.iter().filter_map(|user| state.member(user)).cloned());
        }
    }
    let events =
        rendered(sync, reading, scope, delta.iter().map(|event| &**event).filter(|event| passes(filter, event)));
    let events = events.await?;
    Ok(match reading.state_style {
        StateStyle::Before => State::Before(StateEvents::with_events(events)),
        StateStyle::After => State::After(StateEvents::with_events(events)),
    })
}

/// State events as the device gets them.
pub(super) async fn rendered<'e>(
    sync: &Sync,
    reading: &Reading,
    scope: &Scope<'_>,
    events: impl Iterator<Item = &'e Event>,
) -> Result<Vec<Raw<AnySyncStateEvent>>> {
    let recipient = Recipient { viewer: scope.viewer, device: &reading.device };
    let state = scope.room.current();
    let renderer = sync.rooms.state_renderer(&reading.snapshot, scope.room, recipient, &state).await?;
    Ok(events.map(|event| renderer.sync_state_of(&state, event)).collect())
}

/// The members of whom the answer tells without lazy loading's doing.
fn told_anyway(timeline: &Section, delta: &[Arc<Event>], style: StateStyle) -> HashSet<OwnedUserId> {
    let in_timeline = timeline.events.iter().filter_map(|event| event.event.target());
    // With `state_after` a client takes no state from the timeline.
    let in_timeline = in_timeline.filter(|_| style == StateStyle::Before);
    delta.iter().filter_map(|event| event.target()).chain(in_timeline).map(ToOwned::to_owned).collect()
}

/// Those of the missing members whom the device has not been told of before.
fn untold(
    sync: &Sync,
    reading: &Reading,
    scope: &Scope<'_>,
    missing: HashSet<OwnedUserId>,
    told: &HashSet<OwnedUserId>,
) -> HashSet<OwnedUserId> {
    let place = (reading.user.clone(), reading.device.clone(), scope.room.id.clone());
    let since = if scope.whole { None } else { reading.since_position() };
    let all = missing.iter().chain(told).cloned().collect();
    let untold = sync.lazy_members.untold(place, (since, reading.until()), all);
    missing.into_iter().filter(|user| untold.contains(user)).collect()
}
