//! The summary of a room: how many are in it, and whose names stand for it while it has none of its own.

use ruma::{
    OwnedUserId, UInt, UserId,
    api::client::sync::sync_events::v3::RoomSummary,
    events::{StateEventType, room::member::MembershipState},
};
use serde::Deserialize;

use crate::rooms::RoomState;

/// How many people stand for a room without a name.
const HEROES: usize = 5;

/// The summary of a room in this state, for one of its members
/// ([spec](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync)).
pub(super) fn summary(state: &RoomState, reader: &UserId) -> RoomSummary {
    let mut summary = RoomSummary::new();
    summary.joined_member_count = Some(UInt::new_saturating(state.joined.len() as u64));
    summary.invited_member_count = Some(UInt::new_saturating(state.invited.len() as u64));
    if !has_name(state) {
        summary.heroes = heroes(state, reader);
    }
    summary
}

/// The first members other than the reader, or those who left if nobody else is there.
pub(super) fn heroes(state: &RoomState, reader: &UserId) -> Vec<OwnedUserId> {
    let gone = |membership| matches!(membership, MembershipState::Leave | MembershipState::Ban);
    let here = first(state, state.joined.iter().chain(&state.invited).filter(|user| **user != *reader));
    if !here.is_empty() {
        return here;
    }
    let members = state.of_kind(&StateEventType::RoomMember).filter_map(|(user, _)| UserId::parse(user).ok());
    let left: Vec<_> = members.filter(|user| **user != *reader && gone(state.membership(user))).collect();
    first(state, left.iter())
}

/// The users whose membership is oldest, oldest first. The depth of an event grows along the timeline.
fn first<'a>(state: &RoomState, users: impl Iterator<Item = &'a OwnedUserId>) -> Vec<OwnedUserId> {
    let mut users: Vec<_> = users.map(|user| (state.member(user).map(|event| event.depth), user)).collect();
    if users.len() > HEROES {
        users.select_nth_unstable(HEROES);
        users.truncate(HEROES);
    }
    users.sort_unstable();
    users.into_iter().map(|(_, user)| user.clone()).collect()
}

/// Whether clients can name the room without looking at its members.
fn has_name(state: &RoomState) -> bool {
    #[derive(Deserialize)]
    struct Content {
        name: Option<String>,
        alias: Option<String>,
    }
    let named = |kind: &StateEventType, pick: fn(Content) -> Option<String>| {
        state.content::<Content>(kind, "").and_then(pick).is_some_and(|name| !name.is_empty())
    };
    named(&StateEventType::RoomName, |content| content.name)
        || named(&StateEventType::RoomCanonicalAlias, |content| content.alias)
}
