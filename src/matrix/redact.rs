//! Taking out of an event what its room version lets a redaction take out.

use ruma::{
    canonical_json::{CanonicalJsonObject, redact_content_in_place, redact_in_place},
    room_version_rules::RoomVersionRules,
};
use serde_json::value::{RawValue, to_raw_value};

use super::event::Event;
use crate::error::{Error, Result};

/// The canonical JSON of a stored PDU after its redaction (room versions, "Redactions").
///
/// Hashes and signatures stay, so the result has the same event id and still verifies. Redacting twice changes nothing.
///
/// # Errors
///
/// [`crate::error::Kind::Internal`] when `json` is not a PDU.
pub fn redact(json: &str, rules: &RoomVersionRules) -> Result<Box<str>> {
    let mut pdu: CanonicalJsonObject = serde_json::from_str(json).map_err(Error::internal)?;
    redact_in_place(&mut pdu, &rules.redaction, None).map_err(Error::internal)?;
    serde_json::to_string(&pdu).map(String::into_boxed_str).map_err(Error::internal)
}

/// The event with what a redaction would leave of its content.
pub fn emptied(event: &Event, rules: &RoomVersionRules) -> Event {
    let content = serde_json::from_str::<CanonicalJsonObject>(event.content.get()).ok().and_then(|mut content| {
        redact_content_in_place(&mut content, &rules.redaction, event.kind.to_string());
        to_raw_value(&content).ok()
    });
    let mut emptied = event.clone();
    emptied.content = content.unwrap_or_else(|| RawValue::NULL.to_owned());
    emptied
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ruma::{RoomVersionId, signatures};
    use serde_json::{Value, json};

    use super::*;
    use crate::matrix::{
        draft::seal,
        fixtures::{Room, key, server, user},
        room_version::{self, SUPPORTED},
    };

    /// What is left of a content after redaction.
    fn left(version: &RoomVersionId, kind: &str, content: Value) -> Value {
        let pdu = json!({ "type": kind, "content": content });
        let redacted = redact(&pdu.to_string(), room_version::rules(version).unwrap()).unwrap();
        serde_json::from_str::<Value>(&redacted).unwrap()["content"].clone()
    }

    #[test]
    fn each_version_keeps_its_own_keys() {
        let member = json!({
            "membership": "join", "displayname": "A", "join_authorised_via_users_server": "@a:b.c",
            "third_party_invite": { "display_name": "x", "signed": { "token": "t" } },
        });
        let member_v8 = json!({ "membership": "join" });
        let member_v9 = json!({ "membership": "join", "join_authorised_via_users_server": "@a:b.c" });
        let member_v11 = json!({
            "membership": "join", "join_authorised_via_users_server": "@a:b.c",
            "third_party_invite": { "signed": { "token": "t" } },
        });
        let create = json!({ "creator": "@a:b.c", "room_version": "6", "m.federate": true });
        let rules = json!({ "join_rule": "restricted", "allow": [], "x": 1 });
        let levels = json!({
            "ban": 1, "events": {}, "events_default": 1, "kick": 1, "redact": 1, "state_default": 1, "users": {},
            "users_default": 1, "invite": 1, "notifications": {},
        });
        let mut levels_v11 = levels.clone();
        levels_v11.as_object_mut().unwrap().remove("notifications");
        let mut levels_v10 = levels_v11.clone();
        levels_v10.as_object_mut().unwrap().remove("invite");
        let aliases = json!({ "aliases": ["#a:b.c"], "x": 1 });
        let redaction = json!({ "redacts": "$a", "reason": "spam" });

        // (type, content, the version from which on this is left, what is left)
        let table = [
            ("m.room.member", &member, 2, member_v8),
            ("m.room.member", &member, 9, member_v9),
            ("m.room.member", &member, 11, member_v11),
            ("m.room.create", &create, 2, json!({ "creator": "@a:b.c" })),
            ("m.room.create", &create, 11, create.clone()),
            ("m.room.join_rules", &rules, 2, json!({ "join_rule": "restricted" })),
            ("m.room.join_rules", &rules, 8, json!({ "join_rule": "restricted", "allow": [] })),
            ("m.room.power_levels", &levels, 2, levels_v10),
            ("m.room.power_levels", &levels, 11, levels_v11),
            ("m.room.aliases", &aliases, 2, json!({ "aliases": ["#a:b.c"] })),
            ("m.room.aliases", &aliases, 6, json!({})),
            ("m.room.redaction", &redaction, 2, json!({})),
            ("m.room.redaction", &redaction, 11, json!({ "redacts": "$a" })),
            (
                "m.room.history_visibility",
                &json!({ "history_visibility": "shared", "x": 1 }),
                3,
                json!({ "history_visibility": "shared" }),
            ),
            ("m.room.message", &json!({ "body": "hi" }), 2, json!({})),
            ("m.room.name", &json!({ "name": "n" }), 2, json!({})),
        ];
        for (index, version) in SUPPORTED.iter().enumerate() {
            let number = index + 2;
            for (kind, content, _, expected) in latest_per_kind(&table, number) {
                assert_eq!(left(version, kind, (*content).clone()), *expected, "{kind} in version {version}");
            }
        }
    }

    type Case<'a> = (&'a str, &'a Value, usize, Value);

    /// The row of each type that holds for a version.
    fn latest_per_kind<'t, 'a>(table: &'t [Case<'a>], version: usize) -> Vec<&'t Case<'a>> {
        let holds = |case: &&Case<'_>| case.2 <= version;
        let superseded = |case: &Case<'_>| table.iter().any(|c| c.0 == case.0 && c.2 > case.2 && c.2 <= version);
        table.iter().filter(holds).filter(|case| !superseded(case)).collect()
    }

    #[test]
    fn unknown_top_level_keys_go_and_protocol_keys_stay() {
        let pdu = json!({
            "type": "m.room.message", "content": { "body": "x" }, "sender": user("a"), "room_id": "!r:b.c", "state_key": "",
            "hashes": {}, "signatures": {}, "depth": 1, "prev_events": [], "auth_events": [], "origin_server_ts": 1,
            "event_id": "$e", "origin": "b.c", "membership": "join", "prev_state": [], "redacts": "$x",
            "unsigned": { "age": 1 }, "org.example": 1,
        });
        let keys = |version| {
            let redacted = redact(&pdu.to_string(), room_version::rules(&version).unwrap()).unwrap();
            let redacted: Value = serde_json::from_str(&redacted).unwrap();
            redacted.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        let v11 = [
            "auth_events",
            "content",
            "depth",
            "event_id",
            "hashes",
            "origin_server_ts",
            "prev_events",
            "room_id",
            "sender",
            "signatures",
            "state_key",
            "type",
        ];
        let mut v10 = [&v11[..], &["origin", "membership", "prev_state"]].concat();
        v10.sort_unstable();
        assert_eq!(keys(RoomVersionId::V12), v11);
        assert_eq!(keys(RoomVersionId::V10), v10);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for json in ["", "[]", "{}", r#"{"type":1,"content":{}}"#, r#"{"content":{}}"#] {
            redact(json, room_version::rules(&RoomVersionId::V12).unwrap()).unwrap_err();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_redacted_event_keeps_its_id(version in 0..SUPPORTED.len(), body: String, kind in "m\\.room\\.(name|message)") {
            let room = Room::new(SUPPORTED[version].clone(), "invite");
            let draft = room.draft("creator", &kind, Some(""), json!({ "body": body })).unwrap();
            let (event, json) = seal(draft, room.rules, server(), &key()).unwrap();
            let redacted = redact(&json, room.rules).unwrap();
            prop_assert_eq!(redact(&redacted, room.rules).unwrap(), redacted.clone());
            let pdu = serde_json::from_str(&redacted).unwrap();
            let hash = signatures::reference_hash(&pdu, room.rules).unwrap();
            match event.reference_hash {
                Some(before) => prop_assert_eq!(hash, &*before),
                None => prop_assert_eq!(format!("${hash}"), event.id.as_str()),
            }
        }
    }
}
