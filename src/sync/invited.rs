//! Rooms that the user is invited to or knocks on, with the little that one may know of a room from outside.

use ruma::{
    OwnedUserId, RoomId,
    api::client::sync::sync_events::v3::{InviteState, InvitedRoom, KnockState, KnockedRoom},
    events::AnyStrippedStateEvent,
    serde::Raw,
};

use super::{Reading, StateExtent, Sync, changed::Changed};
use crate::{
    error::Result,
    matrix::{
        client_event::{stripped_own_membership, stripped_state},
        event::Event,
    },
    storage::{Order, Stamped, schema::rooms::Membership},
};

/// An invitation, if it is news and the user wants to hear of it. When the user changes whose invitations those are, all that
/// wait are told again, since some of them may not have been before.
pub(super) async fn invitation(
    sync: &Sync,
    reading: &Reading,
    (room_id, membership): (&RoomId, &Stamped<Membership>),
    changed: Option<&Changed>,
) -> Result<Option<InvitedRoom>> {
    let again = changed.is_some_and(Changed::who_may_invite);
    if !again && is_told(reading, membership) {
        return Ok(None);
    }
    let Some((inviter, events)) = stripped(sync, reading, room_id, membership).await? else { return Ok(None) };
    if !sync.rooms.hears_invitation(&reading.snapshot, &reading.user, &inviter).await? {
        return Ok(None);
    }
    let mut state = InviteState::new();
    state.events = events;
    Ok(Some(state.into()))
}

/// A knock, if it is news.
pub(super) async fn knock(
    sync: &Sync,
    reading: &Reading,
    room_id: &RoomId,
    membership: &Stamped<Membership>,
) -> Result<Option<KnockedRoom>> {
    if is_told(reading, membership) {
        return Ok(None);
    }
    let Some((_, events)) = stripped(sync, reading, room_id, membership).await? else { return Ok(None) };
    let mut state = KnockState::new();
    state.events = events;
    Ok(Some(state.into()))
}

/// Whether the device has been told of a membership.
fn is_told(reading: &Reading, membership: &Stamped<Membership>) -> bool {
    reading.extent == StateExtent::Changes && reading.since_position().is_some_and(|since| membership.at <= since)
}

/// The room as it was when the user was invited or knocked, and who did that.
async fn stripped(
    sync: &Sync,
    reading: &Reading,
    room_id: &RoomId,
    membership: &Stamped<Membership>,
) -> Result<Option<(OwnedUserId, Vec<Raw<AnyStrippedStateEvent>>)>> {
    let room = sync.rooms.room(room_id).await?;
    let state = sync.rooms.state_at(&room, Order::Live(membership.at)).await?;
    let Some(own) = state.member(&reading.user) else { return Ok(None) };
    let strip = |event: &Event| if event.id == own.id { stripped_own_membership(event) } else { stripped_state(event) };
    Ok(Some((own.sender.clone(), state.telling(own).map(strip).collect())))
}
