//! A bridge is told what happens where its users are: in order, each thing once, whatever goes wrong on either side.

use serde_json::{Value, json};

use crate::support::{Appservice, Connection, Manner, Server, User, encode, registrations, with_registrations};

struct Scene {
    server: Server,
    irc: Appservice,
    alice: User,
    room: String,
    ghost: String,
    bridge: Connection,
    /// Where the registration lies, which every start reads.
    _folder: tempfile::TempDir,
}

/// A room of alice in which a ghost is.
async fn scene(extra: &str) -> Scene {
    let folder = registrations();
    let irc = Appservice::start(&folder, "irc", extra).await;
    let server = Server::start_with(&with_registrations(&folder)).await;
    let alice = server.register("alice").await;
    let (bridge, ghost) = (irc.client(&server), irc.ghost(&server, "nick").await);
    let room = alice.create_room().await;
    invite(&alice, &room, &ghost).await;
    let path = format!("join/{}?user_id={}", encode(&room), encode(&ghost));
    bridge.post(&path, json!({})).await.expect_ok();
    let it = Scene { server, irc, alice, room, ghost, bridge, _folder: folder };
    it.irc.event(|event| event["state_key"] == it.ghost && event["content"]["membership"] == "invite").await;
    it
}

async fn invite(user: &User, room: &str, invited: &str) {
    let path = format!("rooms/{}/invite", encode(room));
    user.post(&path, json!({"user_id": invited})).await.expect_ok();
}

fn says(text: &str) -> impl Fn(&Value) -> bool {
    move |event| event["content"]["body"] == text
}

#[tokio::test]
async fn it_hears_of_its_rooms_and_of_no_others() {
    let it = scene("").await;
    let elsewhere = it.alice.create_room().await;
    it.alice.send_text(&elsewhere, "a secret").await;
    it.alice.send_text(&it.room, "hello").await;
    let event = it.irc.event(says("hello")).await;
    assert_eq!((&event["sender"], &event["room_id"]), (&json!(it.alice.id), &json!(it.room)));
    assert!(event["event_id"].is_string() && event["origin_server_ts"].is_u64() && event["type"].is_string());

    // Once the ghost has left, it hears that, and nothing that comes after.
    let path = format!("rooms/{}/leave?user_id={}", encode(&it.room), encode(&it.ghost));
    it.bridge.post(&path, json!({})).await.expect_ok();
    it.irc.event(|event| event["content"]["membership"] == "leave").await;
    it.alice.send_text(&it.room, "a secret").await;
    invite(&it.alice, &it.room, &it.ghost).await;
    it.irc.event(|event| event["content"]["membership"] == "invite").await;
    assert!(!it.irc.came().iter().any(|(_, body)| body.contains("a secret")));
}

#[tokio::test]
async fn an_invitation_shows_the_room() {
    let it = scene("").await;
    let room = it.alice.create_room_with(json!({"name": "Tea room"})).await;
    invite(&it.alice, &room, &it.ghost).await;
    let event = it.irc.event(|event| event["room_id"] == room).await;
    let state = event["unsigned"]["invite_room_state"].as_array().unwrap();
    let name = state.iter().find(|event| event["type"] == "m.room.name").unwrap();
    assert_eq!((&name["content"]["name"], name.get("event_id")), (&json!("Tea room"), None));
    assert!(state.iter().any(|event| event["type"] == "m.room.member" && event["state_key"] == it.alice.id), "{event}");
    // What others are shown is theirs.
    it.alice.create_room_with(json!({"invite": [it.alice.id.replace("alice", "bob")]})).await;
    let bob = it.alice.id.replace("alice", "bob");
    invite(&it.alice, &it.room, &bob).await;
    let event = it.irc.event(|event| event["state_key"] == bob).await;
    assert!(event["unsigned"].get("invite_room_state").is_none(), "{event}");
}

#[tokio::test]
async fn a_transaction_is_the_same_however_often_it_is_sent() {
    let mut it = scene("").await;
    it.irc.behave(Manner::Answers(503));
    let before = it.irc.came().len();
    it.alice.send_text(&it.room, "one").await;
    it.irc.called_after(before).await;
    it.alice.send_text(&it.room, "two").await;
    it.server.kill_and_restart().await;
    let before = it.irc.came().len();
    it.irc.called_after(before).await;
    it.server.restart().await;
    it.alice.send_text(&it.room, "three").await;
    it.irc.behave(Manner::Takes);
    it.irc.event(says("three")).await;

    let mut bodies = std::collections::HashMap::new();
    let mut told: Vec<String> = Vec::new();
    for (id, body) in it.irc.came() {
        let first = bodies.insert(id, body.clone());
        assert!(first.as_ref().is_none_or(|first| *first == body), "another body under the same id");
        if first.is_none() {
            let body: Value = serde_json::from_str(&body).unwrap();
            let texts = body["events"].as_array().unwrap().iter().filter_map(|event| event["content"]["body"].as_str());
            told.extend(texts.map(str::to_owned));
        }
    }
    assert_eq!(told, ["one", "two", "three"]);
}

#[tokio::test]
async fn one_that_hangs_delays_nobody_else() {
    let folder = registrations();
    let hangs = Appservice::start(&folder, "hangs", "").await;
    let works = Appservice::start(&folder, "works", "").await;
    hangs.behave(Manner::Hangs);
    let server = Server::start_with(&with_registrations(&folder)).await;
    let alice = server.register("alice").await;
    let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
    for service in [&hangs, &works] {
        let ghost = service.ghost(&server, "nick").await;
        let path = format!("join/{}?user_id={}", encode(&room), encode(&ghost));
        service.client(&server).post(&path, json!({})).await.expect_ok();
    }
    hangs.called_after(0).await;
    for n in 0..3 {
        alice.send_text(&room, &format!("message {n}")).await;
        works.event(says(&format!("message {n}"))).await;
    }
}

#[tokio::test]
async fn it_hears_what_passes_if_it_wants_to() {
    let mut it = scene("receive_ephemeral: true").await;
    let typing = format!("rooms/{}/typing/{}", encode(&it.room), encode(&it.alice.id));
    it.alice.put(&typing, json!({"typing": true, "timeout": 30_000})).await.expect_ok();
    let event = it.irc.extra("ephemeral", |event| event["type"] == "m.typing").await;
    assert_eq!((&event["room_id"], &event["content"]["user_ids"]), (&json!(it.room), &json!([it.alice.id])));

    let sent = it.alice.send_text(&it.room, "hello").await;
    for kind in ["m.read.private", "m.read"] {
        let path = format!("rooms/{}/receipt/{kind}/{}", encode(&it.room), encode(&sent));
        it.alice.post(&path, json!({})).await.expect_ok();
    }
    let event = it.irc.extra("ephemeral", |event| event["type"] == "m.receipt").await;
    assert_eq!(event["room_id"], it.room);
    assert!(event["content"][&sent]["m.read"][&it.alice.id].is_object(), "{event}");
    assert!(!it.irc.came().iter().any(|(_, body)| body.contains("m.read.private")), "it is private");

    let status = format!("presence/{}/status", encode(&it.alice.id));
    it.alice.put(&status, json!({"presence": "online", "status_msg": "tea"})).await.expect_ok();
    let event = it.irc.extra("ephemeral", |event| event["content"]["status_msg"] == "tea").await;
    assert_eq!((&event["type"], &event["sender"]), (&json!("m.presence"), &json!(it.alice.id)));

    // Nobody types after a crash, and it hears that.
    it.alice.put(&typing, json!({"typing": true, "timeout": 30_000})).await.expect_ok();
    it.irc.extra("ephemeral", |event| event["content"]["user_ids"] == json!([it.alice.id])).await;
    it.server.kill_and_restart().await;
    let event = it.irc.extra("ephemeral", |event| event["type"] == "m.typing").await;
    assert_eq!((&event["room_id"], &event["content"]["user_ids"]), (&json!(it.room), &json!([])));
}

#[tokio::test]
async fn its_ghosts_can_encrypt() {
    let it = scene("de.sorunome.msc2409.push_ephemeral: true\norg.matrix.msc3202: true").await;
    let device = format!("devices/GHOST?user_id={}", encode(&it.ghost));
    it.bridge.put(&device, json!({})).await.expect_status(201);
    // Nothing but the id of a device is needed to be written to.
    let message = json!({"messages": {it.ghost.as_str(): {"GHOST": {"secret": 1}}}});
    it.alice.put("sendToDevice/org.example.key/1", message).await.expect_ok();
    let event = it.irc.extra("de.sorunome.msc2409.to_device", |_| true).await;
    assert_eq!((&event["to_user_id"], &event["to_device_id"]), (&json!(it.ghost), &json!("GHOST")));
    assert_eq!((&event["sender"], &event["content"]["secret"]), (&json!(it.alice.id), &json!(1)));
    let counts = "org.matrix.msc3202.device_one_time_keys_count";
    let (_, body) = it.irc.came().pop().unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body[counts][&it.ghost]["GHOST"]["signed_curve25519"], 0, "{body}");

    // A new device of somebody in its room.
    let other = it.alice.log_in_again().await;
    loop {
        let (_, transaction) = it.irc.next_transaction().await;
        let changed = &transaction["org.matrix.msc3202.device_lists"]["changed"];
        if changed.as_array().is_some_and(|changed| changed.contains(&json!(other.id))) {
            break;
        }
    }
    // When the last of its users leaves a room, it need not follow the devices of those who stay.
    let path = format!("rooms/{}/leave?user_id={}", encode(&it.room), encode(&it.ghost));
    it.bridge.post(&path, json!({})).await.expect_ok();
    loop {
        let (_, transaction) = it.irc.next_transaction().await;
        let left = &transaction["org.matrix.msc3202.device_lists"]["left"];
        if left.as_array().is_some_and(|left| left.contains(&json!(it.alice.id))) {
            break;
        }
    }
}
