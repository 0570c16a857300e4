//! What a room is like when it has just been created.

use ruma::{
    api::{IncomingRequestExt as _, client::room::create_room::v3::Request},
    room_alias_id, user_id,
};
use serde_json::{Value, json, value::to_raw_value};

use super::{super::*, alice, rooms};
use crate::{
    error::{Kind, Result},
    storage::{
        Direction, KeyRange,
        schema::rooms::{ROOMS, TIMELINE},
    },
};

/// The request that a client makes with this body.
pub(super) fn request(body: Value) -> Request {
    let body = body.to_string();
    let request = ruma::exports::http::Request::post("/_matrix/client/v3/createRoom").body(body.as_bytes()).unwrap();
    Request::try_from_http_request(request, &[]).unwrap()
}

async fn create(rooms: &Rooms, body: Value) -> Result<Arc<Room>> {
    let id = rooms.create(&alice(), request(body)).await?;
    rooms.room(&id).await
}

async fn refusal(body: Value) -> Kind {
    let rooms = rooms();
    let refused = create(&rooms, body).await.unwrap_err();
    let left = ROOMS.scan(&rooms.shared.store.snapshot(), KeyRange::all(), Direction::Forward, 9).await.unwrap();
    assert!(left.is_empty(), "a refused room leaves nothing behind");
    refused.kind
}

fn content(room: &Room, kind: &str) -> Value {
    room.current().content(&kind.into(), "").unwrap_or_default()
}

#[tokio::test]
async fn presets_set_who_joins_who_reads_and_whether_guests_come_in() {
    // (request, join rule, history visibility, guest access)
    let table = [
        (json!({}), "invite", "joined", "can_join"),
        (json!({ "visibility": "public" }), "public", "shared", "forbidden"),
        (json!({ "visibility": "public", "preset": "private_chat" }), "invite", "joined", "can_join"),
        (json!({ "preset": "private_chat" }), "invite", "joined", "can_join"),
        (json!({ "preset": "trusted_private_chat" }), "invite", "joined", "can_join"),
        (json!({ "preset": "public_chat" }), "public", "shared", "forbidden"),
    ];
    for (body, join_rule, history_visibility, guest_access) in table {
        let room = create(&rooms(), body.clone()).await.unwrap();
        assert_eq!(content(&room, "m.room.join_rules")["join_rule"], join_rule, "{body}");
        assert_eq!(content(&room, "m.room.history_visibility")["history_visibility"], history_visibility, "{body}");
        assert_eq!(content(&room, "m.room.guest_access")["guest_access"], guest_access, "{body}");
    }
}

#[tokio::test]
async fn the_first_events_come_in_the_order_of_the_specification() {
    let rooms = rooms();
    let body = json!({
        "room_alias_name": "tea", "name": "Tea", "topic": "Hot", "invite": ["@bob:example.org"], "is_direct": true,
        "initial_state": [
            { "type": "m.room.name", "content": { "name": "overridden" } },
            { "type": "m.room.guest_access", "state_key": "", "content": { "guest_access": "forbidden" } },
            { "type": "org.example.x", "state_key": "y", "content": {} },
        ],
    });
    let room = create(&rooms, body).await.unwrap();
    let rows =
        TIMELINE.scan(&rooms.shared.store.snapshot(), KeyRange::prefix((&room.id,)), Direction::Forward, 99).await;
    let events: Vec<Value> = rows.unwrap().iter().map(|(_, row)| serde_json::from_str(&row.json).unwrap()).collect();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.canonical_alias",
        "m.room.join_rules",
        "m.room.history_visibility",
        "m.room.guest_access",
        "org.example.x",
        "m.room.name",
        "m.room.topic",
        "m.room.member",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(content(&room, "m.room.name"), json!({ "name": "Tea" }));
    assert_eq!(content(&room, "m.room.topic")["m.topic"]["m.text"][0]["body"], "Hot");
    assert_eq!(content(&room, "m.room.guest_access")["guest_access"], "forbidden");
    assert_eq!(events[10]["content"], json!({ "membership": "invite", "is_direct": true }));
    assert_eq!(events[1]["content"], json!({ "membership": "join" }));
    assert_eq!(rooms.resolve_alias(room_alias_id!("#tea:example.org")).await.unwrap(), room.id);
}

#[tokio::test]
async fn the_trusted_share_the_power_of_the_creator() {
    let trusted = |version: &str| {
        json!({ "preset": "trusted_private_chat", "room_version": version,
            "invite": ["@bob:example.org"], "creation_content": { "additional_creators": ["@carol:example.org"] } })
    };
    let old = create(&rooms(), trusted("11")).await.unwrap();
    assert_eq!(
        content(&old, "m.room.power_levels")["users"],
        json!({ "@alice:example.org": 100, "@bob:example.org": 100 })
    );
    let new = create(&rooms(), trusted("12")).await.unwrap();
    assert_eq!(content(&new, "m.room.power_levels")["users"], json!({}));
    let creators = &content(&new, "m.room.create")["additional_creators"];
    assert_eq!(*creators, json!(["@carol:example.org", "@bob:example.org"]));
}

#[tokio::test]
async fn the_server_has_the_last_word_about_version_and_creator() {
    let body = |version: &str| {
        json!({ "room_version": version,
            "creation_content": { "creator": "@eve:example.org", "room_version": "1", "type": "m.space", "org.example": 1 } })
    };
    let old = content(&create(&rooms(), body("10")).await.unwrap(), "m.room.create");
    assert_eq!(
        old,
        json!({ "creator": "@alice:example.org", "room_version": "10", "type": "m.space", "org.example": 1 })
    );
    let new = content(&create(&rooms(), body("12")).await.unwrap(), "m.room.create");
    assert_eq!(new, json!({ "room_version": "12", "type": "m.space", "org.example": 1 }));
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_leaves_nothing() {
    let creators = |creators: Value| json!({ "creation_content": { "additional_creators": creators } });
    let levels = |levels: Value| json!({ "name": "A room", "power_level_content_override": levels });
    let state = |kind: &str, content: Value| json!({ "initial_state": [{ "type": kind, "content": content }] });
    let table = [
        (json!({ "room_version": "1" }), Kind::UnsupportedRoomVersion),
        (json!({ "room_version": "org.example.none" }), Kind::UnsupportedRoomVersion),
        (json!({ "preset": "org.example.none" }), Kind::InvalidParam),
        (json!({ "visibility": "hidden" }), Kind::InvalidParam),
        (json!({ "room_alias_name": "" }), Kind::InvalidParam),
        (json!({ "room_alias_name": "two words" }), Kind::InvalidParam),
        (json!({ "room_alias_name": "a:b" }), Kind::InvalidParam),
        (json!({ "room_alias_name": "x".repeat(255) }), Kind::InvalidParam),
        (json!({ "invite": ["@bob:elsewhere.example"] }), Kind::Forbidden),
        (json!({ "invite": (0..1_000).map(|n| format!("@n{n}:example.org")).collect::<Vec<_>>() }), Kind::InvalidParam),
        (creators(json!("@bob:example.org")), Kind::BadJson),
        (creators(json!([1])), Kind::BadJson),
        (creators(json!(["@bob:dom$ain"])), Kind::BadJson),
        (levels(json!([])), Kind::BadJson),
        (levels(json!({ "users": { "@alice:example.org": 100 } })), Kind::InvalidRoomState),
        (levels(json!({ "ban": "fifty" })), Kind::InvalidRoomState),
        (state("m.room.create", json!({})), Kind::InvalidRoomState),
        (state("m.room.canonical_alias", json!({ "alias": "#other:example.org" })), Kind::BadAlias),
        (state("m.room.canonical_alias", json!({ "alias": "other" })), Kind::InvalidParam),
        (state("m.room.topic", json!({ "topic": 1.5 })), Kind::BadJson),
        (state("m.room.topic", json!({ "topic": "x".repeat(65_536) })), Kind::TooLarge),
        (json!({ "initial_state": [{ "content": {} }] }), Kind::BadJson),
    ];
    for (body, kind) in table {
        let shown = body.to_string().chars().take(120).collect::<String>();
        assert_eq!(refusal(body).await, kind, "{shown}");
    }
    // Before version 12 whoever forgets themselves has no power to go on.
    let powerless = json!({ "room_version": "11", "name": "A room", "power_level_content_override": { "users": {} } });
    assert_eq!(refusal(powerless).await, Kind::InvalidRoomState);
}

#[tokio::test]
async fn those_who_want_no_invitations_are_not_invited_in_any_way() {
    let blocked = to_raw_value(&json!({ "default_action": "block" })).unwrap();
    let by_state =
        json!([{ "type": "m.room.member", "state_key": "@bob:example.org", "content": { "membership": "invite" } }]);
    for body in [json!({ "invite": ["@bob:example.org"] }), json!({ "initial_state": by_state })] {
        let rooms = rooms();
        create(&rooms, body.clone()).await.unwrap();
        let data = &rooms.shared.account_data;
        data.set(user_id!("@bob:example.org"), None, "m.invite_permission_config", blocked.clone()).await.unwrap();
        assert_eq!(create(&rooms, body).await.unwrap_err().kind, Kind::InviteBlocked);
    }
}

#[tokio::test]
async fn an_alias_is_given_once_however_many_want_it() {
    let rooms = rooms();
    let attempts = (0..8).map(|_| {
        let rooms = rooms.clone();
        tokio::spawn(
            async move { create(&rooms, json!({ "room_alias_name": "tea" })).await.map_err(|error| error.kind) },
        )
    });
    let mut made = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(_) => made += 1,
            Err(kind) => assert_eq!(kind, Kind::RoomInUse),
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn rooms_of_the_same_moment_are_different_rooms() {
    let rooms = rooms();
    let (one, two) = tokio::join!(create(&rooms, json!({})), create(&rooms, json!({})));
    assert_ne!(one.unwrap().id, two.unwrap().id);
}

#[tokio::test]
async fn there_is_one_copy_of_a_new_room_in_memory() {
    let rooms = rooms();
    let room = create(&rooms, json!({})).await.unwrap();
    let (one, two) = tokio::join!(rooms.room(&room.id), rooms.room(&room.id));
    assert!(Arc::ptr_eq(&one.unwrap(), &room) && Arc::ptr_eq(&two.unwrap(), &room));
}
