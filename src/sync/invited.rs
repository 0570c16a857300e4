//! Rooms that the user is invited to or knocks on, with the little that one may know of a room from outside.

use ruma::{
    OwnedUserId, RoomId,
    api::client::sync::sync_events::v3::{InviteState, InvitedRoom, KnockState, KnockedRoom},
    events::{AnyStrippedStateEvent, StateEventType},
    serde::Raw,
};

use super::{Reading, StateExtent, Sync};
use crate::{
    error::Result,
    matrix::{client_event::stripped_state, event::Event},
    rooms::RoomState,
    storage::{Order, Stamped, schema::rooms::Membership},
};

/// The state that tells a room apart from others
/// ([spec](https://spec.matrix.org/v1.19/client-server-api/#stripped-state)).
const TELLING: [StateEventType; 7] = [
    StateEventType::RoomCreate,
    StateEventType::RoomJoinRules,
    StateEventType::RoomCanonicalAlias,
    StateEventType::RoomName,
    StateEventType::RoomAvatar,
    StateEventType::RoomTopic,
    StateEventType::RoomEncryption,
];

/// An invitation, if it is news and the user wants invitations at all; those of the server itself always come through.
pub(super) async fn invitation(
    sync: &Sync,
    reading: &Reading,
    room_id: &RoomId,
    membership: &Stamped<Membership>,
) -> Result<Option<InvitedRoom>> {
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
    let Some((_, events)) = stripped(sync, reading, room_id, membership).await? else { return Ok(None) };
    let mut state = KnockState::new();
    state.events = events;
    Ok(Some(state.into()))
}

/// The room as it was when the user was invited or knocked, and who did that, unless the device has been told or the user
/// ignores the inviter.
async fn stripped(
    sync: &Sync,
    reading: &Reading,
    room_id: &RoomId,
    membership: &Stamped<Membership>,
) -> Result<Option<(OwnedUserId, Vec<Raw<AnyStrippedStateEvent>>)>> {
    let told = reading.since_position().is_some_and(|since| membership.at <= since);
    if told && reading.extent == StateExtent::Changes {
        return Ok(None);
    }
    let room = sync.rooms.room(room_id).await?;
    let state = sync.rooms.state_at(&room, Order::Live(membership.at)).await?;
    let Some(own) = state.member(&reading.user) else { return Ok(None) };
    let ignored = sync.rooms.ignored_by(&reading.snapshot, &reading.user).await?;
    if ignored.contains(&own.sender) {
        return Ok(None);
    }
    Ok(Some((own.sender.clone(), telling(&state, own).map(stripped_state).collect())))
}

/// The events that tell the room apart, its reader's own membership and who is behind it.
fn telling<'a>(state: &'a RoomState, own: &'a Event) -> impl Iterator<Item = &'a Event> {
    let telling = TELLING.iter().filter_map(|kind| state.get(kind, ""));
    let sender = state.member(&own.sender).filter(|member| member.id != own.id);
    telling.chain(sender).map(|event| &**event).chain([own])
}
