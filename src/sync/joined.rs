//! A joined room in a sync.

use std::sync::Arc;

use ruma::{
    OwnedUserId, RoomId, api::client::sync::sync_events::v3::JoinedRoom, events::room::member::MembershipState,
};

use super::{
    Reading, StateExtent, Sync, account_data,
    changed::Changed,
    ephemeral,
    rooms::AtHand,
    state::{self, Scope},
    summary::summary,
    timeline::{self, Section},
    unread,
};
use crate::{
    error::Result,
    matrix::event::Event,
    rooms::{Room, Viewer},
    storage::Order,
    streams::Position,
};

/// How much of a room the device knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: the user was not in the room, or the device starts anew.
    Nothing,
    /// What happened up to this position.
    Until(Position),
}

impl Known {
    /// What the device knows of a room, by where it stands and whether the user was in the room there.
    fn of(reading: &Reading, viewer: &Viewer) -> Self {
        match reading.since_position() {
            Some(since) if viewer.membership_at(Order::Live(since)) == MembershipState::Join => Self::Until(since),
            _ => Self::Nothing,
        }
    }
}

/// A joined room that there is something to tell of.
pub(super) struct Joined {
    /// The section of the answer.
    pub section: JoinedRoom,
    /// The people whom the user shares this room with since the last answer.
    pub met: Vec<OwnedUserId>,
}

/// What there is to tell of a joined room, if anything.
pub(super) async fn section(
    sync: &Sync,
    reading: &Reading,
    room_id: &RoomId,
    changed: Option<&Changed>,
    at_hand: &AtHand,
) -> Result<Option<Joined>> {
    let room: &Room = &*sync.rooms.room(room_id).await?;
    let ignored = at_hand.ignored.clone();
    let viewer = sync.rooms.viewer_ignoring(&reading.snapshot, room_id, &reading.user, ignored).await?;
    let known = Known::of(reading, &viewer);
    let until = Order::Live(reading.until());
    let timeline = timeline::section(sync, reading, room, &viewer, known).await?;
    let whole = known == Known::Nothing || reading.extent == StateExtent::Full;
    let scope = Scope { room, viewer: &viewer, known, whole, until };
    let delta = state::delta(sync, reading, &scope, &timeline).await?;

    let mut section = JoinedRoom::new();
    let mut met = joined_meanwhile(&timeline, &delta);
    if whole || timeline.has_members() || delta.iter().any(|event| event.membership().is_some()) {
        let state = sync.rooms.state_at(room, until).await?;
        section.summary = summary(&state, &reading.user);
        if known == Known::Nothing && reading.since.is_some() {
            met.extend(state.joined.iter().cloned());
        }
    }
    section.state = state::section(sync, reading, &scope, &timeline, delta, &section.summary.heroes).await?;
    let changed = changed.filter(|_| known != Known::Nothing);
    section.account_data.events = match &at_hand.account_data {
        Some(all) => account_data::events_of_room(reading, all.get(room_id).map_or(&[], Vec::as_slice))?,
        None => account_data::of_room(sync, reading, room_id, changed).await?,
    };
    section.ephemeral = ephemeral::section(sync, reading, room, &viewer, known).await?;
    section.timeline = timeline.timeline;
    let told = match changed {
        _ if whole || !section.is_empty() => true,
        Some(changed) => unread::may_have_changed(sync, reading, room, &viewer, changed).await?,
        None => false,
    };
    if !told {
        return Ok(None);
    }
    unread::fill(sync, reading, room, &viewer, &mut section).await?;
    Ok(Some(Joined { section, met }))
}

/// The people who joined in what the answer tells.
fn joined_meanwhile(timeline: &Section, delta: &[Arc<Event>]) -> Vec<OwnedUserId> {
    let told = timeline.events.iter().map(|event| &event.event).chain(delta.iter().map(|event| &**event));
    let joins = told.filter(|event| event.membership() == Some(MembershipState::Join));
    joins.filter_map(|event| event.target().map(ToOwned::to_owned)).collect()
}
