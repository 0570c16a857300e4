//! A room starts as its creator wants it: from a preset, with a name, a version, and the power that goes with it.

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

/// The content of a piece of the room's state, as its creator's client learns of it.
async fn state(user: &User, room: &str, kind: &str) -> Value {
    user.sync().await.state(room, kind, "").cloned().unwrap_or_default()
}

#[tokio::test]
async fn each_preset_makes_the_room_that_it_promises() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let table = [
        (json!({"preset": "private_chat"}), "invite", "joined", "can_join"),
        (json!({"preset": "trusted_private_chat"}), "invite", "joined", "can_join"),
        (json!({"preset": "public_chat"}), "public", "shared", "forbidden"),
        (json!({}), "invite", "joined", "can_join"),
        (json!({"visibility": "public"}), "public", "shared", "forbidden"),
    ];
    for (parameters, join_rule, history_visibility, guest_access) in table {
        let room = alice.create_room_with(parameters.clone()).await;
        assert_eq!(state(&alice, &room, "m.room.join_rules").await["join_rule"], join_rule, "{parameters}");
        let visibility = state(&alice, &room, "m.room.history_visibility").await;
        assert_eq!(visibility["history_visibility"], history_visibility, "{parameters}");
        assert_eq!(state(&alice, &room, "m.room.guest_access").await["guest_access"], guest_access, "{parameters}");
        alice.leave(&room).await;
    }
}

#[tokio::test]
async fn the_operator_can_choose_the_history_of_the_specification() {
    let server = Server::start_with("[rooms]\ndefault_history_visibility = \"preset\"\ndefault_version = \"11\"").await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    assert_eq!(state(&alice, &room, "m.room.history_visibility").await["history_visibility"], "shared");
    let create = state(&alice, &room, "m.room.create").await;
    assert_eq!(create["room_version"], "11");
    let own = json!([{"type": "m.room.history_visibility", "content": {"history_visibility": "invited"}}]);
    let room = alice.create_room_with(json!({"initial_state": own})).await;
    assert_eq!(state(&alice, &room, "m.room.history_visibility").await["history_visibility"], "invited");
}

#[tokio::test]
async fn a_group_has_a_name_a_topic_and_its_people() {
    let server = Server::start().await;
    let (alice, bob, carol) =
        (server.register("alice").await, server.register("bob").await, server.register("carol").await);
    let room = alice
        .create_room_with(json!({
            "name": "Tea", "topic": "Hot drinks", "invite": [bob.id, carol.id, alice.id],
            "creation_content": {"org.example.flavour": "mint"},
            "power_level_content_override": {"users_default": 10},
        }))
        .await;
    assert_eq!(state(&alice, &room, "m.room.name").await, json!({"name": "Tea"}));
    assert_eq!(state(&alice, &room, "m.room.topic").await["topic"], "Hot drinks");
    assert_eq!(state(&alice, &room, "m.room.create").await["org.example.flavour"], "mint");
    assert_eq!(state(&alice, &room, "m.room.power_levels").await["users_default"], 10);
    for user in [&bob, &carol] {
        let sync = user.sync().await;
        let told = sync.invited(&room)["invite_state"]["events"].as_array().unwrap();
        assert!(told.iter().any(|event| event["content"]["name"] == "Tea"));
        user.join(&room).await;
    }
}

#[tokio::test]
async fn every_version_makes_a_room_that_others_can_join() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    for version in 3..=12 {
        let version = version.to_string();
        let room = alice.create_room_with(json!({"room_version": version, "preset": "public_chat"})).await;
        assert_eq!(state(&alice, &room, "m.room.create").await["room_version"], version.as_str());
        assert_eq!(room.ends_with(":story.example"), version != "12", "{room} has version {version}");
        bob.join(&room).await;
    }
}

#[tokio::test]
async fn wishes_that_cannot_be_met_are_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    alice.create_room_with(json!({"room_alias_name": "tea"})).await;
    let table = [
        (json!({"room_alias_name": "tea"}), "M_ROOM_IN_USE"),
        (json!({"room_version": "99"}), "M_UNSUPPORTED_ROOM_VERSION"),
        (json!({"room_version": 12}), "M_BAD_JSON"),
        (json!({"power_level_content_override": {"users": {"@alice:story.example": 50}}}), "M_INVALID_ROOM_STATE"),
        (json!({"creation_content": {"additional_creators": "everybody"}}), "M_BAD_JSON"),
        (json!({"preset": "org.example.party"}), "M_INVALID_PARAM"),
    ];
    for (parameters, errcode) in table {
        alice.post("createRoom", parameters).await.expect_error(400, errcode);
    }
    server.stranger().post("createRoom", json!({})).await.expect_error(401, "M_MISSING_TOKEN");
    let rooms = alice.get("joined_rooms").await.expect_ok();
    assert_eq!(rooms["joined_rooms"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_room_of_version_2_goes_on_after_a_restart() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room_with(json!({"room_version": "2", "preset": "public_chat"})).await;
    bob.join(&room).await;
    let first = alice.send_text(&room, "one").await;
    assert!(first.ends_with(":story.example"), "{first}");
    server.kill_and_restart().await;
    let second = bob.send_text(&room, "two").await;
    alice.redact(&room, &second).await;
    bob.put(&format!("rooms/{}/redact/{}/t1", encode(&room), encode(&first)), json!({}))
        .await
        .expect_error(403, "M_FORBIDDEN");
    let texts: Vec<_> =
        alice.messages(&room, 3).await.into_iter().map(|event| event["content"]["body"].clone()).collect();
    assert!(texts.contains(&json!("one")) && !texts.contains(&json!("two")), "{texts:?}");
}
