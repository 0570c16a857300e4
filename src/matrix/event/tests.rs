//! Reading PDUs: fields, redaction targets, memberships and relations.

use ruma::{RoomVersionId, event_id, owned_event_id, room_id};
use serde_json::{Value, json};

use super::*;
use crate::matrix::{
    fixtures::{Room, user},
    room_version,
};

fn parse(version: RoomVersionId, changes: Value) -> Result<Event> {
    let mut pdu = json!({
        "type": "m.room.message", "sender": user("alice"), "content": {}, "room_id": "!room:example.org",
        "origin_server_ts": 12, "prev_events": ["$prev"], "auth_events": ["$auth"], "depth": 3,
        "hashes": { "sha256": "x" }, "signatures": {},
    });
    pdu.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let rules = room_version::rules(&version).unwrap();
    let room_id = room_id!("!room:example.org").to_owned();
    Event::parse(owned_event_id!("$id"), room_id, &pdu.to_string(), rules)
}

#[test]
fn reads_every_field() {
    let event = parse(RoomVersionId::V11, json!({ "state_key": "k", "content": { "a": [1] } })).unwrap();
    assert_eq!(event.id, "$id");
    assert_eq!(event.room_id, "!room:example.org");
    assert_eq!(event.sender, user("alice"));
    assert_eq!(event.state_place(), Some(("m.room.message".into(), "k")));
    assert_eq!(event.content.get(), r#"{"a":[1]}"#);
    assert_eq!(*event.prev_events, [owned_event_id!("$prev")]);
    assert_eq!(*event.auth_events, [owned_event_id!("$auth")]);
    assert_eq!((event.depth, event.origin_server_ts.get().into()), (3, 12u64));
    assert!(event.is_state());
}

#[test]
fn refuses_what_is_no_pdu() {
    for changes in [
        json!({ "sender": "alice" }),
        json!({ "type": 3 }),
        json!({ "depth": -1 }),
        json!({ "prev_events": [["$prev", {}]] }),
        json!({ "origin_server_ts": "now" }),
    ] {
        let error = parse(RoomVersionId::V11, changes.clone()).unwrap_err();
        assert_eq!(error.kind, Kind::BadJson, "{changes}");
    }
}

#[test]
fn redacts_is_read_where_the_version_writes_it() {
    let top = json!({ "type": "m.room.redaction", "redacts": "$top", "content": { "redacts": "$content" } });
    let redacts = |version, changes| parse(version, changes).unwrap().redacts;
    assert_eq!(redacts(RoomVersionId::V10, top.clone()), Some(owned_event_id!("$top")));
    assert_eq!(redacts(RoomVersionId::V11, top.clone()), Some(owned_event_id!("$content")));

    for nothing in [json!({ "redacts": 7, "content": { "redacts": [] } }), json!({})] {
        let mut changes = nothing;
        changes["type"] = "m.room.redaction".into();
        assert_eq!(redacts(RoomVersionId::V10, changes.clone()), None);
        assert_eq!(redacts(RoomVersionId::V11, changes), None);
    }
    let message = json!({ "redacts": "$top", "content": { "redacts": "$content" } });
    assert_eq!(redacts(RoomVersionId::V10, message.clone()), None);
    assert_eq!(redacts(RoomVersionId::V11, message), None);
}

#[test]
fn only_member_events_have_a_membership_and_a_target() {
    let mut room = Room::new(RoomVersionId::V12, "public");
    let join = room.membership("bob", "bob", "join").unwrap();
    assert_eq!(join.membership(), Some(MembershipState::Join));
    assert_eq!(join.target(), Some(&*user("bob")));

    let content = json!({ "membership": "join" });
    let topic = parse(RoomVersionId::V11, json!({ "type": "m.room.topic", "state_key": "", "content": content }));
    assert_eq!(topic.unwrap().membership(), None);
    let message = parse(RoomVersionId::V11, json!({ "type": "m.room.member", "content": content })).unwrap();
    assert_eq!((message.membership(), message.target()), (None, None));
    let broken = json!({ "type": "m.room.member", "state_key": "@a:b.c", "content": { "membership": 1 } });
    assert_eq!(parse(RoomVersionId::V11, broken).unwrap().membership(), None);
}

#[test]
fn a_relation_is_read_from_the_content() {
    let related = |relates_to: Value| {
        parse(RoomVersionId::V11, json!({ "content": { "body": "x", "m.relates_to": relates_to } })).unwrap()
    };
    let thread = related(json!({ "rel_type": "m.thread", "event_id": "$root", "is_falling_back": true }));
    assert_eq!(thread.thread_root(), Some(event_id!("$root")));
    assert_eq!(thread.replaces(), None);

    let edit = related(json!({ "rel_type": "m.replace", "event_id": "$first" }));
    assert_eq!(edit.replaces(), Some(event_id!("$first")));
    assert_eq!(edit.thread_root(), None);

    let reaction = related(json!({ "rel_type": "m.annotation", "event_id": "$liked", "key": "\"👍\"" }));
    let relation = reaction.relation().unwrap();
    assert_eq!((relation.kind, relation.key.as_deref()), (RelationType::Annotation, Some("\"👍\"")));

    let own = related(json!({ "rel_type": "org.example.x\n", "event_id": "$other", "key": 3 }));
    let relation = own.relation().unwrap();
    assert_eq!((relation.kind.as_str(), relation.key), ("org.example.x\n", None));
}

#[test]
fn what_is_no_relation_is_ignored() {
    for relates_to in [
        json!({ "m.in_reply_to": { "event_id": "$x" } }),
        json!({ "rel_type": "m.thread" }),
        json!({ "rel_type": "m.thread", "event_id": "root" }),
        json!({ "rel_type": 1, "event_id": "$root" }),
        json!("m.thread"),
        Value::Null,
    ] {
        let event = parse(RoomVersionId::V11, json!({ "content": { "m.relates_to": relates_to } })).unwrap();
        assert!(event.relation().is_none(), "{}", event.content);
    }
}

#[test]
fn state_events_edit_nothing() {
    let content = json!({ "m.relates_to": { "rel_type": "m.replace", "event_id": "$first" } });
    let event = parse(RoomVersionId::V11, json!({ "state_key": "", "content": content })).unwrap();
    assert_eq!(event.replaces(), None);
}
