//! Rooms that one may join by being a member of another
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms)).

use ruma::{OwnedRoomId, OwnedUserId, ServerName, events::StateEventType};
use serde::Deserialize;

use super::{Room, RoomState};
use crate::{
    error::{Error, Result},
    matrix::power_levels::PowerLevels,
};

/// The part of `m.room.join_rules` that this asks for, read leniently: what is not understood allows nobody.
#[derive(Deserialize)]
struct JoinRules {
    join_rule: String,
    #[serde(default)]
    allow: Vec<serde_json::Value>,
}

/// The rooms whose members may join, if the room is restricted; `None` if it is not.
pub(super) fn allowing_rooms(room: &Room, state: &RoomState) -> Option<Vec<OwnedRoomId>> {
    let rules: JoinRules = state.content(&StateEventType::RoomJoinRules, "")?;
    let authorization = &room.rules.authorization;
    let restricted = match rules.join_rule.as_str() {
        "restricted" => authorization.restricted_join_rule,
        "knock_restricted" => authorization.knock_restricted_join_rule,
        _ => false,
    };
    let membership = |condition: &serde_json::Value| {
        let kind = condition.get("type")?.as_str()?;
        let room_id = condition.get("room_id")?.as_str()?;
        (kind == "m.room_membership").then(|| room_id.try_into().ok()).flatten()
    };
    restricted.then(|| rules.allow.iter().filter_map(membership).collect())
}

/// A joined user of this server whose right to invite stands behind a restricted join.
///
/// # Errors
///
/// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if nobody here may invite.
pub(super) fn authorising_member(room: &Room, state: &RoomState, server_name: &ServerName) -> Result<OwnedUserId> {
    let create =
        state.get(&StateEventType::RoomCreate, "").ok_or_else(|| Error::internal("a room without creation"))?;
    let levels = state.get(&StateEventType::RoomPowerLevels, "");
    let levels = PowerLevels::read(room.rules, create, levels.map(|event| &**event));
    let mut here = state.joined.iter().filter(|user| user.server_name() == server_name);
    let found = here.find(|user| levels.may_invite(user));
    found.cloned().ok_or_else(|| Error::forbidden("Nobody on this server may let you into this room."))
}
