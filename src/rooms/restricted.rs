//! Rooms that one may join by being a member of another
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms)).

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::{StateEventType, room::member::MembershipState},
};
use serde::Deserialize;
use serde_json::Value;

use super::{Room, RoomState, Rooms};
use crate::error::{Error, Result};

impl Rooms {
    /// The member on whose word `user` may join, if the room asks for one.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the room asks for one and there is none, or the user is in none
    /// of the rooms whose members may join.
    pub(super) async fn restricted_join(&self, room: &Room, user: &UserId) -> Result<Option<OwnedUserId>> {
        let state = room.current();
        if matches!(state.membership(user), MembershipState::Join | MembershipState::Invite) {
            return Ok(None);
        }
        let Some(allowing) = allowing_rooms(room, &state) else { return Ok(None) };
        if !self.is_in_any(user, &allowing).await? {
            return Err(Error::forbidden("You are in none of the rooms whose members may join this one."));
        }
        let levels = room.power_levels(&state)?;
        let here = &self.shared.settings.server_name;
        let mut members = state.joined.iter().filter(|member| member.server_name() == here);
        let found = members.find(|member| levels.may_invite(member)).cloned();
        found.map(Some).ok_or_else(|| Error::forbidden("Nobody on this server may let you into this room."))
    }

    /// Whether a user is in one of these rooms.
    pub(super) async fn is_in_any(&self, user: &UserId, rooms: &[OwnedRoomId]) -> Result<bool> {
        let snapshot = self.shared.store.snapshot();
        for room_id in rooms {
            if self.is_joined(&snapshot, room_id, user).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The part of `m.room.join_rules` that this asks for, read leniently: what is not understood allows nobody.
#[derive(Deserialize)]
struct JoinRules {
    join_rule: String,
    #[serde(default)]
    allow: Vec<Value>,
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
    restricted.then(|| rules.allow.iter().filter_map(required_room).collect())
}

/// The room that a condition asks to be in; `None` for a condition of another sort.
fn required_room(condition: &Value) -> Option<OwnedRoomId> {
    let room_id = condition.get("room_id")?.as_str()?;
    (condition.get("type")?.as_str()? == "m.room_membership").then(|| RoomId::parse(room_id).ok())?
}
