//! The state of a room that a client wants: all of it when the room is new to the client, else what changed.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use ruma::{OwnedUserId, events::AnySyncStateEvent, serde::Raw};

use super::config::Required;
use crate::{
    error::Result,
    matrix::event::Event,
    sync::{
        Reading, Sync,
        state::{self, Scope},
        timeline::Section,
    },
};

/// What decides over the state that is told.
pub(super) struct Wish<'a> {
    /// What the client wants.
    pub required: &'a Required,
    /// What it wanted when it was told of the room before, if it knows the room.
    pub before: Option<&'a Required>,
}

/// The state events that the client gets. `delta` is everything that changed, if the client knows the room; `members` are those
/// that it knows because the timeline spoke of them.
pub(super) async fn section(
    sync: &Sync,
    reading: &Reading,
    scope: &Scope<'_>,
    timeline: &Section,
    (wish, delta): (Wish<'_>, &[Arc<Event>]),
    members: &mut imbl::HashSet<OwnedUserId>,
) -> Result<Vec<Raw<AnySyncStateEvent>>> {
    let Wish { required, before } = wish;
    let gap = timeline.timeline.limited;
    let mut events: Vec<Arc<Event>> = match before {
        None => required.select(&*sync.rooms.state_at(scope.room, scope.until).await?),
        Some(_) => {
            let told =
                |event: &&Arc<Event>| required.wants(event) || (required.lazy && !gap && event.target().is_some());
            delta.iter().filter(told).cloned().collect()
        }
    };
    if let Some(before) = before.filter(|before| *before != required) {
        let state = sync.rooms.state_at(scope.room, scope.until).await?;
        events.extend(required.select(&state).into_iter().filter(|event| !before.wants(event)));
    }
    if required.lazy {
        if gap {
            // Who changed meanwhile is not told, so that the client has forgotten whom it knew.
            members.clear();
        }
        let here: HashSet<OwnedUserId> =
            events.iter().filter_map(|event| event.target()).map(ToOwned::to_owned).collect();
        let spoken_of = timeline.senders().cloned().chain(timeline.targets());
        let untold: BTreeSet<_> = spoken_of.filter(|user| !members.contains(user) && !here.contains(user)).collect();
        if !untold.is_empty() {
            let state = sync.rooms.state_at(scope.room, scope.until).await?;
            events.extend(untold.iter().filter_map(|user| state.member(user)).cloned());
        }
        members.extend(here.into_iter().chain(untold));
    }
    let mut seen = HashSet::new();
    events.retain(|event| seen.insert(event.id.clone()));
    state::rendered(sync, reading, scope, events.iter().map(|event| &**event)).await
}
