//! What a list of rooms wants to know of each, as of a snapshot and without bringing the rooms into memory.

use std::collections::BTreeSet;

use ruma::{OwnedRoomId, RoomId, UserId, events::StateEventType};
use serde::Deserialize;

use super::Rooms;
use crate::{
    error::{Error, Result},
    storage::{
        Direction, KeyRange, Order, Position, Snapshot,
        schema::rooms::{STATE, TIMELINE},
    },
};

impl Rooms {
    /// When something happened in the room last.
    pub async fn last_active(&self, snapshot: &Snapshot, room_id: &RoomId) -> Result<Option<Position>> {
        let newest = TIMELINE.scan(snapshot, KeyRange::prefix((room_id,)), Direction::Reverse, 1).await?;
        Ok(newest.into_iter().find_map(|((_, order), _)| match order {
            Order::Live(position) => Some(position),
            Order::Backfilled(_) => None,
        }))
    }

    /// Whether the room is encrypted.
    pub async fn is_encrypted(&self, snapshot: &Snapshot, room_id: &RoomId) -> Result<bool> {
        STATE.exists(snapshot, (room_id, "m.room.encryption", "")).await
    }

    /// The type of the room, such as that of spaces; most have none.
    pub async fn room_type(&self, snapshot: &Snapshot, room_id: &RoomId) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Pdu {
            content: Content,
        }
        #[derive(Deserialize)]
        struct Content {
            #[serde(rename = "type")]
            room_type: Option<String>,
        }
        let Some(create) = STATE.get(snapshot, (room_id, "m.room.create", "")).await? else { return Ok(None) };
        let Some((_, row)) = self.stored(snapshot, room_id, &create).await? else {
            return Err(Error::internal(format_args!("room {room_id} has no create event")));
        };
        Ok(serde_json::from_str::<Pdu>(&row.json).ok().and_then(|pdu| pdu.content.room_type))
    }
}

/// The rooms that any of the `spaces` in which `user` is names as its children.
pub async fn children_of_spaces(rooms: &Rooms, spaces: &[OwnedRoomId], user: &UserId) -> Result<BTreeSet<OwnedRoomId>> {
    #[derive(Deserialize)]
    struct Child {
        #[serde(default)]
        via: Vec<serde::de::IgnoredAny>,
    }
    let mut children = BTreeSet::new();
    for space in spaces {
        // A space that there is not has no children.
        let Ok(space) = rooms.room(space).await else { continue };
        let state = space.current();
        if !state.is_joined(user) {
            continue;
        }
        let named = state.of_kind(&StateEventType::SpaceChild);
        let valid = named.filter(|(_, event)| event.content_as::<Child>().is_ok_and(|child| !child.via.is_empty()));
        children.extend(valid.filter_map(|(room_id, _)| RoomId::parse(room_id).ok()));
    }
    Ok(children)
}
