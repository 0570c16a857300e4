//! A room that the user left, was kicked or banned from, or did not enter.

use ruma::{
    RoomId,
    api::client::sync::sync_events::v3::{LeftRoom, State, StateEvents},
    events::room::member::MembershipState,
};

use super::{
    Reading, StateStyle, Sync, account_data,
    joined::Known,
    state::{self, Scope},
    timeline::{self, Section},
};
use crate::{
    error::Result,
    rooms::{Room, StateAccess, Viewer},
    storage::{Order, Stamped, schema::rooms::Membership},
};

/// The last that the user hears of the room: once, when they left; or again at every start if the filter asks for it and they
/// have not forgotten the room. Devices that were away hear once of leaving even if it was forgotten since.
pub(super) async fn section(
    sync: &Sync,
    reading: &Reading,
    room_id: &RoomId,
    membership: &Stamped<Membership>,
) -> Result<Option<LeftRoom>> {
    let told = match reading.since_position() {
        Some(since) => membership.at <= since,
        None => !reading.filter.room.include_leave || membership.value.forgotten,
    };
    if told {
        return Ok(None);
    }
    let room = &*sync.rooms.room(room_id).await?;
    let viewer = sync.rooms.viewer(&reading.snapshot, room_id, &reading.user).await?;
    let left_at = Order::Live(membership.at);
    let was_in = |since| viewer.membership_at(Order::Live(since)) == MembershipState::Join;
    let known = reading.since_position().filter(|since| was_in(*since)).map_or(Known::Nothing, Known::Until);
    let mut section = LeftRoom::new();
    if let Some(until) = last_seen(&viewer, left_at).filter(|seen| *seen == left_at || reading.since.is_none()) {
        let timeline = timeline::section(sync, reading, room, &viewer, known).await?;
        let scope = Scope { room, viewer: &viewer, known, whole: known == Known::Nothing, until };
        let delta = state::delta(sync, reading, &scope, &timeline).await?;
        section.state = state::section(sync, reading, &scope, &timeline, delta, &[]).await?;
        section.account_data.events = account_data::of_room(sync, reading, room_id, None).await?;
        section.timeline = timeline.timeline;
    } else {
        // Who was only invited or knocked lately, or is banned from outside, learns that it is over and nothing of the room.
        section.timeline = own_leave(sync, reading, room, &viewer, left_at).await?.timeline;
        section.state = match reading.state_style {
            StateStyle::Before => State::Before(StateEvents::new()),
            StateStyle::After => State::After(StateEvents::new()),
        };
    }
    Ok(Some(section))
}

/// The last place at which someone who was a member could see the room: where they left, or where they are banned from or
/// gave up on since, if the world may read it.
pub(super) fn last_seen(viewer: &Viewer, left_at: Order) -> Option<Order> {
    if !viewer.was_ever_joined() {
        return None;
    }
    match viewer.state_access().ok()? {
        StateAccess::AtLeave(order) => Some(order),
        StateAccess::Current => Some(left_at),
    }
}

/// The event that ended the user's relation to the room, alone.
pub(super) async fn own_leave(
    sync: &Sync,
    reading: &Reading,
    room: &Room,
    viewer: &Viewer,
    left_at: Order,
) -> Result<Section> {
    let events = sync.rooms.events_at(&reading.snapshot, room, &[left_at]).await?;
    timeline::of_events(sync, reading, room, viewer, events).await
}
