//! The power levels of a room that replaces another one, and of the one that is replaced.

use std::collections::BTreeSet;

use ruma::{OwnedUserId, events::StateEventType, room_version_rules::RoomVersionRules};
use serde_json::{Map, Value, json};

use super::{Room, RoomState};

/// The power of a creator where creators do not stand above all levels.
const CREATOR: i64 = 100;
/// The level that replacing a room takes at least where creators stand above all levels (MSC4289).
const TOMBSTONE: i64 = 150;
/// The level that saying something in a replaced room takes at least.
const QUIET: i64 = 50;

/// The power levels of the room that replaces `old`, which has those of `before`, and whose creators are `creators`.
///
/// Where creators stand above all levels, they are in no list. Where they do not, those who stood above all before get the
/// highest level that there is.
pub(super) fn levels_after(
    old: &Room,
    state: &RoomState,
    before: Option<Map<String, Value>>,
    (rules, creators): (&RoomVersionRules, &BTreeSet<OwnedUserId>),
) -> Value {
    let had_none = before.is_none();
    let mut levels = before.unwrap_or_default();
    if rules.authorization.integer_power_levels {
        levels = levels.into_iter().filter_map(|(key, value)| Some((key, as_numbers(value)?))).collect();
    }
    let old_rules = &old.rules.authorization;
    let top = json!(highest(&Value::Object(levels.clone())));
    let founders = founders(old, state);
    let Value::Object(users) = levels.entry("users").or_insert_with(|| json!({})) else {
        return json!({ "users": {} });
    };
    match (old_rules.explicitly_privilege_room_creators, rules.authorization.explicitly_privilege_room_creators) {
        (false, false) if !had_none => {}
        (_, false) => users.extend(founders.into_iter().map(|founder| (founder, top.clone()))),
        (was_so, true) => {
            if had_none && !was_so {
                users.extend(founders.into_iter().map(|founder| (founder, json!(CREATOR))));
            }
            users.retain(|user, _| !creators.iter().any(|creator| creator == user));
            if !was_so {
                raise_tombstone(&mut levels);
            }
        }
    }
    Value::Object(levels)
}

/// The power levels of a room that was replaced, where they were `before`: only those with power speak and invite there. `None` if
/// it is so already.
pub(super) fn quiet(before: &Map<String, Value>) -> Option<Value> {
    let level = |key: &str| before.get(key).and_then(number).unwrap_or_default();
    let least = level("users_default").saturating_add(1).max(QUIET);
    let mut after = before.clone();
    for key in ["events_default", "invite"] {
        if level(key) < least {
            after.insert(key.to_owned(), json!(least));
        }
    }
    (after != *before).then_some(Value::Object(after))
}

/// The highest level that anything takes or anybody has, and at least that of a creator.
pub(super) fn highest(levels: &Value) -> i64 {
    match levels {
        Value::Object(levels) => levels.values().map(highest).max().unwrap_or(CREATOR).max(CREATOR),
        other => number(other).unwrap_or(CREATOR),
    }
}

/// Makes replacing the room take more than anybody has by accident.
fn raise_tombstone(levels: &mut Map<String, Value>) {
    let state_default = levels.get("state_default").and_then(number).unwrap_or(QUIET);
    let least = TOMBSTONE.max(state_default.saturating_add(1));
    if let Value::Object(events) = levels.entry("events").or_insert_with(|| json!({})) {
        let now = events.get("m.room.tombstone").and_then(number).unwrap_or_default();
        events.insert("m.room.tombstone".to_owned(), json!(now.max(least)));
    }
}

/// Who has created a room.
fn founders(room: &Room, state: &RoomState) -> Vec<String> {
    let Some(create) = state.get(&StateEventType::RoomCreate, "") else { return Vec::new() };
    let content: Value = create.content_as().unwrap_or_default();
    let additional = content["additional_creators"].as_array().into_iter().flatten();
    let additional = additional.filter_map(|creator| creator.as_str().map(str::to_owned));
    let additional = additional.filter(|_| room.rules.authorization.additional_room_creators);
    std::iter::once(create.sender.to_string()).chain(additional).collect()
}

/// A level, which old rooms may write as text.
fn number(level: &Value) -> Option<i64> {
    level.as_i64().or_else(|| level.as_str()?.trim().parse().ok())
}

/// The same with levels that are written as text written as numbers; `None` for what is no level.
fn as_numbers(value: Value) -> Option<Value> {
    match value {
        Value::Object(levels) => {
            Some(Value::Object(levels.into_iter().filter_map(|(key, level)| Some((key, as_numbers(level)?))).collect()))
        }
        other => number(&other).map(Value::from),
    }
}

#[cfg(test)]
mod tests {
    use ruma::RoomVersionId;

    use super::*;
    use crate::matrix::{
        fixtures::{self, user},
        room_version,
    };

    /// A room of this version that `@creator` and, where there can be more, `@second` created, with these levels.
    fn room(version: RoomVersionId, levels: Option<Value>) -> (Room, RoomState) {
        let mut made = fixtures::Room::created(version.clone(), json!({ "additional_creators": [user("second")] }));
        made.membership("creator", "creator", "join").unwrap();
        if let Some(levels) = levels {
            made.set("creator", "m.room.power_levels", levels).unwrap();
        }
        let mut state = RoomState::default();
        made.state.values().for_each(|event| state.set(event.clone()));
        (Room::new(made.id.clone(), version, made.rules, RoomState::default()), state)
    }

    #[test]
    fn levels_fit_the_new_version() {
        use RoomVersionId::{V6, V11, V12};
        let (creator, second, helper) = (user("creator"), user("second"), user("helper"));
        let staff = json!({ "users": { creator.as_str(): 100, helper.as_str(): 50 } });
        let text = json!({ "users": { creator.as_str(): "100", helper.as_str(): " 50 " }, "ban": "30" });
        let crowned = json!({ "users": { helper.as_str(): 150 }, "events": { "m.room.tombstone": 150 } });
        // (from, levels before, to, who creates, levels after)
        let table = [
            (V11, Some(staff.clone()), V11, &creator, staff.clone()),
            (
                V11,
                Some(staff.clone()),
                V12,
                &creator,
                json!({ "users": { helper.as_str(): 50 }, "events": { "m.room.tombstone": 150 } }),
            ),
            (
                V6,
                Some(text),
                V11,
                &creator,
                json!({ "users": { creator.as_str(): 100, helper.as_str(): 50 }, "ban": 30 }),
            ),
            (V11, None, V11, &helper, json!({ "users": { creator.as_str(): 100 } })),
            (V12, Some(crowned.clone()), V12, &helper, json!({ "users": {}, "events": { "m.room.tombstone": 150 } })),
            (
                V12,
                Some(crowned),
                V11,
                &helper,
                json!({
                    "users": { creator.as_str(): 150, second.as_str(): 150, helper.as_str(): 150 },
                    "events": { "m.room.tombstone": 150 },
                }),
            ),
        ];
        for (from, before, to, who, after) in table {
            let (old, state) = room(from.clone(), before);
            let rules = room_version::rules(&to).unwrap();
            let before = state.content(&StateEventType::RoomPowerLevels, "");
            let levels = levels_after(&old, &state, before, (rules, &BTreeSet::from([who.clone()])));
            assert_eq!(levels, after, "from {from} to {to}");
        }
    }

    #[test]
    fn a_replaced_room_is_quiet() {
        for (before, after) in [
            (json!({}), Some((50, 50))),
            (json!({ "users_default": 60 }), Some((61, 61))),
            (json!({ "events_default": 70 }), Some((70, 50))),
            (json!({ "events_default": 70, "invite": 70 }), None),
        ] {
            let levels = quiet(before.as_object().unwrap());
            let levels = levels.map(|levels| (levels["events_default"].clone(), levels["invite"].clone()));
            assert_eq!(levels, after.map(|(say, invite)| (json!(say), json!(invite))), "{before}");
        }
    }
}
