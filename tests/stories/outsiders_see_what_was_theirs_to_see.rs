//! Strangers, the invited, the banned and those who left see of a room what its history visibility gives them, and no more.

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

/// Every way to read a room that refuses outsiders as a whole.
fn ways_in(room: &str) -> Vec<String> {
    let room = encode(room);
    ["messages?dir=b", "messages?dir=f", "state", "state/m.room.name", "members", "joined_members"]
        .map(|way| format!("rooms/{room}/{way}"))
        .into()
}

fn event_path(room: &str, event: &str) -> String {
    format!("rooms/{}/event/{}", encode(room), encode(event))
}

/// The bodies of the messages that somebody finds in a room, newest first.
async fn found(reader: &User, room: &str) -> Vec<String> {
    let events = reader.messages(room, 100).await;
    events.iter().filter_map(|event| event["content"]["body"].as_str()).map(str::to_owned).collect()
}

#[tokio::test]
async fn those_who_never_were_inside_learn_nothing() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let stranger = server.register("stranger").await;
    let invited = server.register("invited").await;
    let banned = server.register("banned").await;
    for visibility in ["shared", "joined"] {
        let set = json!([{
            "type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": visibility},
        }]);
        let room = alice.create_room_with(json!({"name": "secret", "initial_state": set})).await;
        let event = alice.send_text(&room, "secret").await;
        alice.invite(&room, &invited).await;
        alice.act(&room, "ban", json!({"user_id": banned.id})).await.expect_ok();
        for outsider in [&stranger, &invited, &banned] {
            for way in ways_in(&room).into_iter().chain(ways_in("!nowhere:story.example")) {
                outsider.get(&way).await.expect_error(403, "M_FORBIDDEN");
            }
            outsider.get(&event_path(&room, &event)).await.expect_error(404, "M_NOT_FOUND");
            let context = format!("rooms/{}/context/{}", encode(&room), encode(&event));
            outsider.get(&context).await.expect_error(403, "M_FORBIDDEN");
            let write = format!("rooms/{}/send/m.room.message/1", encode(&room));
            outsider.put(&write, json!({"body": "hello"})).await.expect_error(403, "M_FORBIDDEN");
            let write = format!("rooms/{}/state/m.room.topic", encode(&room));
            outsider.put(&write, json!({"topic": "hello"})).await.expect_error(403, "M_FORBIDDEN");
            let write = format!("rooms/{}/redact/{}/1", encode(&room), encode(&event));
            outsider.put(&write, json!({})).await.expect_error(403, "M_FORBIDDEN");
        }
        assert_eq!(found(&alice, &room).await, ["secret"]);
    }
}

#[tokio::test]
async fn who_left_sees_the_room_as_it_was_then() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room_with(json!({"name": "before"})).await;
    let early = alice.send_text(&room, "early").await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let shared = alice.send_text(&room, "while bob is here").await;
    bob.leave(&room).await;
    alice.set_state(&room, "m.room.name", "", json!({"name": "after"})).await;
    let late = alice.send_text(&room, "late").await;

    assert_eq!(found(&bob, &room).await, ["while bob is here"]);
    assert_eq!(bob.messages(&room, 1).await[0]["content"]["membership"], "leave", "bob sees himself go");
    bob.get(&event_path(&room, &shared)).await.expect_ok();
    for hidden in [&early, &late] {
        bob.get(&event_path(&room, hidden)).await.expect_error(404, "M_NOT_FOUND");
        let context = format!("rooms/{}/context/{}", encode(&room), encode(hidden));
        bob.get(&context).await.expect_error(404, "M_NOT_FOUND");
    }
    let name = format!("rooms/{}/state/m.room.name", encode(&room));
    assert_eq!(bob.get(&name).await.expect_ok(), json!({"name": "before"}));
    assert_eq!(alice.get(&name).await.expect_ok(), json!({"name": "after"}));
    let state = bob.get(&format!("rooms/{}/state", encode(&room))).await.expect_ok();
    let own = |event: &&Value| event["type"] == "m.room.member" && event["state_key"] == *bob.id;
    let own: Vec<_> = state.as_array().unwrap().iter().filter(own).collect();
    assert_eq!((own.len(), &own[0]["content"]["membership"]), (1, &json!("leave")));

    bob.act(&room, "forget", json!({})).await.expect_ok();
    for way in ways_in(&room) {
        bob.get(&way).await.expect_error(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn who_left_and_declines_to_come_back_learns_nothing_new() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    for ending in ["decline", "ban"] {
        let room = alice.create_room().await;
        alice.invite(&room, &bob).await;
        bob.join(&room).await;
        alice.set_state(&room, "org.example", "", json!({"is": "known"})).await;
        bob.leave(&room).await;
        let since = bob.sync().await;
        alice.set_state(&room, "org.example", "", json!({"is": "secret"})).await;
        match ending {
            "ban" => drop(alice.act(&room, "ban", json!({"user_id": bob.id})).await.expect_ok()),
            _ => {
                alice.invite(&room, &bob).await;
                bob.leave(&room).await;
            }
        }
        let told = bob.sync_since(since.next_batch()).await;
        let left = told.left(&room);
        assert_eq!(left["timeline"]["events"][0]["state_key"], bob.id, "{left}");
        assert!(!left.to_string().contains("secret"), "{left}");

        let filter = encode(&json!({"room": {"include_leave": true}}).to_string());
        let archive = bob.get(&format!("sync?filter={filter}")).await.expect_ok();
        let archive = archive["rooms"]["leave"][&room].to_string();
        assert!(archive.contains("known") && !archive.contains("secret"), "{archive}");
        let state = bob.get(&format!("rooms/{}/state/org.example", encode(&room))).await.expect_ok();
        assert_eq!(state["is"], "known");
    }
}

#[tokio::test]
async fn who_is_banned_keeps_what_they_had_seen() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    alice.send_text(&room, "hello").await;
    alice.act(&room, "ban", json!({"user_id": bob.id, "reason": "rude"})).await.expect_ok();
    alice.send_text(&room, "he is gone").await;
    assert_eq!(found(&bob, &room).await, ["hello"]);
    let newest = bob.messages(&room, 1).await;
    assert_eq!(newest[0]["content"], json!({"membership": "ban", "reason": "rude"}));
}

#[tokio::test]
async fn history_visibility_decides_for_each_message() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let late = server.register("late").await;
    let stranger = server.register("stranger").await;
    let room = alice.create_room().await;
    for visibility in ["joined", "shared", "invited", "world_readable", "joined"] {
        let content = json!({"history_visibility": visibility});
        alice.set_state(&room, "m.room.history_visibility", "", content).await;
        alice.send_text(&room, visibility).await;
        if visibility == "shared" {
            alice.invite(&room, &late).await;
        }
    }
    assert_eq!(found(&stranger, &room).await, ["world_readable"]);
    assert_eq!(found(&late, &room).await, ["world_readable", "invited"]);
    late.join(&room).await;
    assert_eq!(found(&late, &room).await, ["world_readable", "invited", "shared"]);
    let name = format!("rooms/{}/state/m.room.create", encode(&room));
    stranger.get(&name).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn the_world_may_read_what_is_open_to_it() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let stranger = server.register("stranger").await;
    let open = json!([{
        "type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "world_readable"},
    }]);
    let room = alice.create_room_with(json!({"name": "plaza", "initial_state": open})).await;
    let event = alice.send_text(&room, "hello, world").await;
    assert_eq!(found(&stranger, &room).await, ["hello, world"]);
    assert_eq!(stranger.get(&event_path(&room, &event)).await.expect_ok()["content"]["body"], "hello, world");
    let name = format!("rooms/{}/state/m.room.name", encode(&room));
    assert_eq!(stranger.get(&name).await.expect_ok()["name"], "plaza");
    let members = stranger.get(&format!("rooms/{}/members", encode(&room))).await.expect_ok();
    assert_eq!(members["chunk"][0]["state_key"], alice.id);
    stranger.get(&format!("rooms/{}/joined_members", encode(&room))).await.expect_error(403, "M_FORBIDDEN");
}
