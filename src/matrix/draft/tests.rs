//! Sealing: signatures, ids, canonical JSON and the limits of size.

use proptest::prelude::*;
use ruma::{
    RoomVersionId,
    canonical_json::CanonicalJsonObject,
    owned_event_id,
    serde::Base64,
    signatures::{PublicKeyMap, Verified, verify_event},
};
use serde_json::{Value, json};

use super::*;
use crate::matrix::{
    fixtures::{Room, key, server, user},
    redact::redact,
    room_version::SUPPORTED,
};

/// Seals a message whose content is this JSON text.
fn seal_content(version: RoomVersionId, content: &str) -> Result<(Event, Box<str>)> {
    let room = Room::new(version, "invite");
    let mut draft = room.draft("creator", "m.room.message", None, json!({}))?;
    draft.content = RawValue::from_string(content.to_owned()).unwrap();
    seal(draft, room.rules, server(), &key())
}

fn keys() -> PublicKeyMap {
    PublicKeyMap::from([(
        server().to_string(),
        [(key().id().to_string(), Base64::new(key().public().as_bytes().to_vec()))].into(),
    )])
}

#[test]
fn a_sealed_event_verifies_in_every_version_and_its_id_is_its_hash_or_chosen() {
    for version in SUPPORTED {
        let rules = version.rules().unwrap();
        let (event, json) = seal_content(version.clone(), r#"{ "body": "hé", "n": 1 }"#).unwrap();
        let pdu: CanonicalJsonObject = serde_json::from_str(&json).unwrap();
        assert_eq!(verify_event(&keys(), &pdu, &rules).unwrap(), Verified::All, "{version}");
        let hash = signatures::reference_hash(&pdu, &rules).unwrap();
        match version {
            RoomVersionId::V2 => {
                assert_eq!(event.reference_hash.as_deref(), Some(&*hash));
                assert_eq!(pdu["event_id"].as_str(), Some(event.id.as_str()));
                assert!(event.id.server_name().is_some_and(|name| name == server()));
                let links = serde_json::from_str::<Value>(&json).unwrap()["prev_events"].take();
                assert!(links[0][1]["sha256"].is_string(), "{links}");
            }
            _ => assert_eq!(event.id.as_str(), format!("${hash}")),
        }
        assert_eq!(event.content.get(), r#"{"body":"hé","n":1}"#);
        assert_eq!(pdu.contains_key("event_id"), version == RoomVersionId::V2);
        assert!(!pdu.contains_key("unsigned"));
    }
}

#[test]
fn a_changed_event_no_longer_verifies() {
    let (_, json) = seal_content(RoomVersionId::V12, r#"{"body":"true"}"#).unwrap();
    let changed = serde_json::from_str(&json.replace("true", "false")).unwrap();
    // The signature covers the hash and not the content, so the content is what a receiver would drop.
    assert_eq!(verify_event(&keys(), &changed, &RoomVersionRules::V12).unwrap(), Verified::Signatures);
}

#[test]
fn from_version_12_the_room_id_is_the_hash_of_the_create_event() {
    let room = Room::created(RoomVersionId::V12, json!({}));
    assert_eq!(room.id.as_str()[1..], room.newest.id.as_str()[1..]);
    assert!(room.id.server_name().is_none());

    let room = Room::created(RoomVersionId::V11, json!({}));
    assert_eq!(room.id.as_str(), "!room:commonroom.example");
}

#[test]
fn only_a_version_12_create_event_may_lack_a_room() {
    let room = Room::new(RoomVersionId::V12, "invite");
    let mut draft = room.draft("creator", "m.room.message", None, json!({})).unwrap();
    draft.room_id = None;
    assert_eq!(seal(draft, room.rules, server(), &key()).unwrap_err().kind, Kind::Internal);
}

#[test]
fn redacts_stands_where_the_version_wants_it() {
    for (version, at_top) in [(RoomVersionId::V10, true), (RoomVersionId::V11, false)] {
        let room = Room::new(version, "invite");
        let given = |content, redacts| {
            let mut draft = room.draft("creator", "m.room.redaction", None, content).unwrap();
            draft.redacts = redacts;
            seal(draft, room.rules, server(), &key()).unwrap()
        };
        let target = || Some(owned_event_id!("$gone"));
        for (event, json) in [
            given(json!({ "reason": "r" }), target()),
            given(json!({ "reason": "r", "redacts": "$gone" }), None),
            given(json!({ "reason": "r", "redacts": "$other" }), target()),
        ] {
            let json: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(event.redacts, target());
            assert_eq!(json.get("redacts").is_some(), at_top);
            assert_eq!(json["content"].get("redacts").is_some(), !at_top);
            assert_eq!(json["content"]["reason"], "r");
        }
        assert_eq!(given(json!({}), None).0.redacts, None);
    }
}

#[test]
fn content_that_is_not_canonical_json_is_refused() {
    let refused = [
        "1",
        "[]",
        "null",
        r#""text""#,
        r#"{"n":1.5}"#,
        r#"{"n":1.0}"#,
        r#"{"n":1e3}"#,
        r#"{"n":-0}"#,
        r#"{"n":9007199254740992}"#,
        r#"{"n":-9007199254740992}"#,
        r#"{"n":18446744073709551616}"#,
        r#"{"deep":[{"n":[0.1]}]}"#,
    ];
    for content in refused {
        for version in [RoomVersionId::V5, RoomVersionId::V6, RoomVersionId::V12] {
            let error = seal_content(version, content).unwrap_err();
            assert_eq!(error.kind, Kind::BadJson, "{content}: {error}");
        }
    }
    seal_content(RoomVersionId::V12, r#"{"max":9007199254740991,"min":-9007199254740991,"zero":0}"#).unwrap();
}

#[test]
fn the_whole_event_may_be_65536_bytes_and_not_one_more() {
    let sized = |bytes: usize| seal_content(RoomVersionId::V12, &json!({ "body": "x".repeat(bytes) }).to_string());
    let overhead = sized(0).unwrap().1.len();
    let (_, json) = sized(MAX_EVENT_BYTES - overhead).unwrap();
    assert_eq!(json.len(), MAX_EVENT_BYTES);
    assert_eq!(sized(MAX_EVENT_BYTES - overhead + 1).unwrap_err().kind, Kind::TooLarge);
    assert_eq!(sized(10 * MAX_EVENT_BYTES).unwrap_err().kind, Kind::TooLarge);
}

#[test]
fn types_and_state_keys_may_be_255_bytes_and_not_one_more() {
    let room = Room::new(RoomVersionId::V12, "invite");
    let try_seal = |kind: &str, state_key: &str| {
        let draft = room.draft("creator", kind, Some(state_key), json!({})).unwrap();
        seal(draft, room.rules, server(), &key()).map_err(|e| e.kind)
    };
    let (fits, too_long) = ("é".repeat(127), "é".repeat(128));
    assert!(try_seal(&fits, &fits).is_ok());
    assert_eq!(try_seal(&too_long, "").unwrap_err(), Kind::TooLarge);
    assert_eq!(try_seal("m.room.topic", &too_long).unwrap_err(), Kind::TooLarge);
}

#[test]
fn content_may_be_nested_as_deep_as_it_can_still_be_read_and_redacted() {
    let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let (_, json) = seal_content(RoomVersionId::V12, &nested(MAX_CONTENT_DEPTH)).unwrap();
    redact(&json, &RoomVersionRules::V12).unwrap();
    for levels in [MAX_CONTENT_DEPTH + 1, 126, 127, 128, 1000] {
        assert_eq!(seal_content(RoomVersionId::V12, &nested(levels)).unwrap_err().kind, Kind::BadJson, "{levels}");
    }
}

#[test]
fn an_event_follows_at_most_twenty_others() {
    let room = Room::new(RoomVersionId::V12, "invite");
    let after = |events: usize| {
        let mut draft = room.draft("creator", "m.room.message", None, json!({})).unwrap();
        draft.prev_events = vec![owned_event_id!("$before"); events];
        seal(draft, room.rules, server(), &key())
    };
    assert!(after(MAX_PREV_EVENTS).is_ok());
    assert_eq!(after(MAX_PREV_EVENTS + 1).unwrap_err().kind, Kind::Internal);
}

/// Any value that canonical JSON can hold.
fn canonical_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sealing_keeps_the_content_and_parsing_reads_the_same_event(
        content in prop::collection::hash_map(any::<String>(), canonical_value(), 0..5),
    ) {
        let room = Room::created(RoomVersionId::V12, json!({}));
        let content: Value = content.into_iter().collect();
        let mut draft = room.draft("creator", "org.example.any", None, content.clone()).unwrap();
        draft.sender = user("someone");
        let (event, json) = seal(draft, room.rules, server(), &key()).unwrap();
        prop_assert_eq!(event.content_as::<Value>().unwrap(), content);

        let again = Event::parse(event.id.clone(), event.room_id.clone(), &json, room.rules).unwrap();
        prop_assert_eq!(format!("{again:?}"), format!("{event:?}"));
        let pdu: CanonicalJsonObject = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(serde_json::to_string(&pdu).unwrap(), json.into_string());
    }
}
