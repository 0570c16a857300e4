//! People who share a room see who is online, away, busy or gone, and nobody else does.

use serde_json::{Value, json};

use crate::support::{Server, Sync, User, encode};

async fn set(user: &User, presence: &str, status: Option<&str>) {
    let path = format!("presence/{}/status", encode(&user.id));
    user.put(&path, json!({"presence": presence, "status_msg": status})).await.expect_ok();
}

/// The newest presence of `user` in a sync.
fn presence_of<'a>(sync: &'a Sync, user: &User) -> Option<&'a Value> {
    let events = sync.0["presence"]["events"].as_array()?;
    events.iter().rev().find(|event| event["sender"] == *user.id).map(|event| &event["content"])
}

async fn friends(server: &Server) -> (User, User, String) {
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    (alice, bob, room)
}

#[tokio::test]
async fn a_status_message_is_seen_by_friends_and_by_nobody_else() {
    let server = Server::start().await;
    let (alice, bob, _) = friends(&server).await;
    let eve = server.register("eve").await;
    let (bobs, eves) = (bob.sync().await, eve.sync().await);
    set(&alice, "busy", Some("in a meeting")).await;
    let heard = bob.sync_until(bobs.next_batch(), "alice's presence", |sync| presence_of(sync, &alice).is_some()).await;
    let content = presence_of(&heard, &alice).unwrap();
    assert_eq!((&content["presence"], &content["status_msg"]), (&json!("busy"), &json!("in a meeting")));
    assert!(presence_of(&eve.sync_since(eves.next_batch()).await, &alice).is_none());

    let path = format!("presence/{}/status", encode(&alice.id));
    assert_eq!(bob.get(&path).await.expect_ok()["status_msg"], "in a meeting");
    eve.get(&path).await.expect_error(403, "M_FORBIDDEN");
    bob.put(&path, json!({"presence": "offline"})).await.expect_error(403, "M_FORBIDDEN");
    alice.put(&path, json!({"presence": "asleep"})).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_status_message_outlives_the_server() {
    let mut server = Server::start().await;
    let (alice, bob, _) = friends(&server).await;
    set(&alice, "online", Some("back on Monday")).await;
    server.kill_and_restart().await;
    let content = bob.get(&format!("presence/{}/status", encode(&alice.id))).await.expect_ok();
    assert_eq!((&content["presence"], &content["status_msg"]), (&json!("offline"), &json!("back on Monday")));
    let first = bob.sync().await;
    assert_eq!(presence_of(&first, &alice).unwrap()["status_msg"], "back on Monday");
}

#[tokio::test]
async fn syncing_shows_and_asking_not_to_show_does_not() {
    let server = Server::start().await;
    let (alice, bob, _) = friends(&server).await;
    let path = format!("presence/{}/status", encode(&alice.id));
    alice.get("sync?set_presence=offline").await.expect_ok();
    assert_eq!(bob.get(&path).await.expect_ok()["presence"], "offline");
    alice.get("sync?set_presence=unavailable").await.expect_ok();
    assert_eq!(bob.get(&path).await.expect_ok()["presence"], "unavailable");
    alice.sync().await;
    assert_eq!(bob.get(&path).await.expect_ok()["presence"], "online");
}

#[tokio::test]
async fn who_does_nothing_is_away_and_who_is_gone_is_offline() {
    let server = Server::start_with("[presence]\naway_after = \"500 ms\"\noffline_after = \"4 s\"").await;
    let (alice, bob, room) = friends(&server).await;
    let before = bob.sync().await;
    alice.sync().await;
    let shown = |sync: &Sync, word: &str| presence_of(sync, &alice).is_some_and(|content| content["presence"] == word);
    let online = bob.sync_until(before.next_batch(), "online", |sync| shown(sync, "online")).await;
    let away = bob.sync_until(online.next_batch(), "away", |sync| shown(sync, "unavailable")).await;
    alice.send_text(&room, "still there").await;
    let back = bob.sync_until(away.next_batch(), "back", |sync| shown(sync, "online")).await;
    bob.sync_until(back.next_batch(), "gone", |sync| shown(sync, "offline")).await;
}

#[tokio::test]
async fn people_who_meet_see_each_other_at_once() {
    let server = Server::start().await;
    let (alice, carol) = (server.register("alice").await, server.register("carol").await);
    set(&carol, "online", Some("new here")).await;
    let room = alice.create_room().await;
    let before = alice.sync().await;
    assert!(presence_of(&before, &carol).is_none());
    alice.invite(&room, &carol).await;
    let carols = carol.sync().await;
    carol.join(&room).await;
    let met = alice.sync_until(before.next_batch(), "carol", |sync| presence_of(sync, &carol).is_some()).await;
    assert_eq!(presence_of(&met, &carol).unwrap()["status_msg"], "new here");
    carol.sync_until(carols.next_batch(), "alice", |sync| presence_of(sync, &alice).is_some()).await;
}

#[tokio::test]
async fn an_operator_can_turn_presence_off() {
    let server = Server::start_with("[presence]\nenabled = false").await;
    let (alice, bob, _) = friends(&server).await;
    set(&alice, "online", Some("hello")).await;
    assert_eq!(bob.sync().await.0["presence"].get("events").and_then(Value::as_array).map_or(0, Vec::len), 0);
}

#[tokio::test]
async fn a_status_message_is_no_novel() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let path = format!("presence/{}/status", encode(&alice.id));
    let status = |length: usize| json!({"presence": "online", "status_msg": "ä".repeat(length)});
    alice.put(&path, status(1_000)).await.expect_ok();
    alice.put(&path, status(1_001)).await.expect_error(400, "M_INVALID_PARAM");
    let kept = alice.get(&path).await.expect_ok()["status_msg"].as_str().unwrap().chars().count();
    assert_eq!(kept, 1_000);
}
