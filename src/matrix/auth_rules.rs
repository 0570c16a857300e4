//! May this event happen: the specification's authorisation rules, asked against the state of a room.
//!
//! Only `rooms/authorise.rs` calls this.

use std::{collections::HashMap, sync::Arc};

use ruma::{
    EventId,
    events::StateEventType,
    room_version_rules::RoomVersionRules,
    state_res::{auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules},
};

use super::{draft::Draft, event::Event};
use crate::error::{Error, Kind, Result};

/// Checks an event against the room's state before it: the rules about the event itself and its `auth_events`, and the
/// rules about the state.
///
/// `fetch_state` gives the state event of a type and state key. Everything that the event names in `auth_events` must
/// be part of that state, as it is for events made here.
///
/// # Errors
///
/// [`Kind::Forbidden`] with the rule that the event breaks.
pub fn check(
    rules: &RoomVersionRules,
    event: &Event,
    fetch_state: impl Fn(&StateEventType, &str) -> Option<Arc<Event>>,
) -> Result<()> {
    let rules = &rules.authorization;
    let places = auth_types_for_event(&event.kind, &event.sender, event.state_key.as_deref(), &event.content, rules)
        .map_err(Error::forbidden)?;
    // From version 12 on the create event is no auth event, but the rules still ask for it.
    let create = (StateEventType::RoomCreate, String::new());
    let state: HashMap<_, _> = places
        .into_iter()
        .chain([create])
        .filter_map(|(kind, key)| fetch_state(&kind, &key))
        .map(|event| (event.id.clone(), event))
        .collect();
    let fetch_event = |id: &EventId| state.get(id).cloned();

    check_state_independent_auth_rules(rules, event, fetch_event).map_err(Error::forbidden)?;
    check_state_dependent_auth_rules(rules, event, fetch_state).map_err(Error::forbidden)
}

/// The places in the room's state whose events belong in the draft's `auth_events`, where such events exist
/// (server-server API, "Auth events selection").
///
/// # Errors
///
/// [`Kind::BadJson`] when the draft is a member event without a state key or with content that is no membership.
pub fn auth_types(rules: &RoomVersionRules, draft: &Draft) -> Result<Vec<(StateEventType, String)>> {
    auth_types_for_event(&draft.kind, &draft.sender, draft.state_key.as_deref(), &draft.content, &rules.authorization)
        .map_err(|reason| Kind::BadJson.with(reason))
}

#[cfg(test)]
mod tests {
    use ruma::{RoomVersionId, owned_event_id};
    use serde_json::{Value, json};

    use super::*;
    use crate::matrix::{
        draft::seal,
        fixtures::{Room, key, server, user},
        room_version::SUPPORTED,
    };

    /// Whether the rules let `sender` set a membership of `target` in a room with this join rule, where `@bob` is
    /// `before`.
    fn member_case(version: RoomVersionId, join_rule: &str, before: &str, sender: &str, membership: &str) -> bool {
        let mut room = Room::new(version, join_rule);
        match before {
            "none" => {}
            "join" => {
                room.membership("creator", "bob", "invite").unwrap();
                room.membership("bob", "bob", "join").unwrap();
            }
            "knock" => drop(room.membership("bob", "bob", "knock").unwrap()),
            "ban" => drop(room.membership("creator", "bob", "ban").unwrap()),
            "invite" => drop(room.membership("creator", "bob", "invite").unwrap()),
            other => panic!("{other}"),
        }
        match room.membership(sender, "bob", membership) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind, Kind::Forbidden, "{error}");
                false
            }
        }
    }

    #[test]
    fn memberships_follow_the_join_rule() {
        // (join rule, membership before, who acts, membership after, allowed)
        let table = [
            ("invite", "none", "bob", "join", false),
            ("invite", "invite", "bob", "join", true),
            ("invite", "none", "bob", "leave", false),
            ("invite", "invite", "bob", "leave", true),
            ("invite", "join", "bob", "leave", true),
            ("invite", "none", "bob", "knock", false),
            ("invite", "ban", "bob", "join", false),
            ("invite", "ban", "creator", "invite", false),
            ("invite", "ban", "creator", "leave", true),
            ("invite", "ban", "bob", "leave", false),
            ("invite", "join", "creator", "leave", true),
            ("invite", "join", "creator", "invite", false),
            ("invite", "join", "creator", "join", false),
            ("invite", "join", "creator", "ban", true),
            ("invite", "none", "creator", "ban", true),
            ("invite", "none", "creator", "org.example.odd", false),
            ("public", "none", "bob", "join", true),
            ("public", "ban", "bob", "join", false),
            ("public", "none", "bob", "knock", false),
            ("public", "none", "creator", "join", false),
            ("knock", "none", "bob", "knock", true),
            ("knock", "none", "bob", "join", false),
            ("knock", "knock", "bob", "leave", true),
            ("knock", "knock", "creator", "leave", true),
            ("knock", "knock", "creator", "invite", true),
            ("knock", "knock", "bob", "join", false),
            ("knock", "invite", "bob", "knock", false),
            ("knock", "join", "bob", "knock", false),
            ("knock", "ban", "bob", "knock", false),
            ("restricted", "none", "bob", "join", false),
            ("restricted", "invite", "bob", "join", true),
            ("private", "none", "bob", "join", false),
        ];
        for version in [RoomVersionId::V8, RoomVersionId::V10, RoomVersionId::V12] {
            for (join_rule, before, sender, after, allowed) in table {
                assert_eq!(
                    member_case(version.clone(), join_rule, before, sender, after),
                    allowed,
                    "version {version}, rule {join_rule}: @{sender} moves @bob from {before} to {after}",
                );
            }
        }
    }

    #[test]
    fn knocking_and_restricted_joins_exist_from_their_version_on() {
        let knocks = |version| member_case(version, "knock", "none", "bob", "knock");
        assert!(!knocks(RoomVersionId::V6) && knocks(RoomVersionId::V7));
        let knocks = |version| member_case(version, "knock_restricted", "none", "bob", "knock");
        assert!(!knocks(RoomVersionId::V9) && knocks(RoomVersionId::V10));

        let joins_through = |version, through: &str| {
            let mut room = Room::new(version, "restricted");
            let content = json!({ "membership": "join", "join_authorised_via_users_server": user(through) });
            room.send("bob", "m.room.member", Some(user("bob").as_str()), content).is_ok()
        };
        assert!(!joins_through(RoomVersionId::V7, "creator"));
        assert!(joins_through(RoomVersionId::V8, "creator"));
        assert!(!joins_through(RoomVersionId::V8, "stranger"));
    }

    #[test]
    fn outsiders_send_nothing_and_power_decides_for_members() {
        for version in SUPPORTED {
            let mut room = Room::new(version.clone(), "public");
            assert!(room.message("bob", "hello?").is_err(), "{version}");
            room.membership("bob", "bob", "join").unwrap();
            room.message("bob", "hello").unwrap();
            assert!(room.set("bob", "m.room.topic", json!({ "topic": "mine" })).is_err(), "{version}");
            room.set("creator", "m.room.topic", json!({ "topic": "ours" })).unwrap();
            assert!(room.send("creator", "org.example.x", Some(user("bob").as_str()), json!({})).is_err());
            room.membership("creator", "bob", "leave").unwrap();
            assert!(room.message("bob", "still there").is_err(), "{version}");
        }
    }

    #[test]
    fn nobody_gives_more_power_than_they_have() {
        let levels = |bob: i64, carol: i64, kick: i64| json!({ "users": { user("bob"): bob, user("carol"): carol }, "kick": kick });
        let with_creator = |version: &RoomVersionId, mut levels: Value| {
            if *version != RoomVersionId::V12 {
                levels["users"][user("creator").as_str()] = 100.into();
            }
            levels
        };
        // (what bob, who has 60, changes the levels to, allowed); carol has 60 too, kick is 50.
        let table = [
            (levels(60, 60, 50), true),
            (levels(50, 60, 50), true),
            (levels(60, 50, 50), false),
            (levels(61, 60, 50), false),
            (levels(60, 60, 60), true),
            (levels(60, 60, 61), false),
        ];
        for version in [RoomVersionId::V6, RoomVersionId::V11, RoomVersionId::V12] {
            let mut room = Room::new(version.clone(), "public");
            room.membership("bob", "bob", "join").unwrap();
            let before = with_creator(&version, levels(60, 60, 50));
            room.set("creator", "m.room.power_levels", before).unwrap();
            for (after, allowed) in table.clone() {
                let after = with_creator(&version, after);
                let outcome = room.clone().set("bob", "m.room.power_levels", after.clone());
                assert_eq!(outcome.is_ok(), allowed, "version {version}: {after}");
            }
        }
    }

    #[test]
    fn creators_of_version_12_stand_above_the_levels() {
        let mut room = Room::created(RoomVersionId::V12, json!({ "additional_creators": [user("second")] }));
        room.membership("creator", "creator", "join").unwrap();
        for creator in ["creator", "second"] {
            let listed = json!({ "users": { user(creator): 100 } });
            assert!(room.set("creator", "m.room.power_levels", listed).is_err(), "{creator}");
        }
        let levels = json!({ "users": { user("bob"): 9_007_199_254_740_991i64 } });
        room.set("creator", "m.room.power_levels", levels).unwrap();
        room.set("creator", "m.room.join_rules", json!({ "join_rule": "public" })).unwrap();
        room.membership("bob", "bob", "join").unwrap();
        room.membership("second", "second", "join").unwrap();
        assert!(room.membership("bob", "second", "ban").is_err());
        assert!(room.membership("second", "creator", "leave").is_err());
        room.membership("second", "bob", "ban").unwrap();
    }

    #[test]
    fn malformed_additional_creators_are_refused() {
        let mut room = Room::created(RoomVersionId::V12, json!({}));
        for creators in [json!("@a:b.c"), json!(["nobody"]), json!([1])] {
            let mut draft = room.draft("creator", "m.room.create", Some(""), json!({})).unwrap();
            draft.content = serde_json::value::to_raw_value(&json!({ "additional_creators": creators })).unwrap();
            (draft.room_id, draft.prev_events) = (None, vec![]);
            assert!(room.apply(draft).is_err(), "{creators}");
        }
    }

    #[test]
    fn string_power_levels_end_with_version_10() {
        let outcome =
            |version| Room::new(version, "invite").set("creator", "m.room.power_levels", json!({ "ban": "50" }));
        assert!(outcome(RoomVersionId::V9).is_ok());
        assert!(outcome(RoomVersionId::V10).is_err());
    }

    #[test]
    fn auth_events_are_exactly_those_the_selection_names() {
        let room = Room::new(RoomVersionId::V11, "public");
        let draft =
            room.draft("bob", "m.room.member", Some(user("bob").as_str()), json!({ "membership": "join" })).unwrap();
        let places = auth_types(room.rules, &draft).unwrap();
        let names: Vec<_> = places.iter().map(|(kind, key)| format!("{kind}/{key}")).collect();
        let bob = format!("m.room.member/{}", user("bob"));
        assert_eq!(names, ["m.room.power_levels/", &bob, "m.room.create/", "m.room.join_rules/"]);

        let checked = |change: &dyn Fn(&mut Draft)| {
            let mut draft = draft.clone();
            change(&mut draft);
            let (event, _) = seal(draft, room.rules, server(), &key()).unwrap();
            check(room.rules, &event, |kind, key| room.at(kind, key)).map_err(|e| e.kind)
        };
        assert_eq!(checked(&|_| {}), Ok(()));
        assert_eq!(checked(&|draft| draft.auth_events.clear()), Err(Kind::Forbidden));
        assert_eq!(checked(&|draft| draft.auth_events.push(owned_event_id!("$unknown"))), Err(Kind::Forbidden));
        assert_eq!(checked(&|draft| draft.auth_events.push(draft.auth_events[0].clone())), Err(Kind::Forbidden));
    }

    #[test]
    fn a_member_event_without_membership_cannot_be_drafted() {
        let room = Room::new(RoomVersionId::V12, "public");
        for (state_key, content) in [(None, json!({ "membership": "join" })), (Some("@bob:a.b"), json!({}))] {
            let error = room.draft("bob", "m.room.member", state_key, content).unwrap_err();
            assert_eq!(error.kind, Kind::BadJson);
        }
    }

    #[test]
    fn an_unfederated_room_is_for_its_own_server() {
        let mut room = Room::created(RoomVersionId::V12, json!({ "m.federate": false }));
        room.membership("creator", "creator", "join").unwrap();
        room.set("creator", "m.room.join_rules", json!({ "join_rule": "public" })).unwrap();
        let mut draft = room
            .draft("bob", "m.room.member", Some("@bob:elsewhere.example"), json!({ "membership": "join" }))
            .unwrap();
        draft.sender = "@bob:elsewhere.example".try_into().unwrap();
        assert!(room.apply(draft).is_err());
        room.membership("bob", "bob", "join").unwrap();
    }
}
