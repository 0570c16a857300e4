//! A badge counts what somebody has not read, by their own rules, and is the same on all of their devices.

use serde_json::{Value, json};

use crate::support::{Server, Sync, User, encode};

/// The notifications and highlights of a room in a sync.
#[track_caller]
fn badge(sync: &Sync, room: &str) -> (u64, u64) {
    let counts = &sync.joined(room)["unread_notifications"];
    let count = |name: &str| counts[name].as_u64().unwrap_or_else(|| panic!("no {name} in {}", sync.0));
    (count("notification_count"), count("highlight_count"))
}

/// Two people who are in a room together, and the room.
async fn alice_and_bob(server: &Server) -> (User, User, String) {
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    (alice, bob, room)
}

/// A message with more than a text in it.
async fn send(user: &User, room: &str, more: Value) -> String {
    let mut content = json!({"msgtype": "m.text", "body": "hello"});
    content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    user.send_event(room, "m.room.message", content).await
}

async fn read(user: &User, room: &str, kind: &str, event: &str, thread: Value) {
    let path = format!("rooms/{}/receipt/{kind}/{}", encode(room), encode(event));
    user.post(&path, thread).await.expect_ok();
}

async fn set_push_rule(user: &User, kind: &str, rule: &str, actions: Value) {
    user.put(&format!("pushrules/global/{kind}/{}", encode(rule)), json!({"actions": actions})).await.expect_ok();
}

#[tokio::test]
async fn reading_on_one_device_clears_the_badge_on_all() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let bobs_phone = bob.log_in_again().await;
    let first = bob.sync().await;
    assert_eq!(badge(&first, &room), (0, 0), "a badge of nothing is there, too");
    alice.send_text(&room, "one").await;
    let last = send(&alice, &room, json!({"m.mentions": {"user_ids": [bob.id]}})).await;

    let news = bob.sync_since(first.next_batch()).await;
    assert_eq!(badge(&news, &room), (2, 1));
    let on_phone = bobs_phone.sync().await;
    assert_eq!(badge(&on_phone, &room), (2, 1));
    assert_eq!(badge(&alice.sync().await, &room), (0, 0), "what one says oneself is not news");

    for kind in ["m.read", "m.read.private"] {
        read(&bobs_phone, &room, kind, &last, json!({})).await;
        for (device, since) in [(&bob, news.next_batch()), (&bobs_phone, on_phone.next_batch())] {
            assert_eq!(badge(&device.sync_since(since).await, &room), (0, 0), "after {kind}");
            assert_eq!(badge(&device.sync().await, &room), (0, 0), "after {kind}");
        }
    }
}

#[tokio::test]
async fn a_badge_goes_away_for_a_device_that_wants_to_hear_of_no_receipts() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let last = alice.send_text(&room, "one").await;
    let filter = encode(&json!({"room": {"ephemeral": {"types": []}}}).to_string());
    let sync = async |since: &str| Sync(bob.get(&format!("sync?filter={filter}{since}")).await.expect_ok());
    let first = sync("").await;
    assert_eq!(badge(&first, &room), (1, 0));
    read(&bob, &room, "m.read.private", &last, json!({})).await;
    let since = format!("&timeout=10000&since={}", first.next_batch());
    let next = sync(&since).await;
    assert_eq!(badge(&next, &room), (0, 0));
    assert_eq!(next.joined(&room)["ephemeral"], json!({"events": []}));
}

#[tokio::test]
async fn only_what_the_rules_notify_of_counts() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let first = send(&alice, &room, json!({})).await;
    send(&alice, &room, json!({"msgtype": "m.notice"})).await;
    let edit = json!({"rel_type": "m.replace", "event_id": first});
    send(&alice, &room, json!({"m.new_content": {"msgtype": "m.text", "body": "hi"}, "m.relates_to": edit})).await;
    let annotation = json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": first, "key": "+1"}});
    alice.send_event(&room, "m.reaction", annotation).await;
    alice.set_state(&room, "m.room.topic", "", json!({"topic": "tea"})).await;
    assert_eq!(badge(&bob.sync().await, &room), (1, 0), "no notices, edits, reactions and topics");

    let everybody = json!({"m.mentions": {"room": true}});
    send(&bob, &room, everybody.clone()).await;
    assert_eq!(badge(&alice.sync().await, &room), (1, 0), "bob may not call everybody");
    send(&alice, &room, everybody).await;
    assert_eq!(badge(&bob.sync().await, &room), (1, 1), "and has read what was before his answer");
}

#[tokio::test]
async fn muting_a_room_and_ignoring_somebody_changes_the_badge_at_once() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    alice.send_text(&room, "one").await;
    alice.send_text(&room, "two").await;
    let first = bob.sync().await;
    assert_eq!(badge(&first, &room), (2, 0));

    set_push_rule(&bob, "room", &room, json!([])).await;
    let muted = bob.sync_since(first.next_batch()).await;
    assert_eq!(badge(&muted, &room), (0, 0));
    set_push_rule(&bob, "room", &room, json!(["notify", {"set_tweak": "highlight"}])).await;
    let loud = bob.sync_since(muted.next_batch()).await;
    assert_eq!(badge(&loud, &room), (2, 2));

    let ignored = format!("user/{}/account_data/m.ignored_user_list", encode(&bob.id));
    bob.put(&ignored, json!({"ignored_users": {&alice.id: {}}})).await.expect_ok();
    assert_eq!(badge(&bob.sync_since(loud.next_batch()).await, &room), (0, 0));
    alice.send_text(&room, "three").await;
    assert_eq!(badge(&bob.sync().await, &room), (0, 0));
}

#[tokio::test]
async fn what_is_taken_back_counts_no_longer() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let mistake = send(&alice, &room, json!({"m.mentions": {"user_ids": [bob.id]}})).await;
    alice.send_text(&room, "two").await;
    let first = bob.sync().await;
    assert_eq!(badge(&first, &room), (2, 1));
    alice.redact(&room, &mistake).await;
    assert_eq!(badge(&bob.sync_since(first.next_batch()).await, &room), (1, 0));
}

#[tokio::test]
async fn what_was_said_before_somebody_came_does_not_count() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
    alice.send_text(&room, "before").await;
    bob.join(&room).await;
    assert_eq!(badge(&bob.sync().await, &room), (0, 0));
    bob.leave(&room).await;
    alice.send_text(&room, "while he was away").await;
    bob.join(&room).await;
    assert_eq!(badge(&bob.sync().await, &room), (0, 0));
}

#[tokio::test]
async fn a_device_that_knows_threads_gets_a_badge_for_each() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let root = alice.send_text(&room, "root").await;
    let thread = json!({"rel_type": "m.thread", "event_id": root});
    let inside = send(&alice, &room, json!({"m.relates_to": thread})).await;
    let mention = json!({"m.relates_to": thread, "m.mentions": {"user_ids": [bob.id]}});
    send(&alice, &room, mention).await;
    let last = alice.send_text(&room, "elsewhere").await;

    let filter = json!({"room": {"timeline": {"unread_thread_notifications": true}}}).to_string();
    let badges = async || {
        let sync = Sync(bob.get(&format!("sync?timeout=0&filter={}", encode(&filter))).await.expect_ok());
        let total = badge(&bob.sync().await, &room);
        (badge(&sync, &room), sync.joined(&room)["unread_thread_notifications"][&root].clone(), total)
    };
    let thread = |notifications: u64, highlights: u64| json!({"notification_count": notifications, "highlight_count": highlights});
    assert_eq!(badges().await, ((2, 0), thread(2, 1), (4, 1)));
    read(&bob, &room, "m.read", &last, json!({"thread_id": "main"})).await;
    assert_eq!(badges().await, ((0, 0), thread(2, 1), (2, 1)));
    read(&bob, &room, "m.read", &inside, json!({"thread_id": root})).await;
    assert_eq!(badges().await, ((0, 0), thread(1, 1), (1, 1)));
    read(&bob, &room, "m.read", &last, json!({})).await;
    assert_eq!(badges().await, ((0, 0), Value::Null, (0, 0)));
}

#[tokio::test]
async fn badges_survive_a_restart() {
    let mut server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let read_by_bob = alice.send_text(&room, "one").await;
    read(&bob, &room, "m.read", &read_by_bob, json!({})).await;
    send(&alice, &room, json!({"m.mentions": {"user_ids": [bob.id]}})).await;
    alice.send_text(&room, "three").await;
    let before = bob.sync().await;
    assert_eq!(badge(&before, &room), (2, 1));
    server.kill_and_restart().await;
    assert_eq!(badge(&bob.sync().await, &room), (2, 1));
    let last = alice.send_text(&room, "four").await;
    let after = bob.sync_since(before.next_batch()).await;
    assert_eq!(badge(&after, &room), (3, 1));
    read(&bob, &room, "m.read", &last, json!({})).await;
    server.restart().await;
    assert_eq!(badge(&bob.sync_since(after.next_batch()).await, &room), (0, 0));
}
