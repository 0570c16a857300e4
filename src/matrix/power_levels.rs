//! Who has how much power in a room, and what that lets them do.
//!
//! This answers questions before an event exists ("would she be allowed to?") and questions that the auth rules leave
//! to the server, such as who may redact. Whether an event may happen is decided by [`super::auth_rules`].

use std::collections::{BTreeMap, HashSet};

use ruma::{
    Int, OwnedUserId, UserId,
    events::{TimelineEventType, room::power_levels::UserPowerLevel},
    room_version_rules::RoomVersionRules,
    serde::{btreemap_deserialize_v1_powerlevel_values, deserialize_v1_powerlevel},
    state_res::events::RoomCreateEvent,
};
use serde::Deserialize;

use super::event::Event;

/// The power of the creator of a room that has no power levels, before version 12.
const CREATOR_LEVEL: i32 = 100;

/// The level that a notification takes when the room does not say.
const NOTIFICATION_LEVEL: i32 = 50;

/// The effective power levels of a room at one moment.
#[derive(Clone, Debug)]
pub struct PowerLevels {
    levels: Levels,
    /// Those who stand above every level; empty before version 12.
    creators: HashSet<OwnedUserId>,
}

/// The content of `m.room.power_levels`, where old rooms may write numbers as strings.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
struct Levels {
    #[serde(deserialize_with = "btreemap_deserialize_v1_powerlevel_values")]
    users: BTreeMap<OwnedUserId, Int>,
    #[serde(deserialize_with = "deserialize_v1_powerlevel")]
    users_default: Int,
    #[serde(deserialize_with = "btreemap_deserialize_v1_powerlevel_values")]
    events: BTreeMap<TimelineEventType, Int>,
    #[serde(deserialize_with = "deserialize_v1_powerlevel")]
    events_default: Int,
    #[serde(deserialize_with = "deserialize_v1_powerlevel")]
    state_default: Int,
    #[serde(deserialize_with = "deserialize_v1_powerlevel")]
    ban: Int,
    #[serde(deserialize_with = "deserialize_v1_powerlevel")]
    kick: Int,
    #[serde(deserialize_with = "deserialize_v1_powerlevel")]
    invite: Int,
    #[serde(deserialize_with = "deserialize_v1_powerlevel")]
    redact: Int,
    #[serde(deserialize_with = "btreemap_deserialize_v1_powerlevel_values")]
    notifications: BTreeMap<String, Int>,
}

impl PowerLevels {
    /// Reads the levels from the room's create event and its `m.room.power_levels`, if it has one.
    ///
    /// Content that the auth rules would not have let into the room counts as empty.
    pub fn read(rules: &RoomVersionRules, create: &Event, event: Option<&Event>) -> Self {
        let rules = &rules.authorization;
        let creators = RoomCreateEvent::new(create).creators(rules).unwrap_or_default();
        let mut levels = event.map_or_else(Levels::default, |event| event.content_as().unwrap_or_default());
        if rules.explicitly_privilege_room_creators {
            return Self { levels, creators };
        }
        if event.is_none() {
            levels.users = creators.into_iter().map(|creator| (creator, CREATOR_LEVEL.into())).collect();
        }
        Self { levels, creators: HashSet::new() }
    }

    /// The power of a user.
    pub fn of(&self, user: &UserId) -> UserPowerLevel {
        if self.creators.contains(user) {
            return UserPowerLevel::Infinite;
        }
        UserPowerLevel::Int(self.levels.users.get(user).copied().unwrap_or(self.levels.users_default))
    }

    /// Whether a user stands above all levels, as creators do from version 12 on.
    pub fn is_above_all(&self, user: &UserId) -> bool {
        self.of(user) == UserPowerLevel::Infinite
    }

    /// The level that sending an event of a type takes; a `state_key` makes it a state event.
    pub fn to_send(&self, kind: &TimelineEventType, state_key: Option<&str>) -> Int {
        let default = if state_key.is_some() { self.levels.state_default } else { self.levels.events_default };
        self.levels.events.get(kind).copied().unwrap_or(default)
    }

    /// Whether a member's power suffices to send an event of a type.
    pub fn may_send(&self, user: &UserId, kind: &TimelineEventType, state_key: Option<&str>) -> bool {
        self.of(user) >= self.to_send(kind, state_key)
    }

    /// Whether a member's power suffices to invite.
    pub fn may_invite(&self, user: &UserId) -> bool {
        self.of(user) >= self.levels.invite
    }

    /// Whether `user` may remove `target` from the room.
    pub fn may_kick(&self, user: &UserId, target: &UserId) -> bool {
        self.of(user) >= self.levels.kick && self.of(user) > self.of(target)
    }

    /// Whether `user` may ban `target`.
    pub fn may_ban(&self, user: &UserId, target: &UserId) -> bool {
        self.of(user) >= self.levels.ban && self.of(user) > self.of(target)
    }

    /// Whether `user` may lift the ban of `target`, which takes the power to ban and to kick.
    pub fn may_unban(&self, user: &UserId, target: &UserId) -> bool {
        self.may_ban(user, target) && self.may_kick(user, target)
    }

    /// Whether `user` may redact an event of `sender`: their own, or anyone's with the power for it.
    ///
    /// Sending the redaction takes the power to send `m.room.redaction` besides; the auth rules see to that.
    pub fn may_redact(&self, user: &UserId, sender: &UserId) -> bool {
        user == sender || self.of(user) >= self.levels.redact
    }

    /// Whether a message of `sender` notifies everyone that `key` stands for, such as `room` for `@room`.
    pub fn may_notify(&self, sender: &UserId, key: &str) -> bool {
        self.of(sender) >= self.levels.notifications.get(key).copied().unwrap_or(NOTIFICATION_LEVEL.into())
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            users: BTreeMap::new(),
            users_default: 0.into(),
            events: BTreeMap::new(),
            events_default: 0.into(),
            state_default: 50.into(),
            ban: 50.into(),
            kick: 50.into(),
            invite: 0.into(),
            redact: 50.into(),
            notifications: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::{RoomVersionId, int};
    use serde_json::{Value, json};

    use super::*;
    use crate::matrix::fixtures::{Room, user};

    fn levels(room: &Room) -> PowerLevels {
        let create = room.at(&"m.room.create".into(), "").unwrap();
        let levels = room.at(&"m.room.power_levels".into(), "");
        PowerLevels::read(room.rules, &create, levels.as_deref())
    }

    /// A room of `@creator` (100 or infinite), `@mod` (50), `@helper` (30) and `@guest` (0).
    fn staffed(version: RoomVersionId, changes: Value) -> PowerLevels {
        let mut room = Room::new(version, "public");
        let mut content = json!({ "users": { user("mod"): 50, user("helper"): 30 } });
        if !room.rules.authorization.explicitly_privilege_room_creators {
            content["users"][user("creator").as_str()] = 100.into();
        }
        content.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        room.set("creator", "m.room.power_levels", content).unwrap();
        levels(&room)
    }

    #[test]
    fn without_an_event_the_defaults_hold_and_creators_have_their_power() {
        for (version, power) in
            [(RoomVersionId::V11, UserPowerLevel::Int(int!(100))), (RoomVersionId::V12, UserPowerLevel::Infinite)]
        {
            let levels = levels(&Room::created(version, json!({})));
            assert_eq!(levels.of(&user("creator")), power);
            assert_eq!(levels.of(&user("guest")), int!(0));
            assert!(levels.may_send(&user("guest"), &"m.room.message".into(), None));
            assert!(!levels.may_send(&user("guest"), &"m.room.topic".into(), Some("")));
            assert!(levels.may_invite(&user("guest")));
            assert!(!levels.may_notify(&user("guest"), "room"));
        }
    }

    #[test]
    fn with_an_event_creators_are_ordinary_before_version_12() {
        let demoted = |version| {
            let mut room = Room::new(version, "public");
            room.set("creator", "m.room.power_levels", json!({ "users_default": 0 })).unwrap();
            levels(&room).of(&user("creator"))
        };
        assert_eq!(demoted(RoomVersionId::V11), int!(0));
        assert_eq!(demoted(RoomVersionId::V12), UserPowerLevel::Infinite);
    }

    #[test]
    fn additional_creators_have_no_limit() {
        let room = Room::created(RoomVersionId::V12, json!({ "additional_creators": [user("second")] }));
        assert_eq!(levels(&room).of(&user("second")), UserPowerLevel::Infinite);
        let room = Room::created(RoomVersionId::V11, json!({ "additional_creators": [user("second")] }));
        assert_eq!(levels(&room).of(&user("second")), int!(0));
    }

    #[test]
    fn types_take_their_own_level_or_the_default_of_their_sort() {
        let changes =
            json!({ "events": { "m.room.name": 30, "m.reaction": 60 }, "events_default": 10, "state_default": 40 });
        let levels = staffed(RoomVersionId::V12, changes);
        let table = [
            ("m.room.message", None, 10),
            ("m.reaction", None, 60),
            ("m.room.topic", Some(""), 40),
            ("m.room.name", Some(""), 30),
            ("m.room.topic", None, 10),
        ];
        for (kind, state_key, level) in table {
            assert_eq!(levels.to_send(&kind.into(), state_key), Int::from(level), "{kind}");
        }
        assert!(levels.may_send(&user("helper"), &"m.room.name".into(), Some("")));
        assert!(!levels.may_send(&user("helper"), &"m.room.topic".into(), Some("")));
        assert!(levels.may_send(&user("creator"), &"m.reaction".into(), None));
    }

    #[test]
    fn power_over_others_needs_the_level_and_more_power_than_they_have() {
        for version in [RoomVersionId::V6, RoomVersionId::V11, RoomVersionId::V12] {
            let levels = staffed(version, json!({ "kick": 30, "ban": 50 }));
            let (creator, moderator, helper, guest) = (user("creator"), user("mod"), user("helper"), user("guest"));
            let table = [
                // (who, whom, kick, ban, unban)
                (&creator, &moderator, true, true, true),
                (&moderator, &creator, false, false, false),
                (&moderator, &moderator, false, false, false),
                (&moderator, &helper, true, true, true),
                (&helper, &guest, true, false, false),
                (&helper, &moderator, false, false, false),
                (&guest, &guest, false, false, false),
            ];
            for (who, whom, kick, ban, unban) in table {
                assert_eq!(levels.may_kick(who, whom), kick, "{who} kicks {whom}");
                assert_eq!(levels.may_ban(who, whom), ban, "{who} bans {whom}");
                assert_eq!(levels.may_unban(who, whom), unban, "{who} unbans {whom}");
            }
        }
    }

    #[test]
    fn everyone_redacts_their_own_and_power_redacts_the_rest() {
        let levels = staffed(RoomVersionId::V12, json!({}));
        assert!(levels.may_redact(&user("guest"), &user("guest")));
        assert!(!levels.may_redact(&user("guest"), &user("helper")));
        assert!(!levels.may_redact(&user("helper"), &user("guest")));
        assert!(levels.may_redact(&user("mod"), &user("creator")));
    }

    #[test]
    fn notifications_take_the_level_of_their_key() {
        let levels = staffed(RoomVersionId::V12, json!({ "notifications": { "room": 30, "org.example.siren": 80 } }));
        assert!(levels.may_notify(&user("helper"), "room"));
        assert!(!levels.may_notify(&user("guest"), "room"));
        assert!(!levels.may_notify(&user("mod"), "org.example.siren"));
        assert!(levels.may_notify(&user("creator"), "org.example.siren"));
        assert!(!levels.may_notify(&user("helper"), "org.example.other"));
        assert!(levels.may_notify(&user("mod"), "org.example.other"));
    }

    #[test]
    fn old_rooms_may_write_levels_as_strings() {
        let levels = staffed(RoomVersionId::V9, json!({ "invite": "40", "redact": "30" }));
        assert!(!levels.may_invite(&user("helper")));
        assert!(levels.may_redact(&user("helper"), &user("guest")));
    }
}
