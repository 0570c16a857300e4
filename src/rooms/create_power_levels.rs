//! The power levels that a room starts with, by its version, its preset and the wishes of its creator.

use std::collections::BTreeSet;

use ruma::{OwnedUserId, UserId, api::client::room::create_room::v3::Request, room_version_rules::RoomVersionRules};
use serde_json::{Map, Value, json};

use super::create_plan::object;
use crate::error::Result;

/// The level of the creator, and of those who are trusted as much, where creators do not stand above all levels.
const CREATOR: i64 = 100;
/// The level that setting most of the state takes.
const STATE: i64 = 50;
/// The level that replacing the room takes where creators stand above all levels: more than anyone gets by accident.
const TOMBSTONE: i64 = 150;

/// The content of the first `m.room.power_levels`, with the request's overrides on top, key by key.
///
/// # Errors
///
/// [`Kind::BadJson`](crate::error::Kind::BadJson) if the overrides are not an object.
pub(super) fn power_levels(
    creator: &UserId,
    request: &Request,
    rules: &RoomVersionRules,
    trusted: &BTreeSet<OwnedUserId>,
) -> Result<Value> {
    let creators_have_it_all = rules.authorization.explicitly_privilege_room_creators;
    let mut levels = defaults();
    if !creators_have_it_all {
        let powerful = trusted.iter().map(|user| user.as_str()).chain([creator.as_str()]);
        let users: Map<_, _> = powerful.map(|user| (user.to_owned(), json!(CREATOR))).collect();
        levels.insert("users".to_owned(), Value::Object(users));
    }
    if let Some(raw) = &request.power_level_content_override {
        levels.extend(object(raw.json().get(), "power_level_content_override")?);
    }
    require_more_for_tombstones(&mut levels, if creators_have_it_all { TOMBSTONE } else { CREATOR });
    Ok(Value::Object(levels))
}

fn defaults() -> Map<String, Value> {
    let events = json!({
        "m.room.avatar": STATE,
        "m.room.canonical_alias": STATE,
        "m.room.encryption": CREATOR,
        "m.room.history_visibility": CREATOR,
        "m.room.name": STATE,
        "m.room.power_levels": CREATOR,
        "m.room.server_acl": CREATOR,
    });
    let levels = [
        ("users", json!({})),
        ("users_default", json!(0)),
        ("events", events),
        ("events_default", json!(0)),
        ("state_default", json!(STATE)),
        ("ban", json!(50)),
        ("kick", json!(50)),
        ("redact", json!(50)),
        ("invite", json!(0)),
        ("notifications", json!({ "room": 50 })),
    ];
    levels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Makes replacing the room take `usual`, or more if other state takes that much, unless the creator said what it takes.
fn require_more_for_tombstones(levels: &mut Map<String, Value>, usual: i64) {
    let above_state = levels.get("state_default").and_then(Value::as_i64).unwrap_or(STATE).saturating_add(1);
    if let Some(Value::Object(events)) = levels.get_mut("events") {
        events.entry("m.room.tombstone").or_insert_with(|| json!(usual.max(above_state)));
    }
}

#[cfg(test)]
mod tests {
    use ruma::{api::client::room::create_room::RoomPowerLevelsContentOverride, owned_user_id, serde::Raw, user_id};
    use serde_json::value::to_raw_value;

    use super::*;

    fn levels(rules: &RoomVersionRules, overrides: Option<Value>) -> Value {
        let mut request = Request::new();
        request.power_level_content_override = overrides
            .map(|overrides| Raw::<RoomPowerLevelsContentOverride>::from_json(to_raw_value(&overrides).unwrap()));
        let trusted = BTreeSet::from([owned_user_id!("@bob:example.org")]);
        power_levels(user_id!("@alice:example.org"), &request, rules, &trusted).unwrap()
    }

    #[test]
    fn before_version_12_the_trusted_are_as_powerful_as_the_creator() {
        let levels = levels(&RoomVersionRules::V11, None);
        assert_eq!(levels["users"], json!({ "@alice:example.org": 100, "@bob:example.org": 100 }));
        assert_eq!(levels["events"]["m.room.tombstone"], 100);
    }

    #[test]
    fn from_version_12_on_creators_need_no_level_and_tombstones_a_high_one() {
        let plain = levels(&RoomVersionRules::V12, None);
        assert_eq!((&plain["users"], &plain["events"]["m.room.tombstone"]), (&json!({}), &json!(150)));
        let overridden = levels(&RoomVersionRules::V12, Some(json!({ "events": {}, "state_default": 200 })));
        assert_eq!(overridden["events"], json!({ "m.room.tombstone": 201 }));
        let chosen = levels(&RoomVersionRules::V12, Some(json!({ "events": { "m.room.tombstone": 170 } })));
        assert_eq!(chosen["events"], json!({ "m.room.tombstone": 170 }));
    }

    #[test]
    fn overrides_replace_whole_keys_and_leave_the_others() {
        let levels =
            levels(&RoomVersionRules::V11, Some(json!({ "users": { "@eve:example.org": 1 }, "org.example": 1 })));
        assert_eq!(levels["users"], json!({ "@eve:example.org": 1 }));
        assert_eq!((&levels["ban"], &levels["org.example"]), (&json!(50), &json!(1)));
    }
}
