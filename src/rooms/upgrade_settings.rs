//! What people set for a room goes with them when they join the room that replaces it: push rules, tags, and that it is a
//! direct chat ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-upgrades)).

use ruma::{OwnedRoomId, RoomId, UserId, events::StateEventType};
use serde::Deserialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::{Room, Rooms, Writer};
use crate::{error::Result, storage::Snapshot, users::CarriedRules};

/// The account data that holds the tags of a room.
const TAGS: &str = "m.tag";
/// The account data that says which rooms are direct chats.
const DIRECT: &str = "m.direct";

/// What goes with a person into a room, as it is to be written together with their join.
#[derive(Debug, Default)]
pub(super) struct Carried {
    rules: Option<CarriedRules>,
    tags: Option<Box<RawValue>>,
    direct: Option<(Box<RawValue>, Box<RawValue>)>,
}

impl Rooms {
    /// What goes with `user` into `room`, if it replaces a room in which the user was.
    pub(super) async fn carried_to(&self, room: &Room, user: &UserId) -> Result<Carried> {
        let state = room.current();
        let Some(create) = state.get(&StateEventType::RoomCreate, "") else { return Ok(Carried::default()) };
        match predecessor(&create.content) {
            Some(from) => self.carried(user, (&from, &room.id)).await,
            None => Ok(Carried::default()),
        }
    }

    /// What goes with `user` from one room to another.
    pub(super) async fn carried(&self, user: &UserId, (from, to): (&RoomId, &RoomId)) -> Result<Carried> {
        let snapshot = self.shared.store.snapshot();
        let was_there = self.membership(&snapshot, from, user).await?.is_some_and(|row| !row.value.forgotten);
        if !was_there || user.server_name() != self.shared.settings.server_name {
            return Ok(Carried::default());
        }
        let data = &self.shared.account_data;
        let has_tags = data.get(&snapshot, user, Some(to), TAGS).await?.is_some();
        let tags = if has_tags { None } else { data.get(&snapshot, user, Some(from), TAGS).await? };
        let rules = self.shared.push_rules.carried(&snapshot, user, (from, to)).await?;
        Ok(Carried { rules, tags, direct: self.direct(&snapshot, user, (from, to)).await? })
    }

    /// The user's list of direct chats before and after, if the old room is one.
    async fn direct(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        (from, to): (&RoomId, &RoomId),
    ) -> Result<Option<(Box<RawValue>, Box<RawValue>)>> {
        let Some(before) = self.shared.account_data.get(snapshot, user, None, DIRECT).await? else { return Ok(None) };
        let after = with_successor(&before, from, to);
        Ok(after.map(|after| (before, after)))
    }

    /// Adds to a writer's batch what goes with `user` into its room.
    pub(super) fn carry(&self, writer: &mut Writer, user: &UserId, carried: Carried) {
        let to = writer.room().id.clone();
        let data = &self.shared.account_data;
        if let Some(rules) = &carried.rules {
            let slot = writer.take_slot();
            self.shared.push_rules.put_carried(writer.batch(), slot, user, rules);
        }
        if let Some(tags) = carried.tags {
            let slot = writer.take_slot();
            data.expect(writer.batch(), user, Some(&to), TAGS, None);
            data.put(writer.batch(), slot, user, Some(&to), TAGS, tags);
        }
        if let Some((before, after)) = carried.direct {
            let slot = writer.take_slot();
            data.expect(writer.batch(), user, None, DIRECT, Some(before));
            data.put(writer.batch(), slot, user, None, DIRECT, after);
        }
    }
}

/// The room that a create event says its room replaces.
pub(super) fn predecessor(create: &RawValue) -> Option<OwnedRoomId> {
    #[derive(Deserialize)]
    struct Content {
        predecessor: Predecessor,
    }
    #[derive(Deserialize)]
    struct Predecessor {
        room_id: OwnedRoomId,
    }

    serde_json::from_str::<Content>(create.get()).ok().map(|content| content.predecessor.room_id)
}

/// The list of direct chats with the new room beside the old one; `None` if nothing is to be added.
fn with_successor(direct: &RawValue, from: &RoomId, to: &RoomId) -> Option<Box<RawValue>> {
    let mut direct: Value = serde_json::from_str(direct.get()).ok()?;
    let before = direct.clone();
    for rooms in direct.as_object_mut()?.values_mut().filter_map(Value::as_array_mut) {
        if rooms.iter().any(|room| room == from.as_str()) && !rooms.iter().any(|room| room == to.as_str()) {
            rooms.push(to.as_str().into());
        }
    }
    (direct != before).then(|| to_raw_value(&direct).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use ruma::room_id;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_direct_chat_stays_one() {
        let after = |content: Value| {
            let content = to_raw_value(&content).unwrap();
            let after = with_successor(&content, room_id!("!old:b.c"), room_id!("!new:b.c"));
            after.map(|after| serde_json::from_str::<Value>(after.get()).unwrap())
        };
        let both = json!({ "@a:b.c": ["!old:b.c", "!new:b.c"], "@d:b.c": ["!x:b.c"] });
        assert_eq!(after(json!({ "@a:b.c": ["!old:b.c"], "@d:b.c": ["!x:b.c"] })), Some(both.clone()));
        for unchanged in [both, json!({}), json!({ "@a:b.c": "!old:b.c" }), json!([])] {
            assert_eq!(after(unchanged), None);
        }
    }
}
