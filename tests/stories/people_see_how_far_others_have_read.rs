//! People see how far the others have read, unless those keep it to themselves.

use serde_json::{Value, json};

use crate::support::{Answer, PATIENCE, Server, Sync, User, encode};

async fn read(user: &User, room: &str, kind: &str, event: &str) -> Answer {
    read_in(user, room, kind, event, json!({})).await
}

async fn read_in(user: &User, room: &str, kind: &str, event: &str, body: Value) -> Answer {
    user.post(&format!("rooms/{}/receipt/{kind}/{}", encode(room), encode(event)), body).await
}

/// The receipt of a person for an event, if a sync brings it.
fn receipt<'a>(sync: &'a Sync, room: &str, kind: &str, event: &str, reader: &User) -> Option<&'a Value> {
    let content = &Sync::newest(&sync.joined(room)["ephemeral"], "m.receipt")?["content"];
    Some(&content[event][kind][&reader.id]).filter(|receipt| !receipt.is_null())
}

/// Three people who are in a room together, and the room.
async fn three_people(server: &Server) -> (User, User, User, String) {
    let people = (server.register("alice").await, server.register("bob").await, server.register("carol").await);
    let room = people.0.create_room_with(json!({"preset": "public_chat"})).await;
    people.1.join(&room).await;
    people.2.join(&room).await;
    (people.0, people.1, people.2, room)
}

#[tokio::test]
async fn a_receipt_reaches_everybody_in_the_room() {
    let server = Server::start().await;
    let (alice, bob, carol, room) = three_people(&server).await;
    let eve = server.register("eve").await;
    let (one, two) = (alice.send_text(&room, "one").await, alice.send_text(&room, "two").await);
    let (before, outside) = (alice.sync().await, eve.sync().await);
    let reading = async || read(&bob, &room, "m.read", &one).await.expect_ok();
    let (news, _) = tokio::join!(alice.wait_since(before.next_batch(), PATIENCE), reading());
    let first = receipt(&news, &room, "m.read", &one, &bob).expect("the receipt arrives");
    assert!(first["ts"].as_u64().is_some_and(|time| time > 1_600_000_000_000) && first["thread_id"].is_null());

    read(&bob, &room, "m.read", &two).await.expect_ok();
    read(&bob, &room, "m.read", &one).await.expect_ok();
    let news = alice.sync_since(news.next_batch()).await;
    assert!(receipt(&news, &room, "m.read", &two, &bob).is_some());
    assert!(receipt(&news, &room, "m.read", &one, &bob).is_none(), "nobody unreads");
    let all = carol.sync().await;
    assert!(
        receipt(&all, &room, "m.read", &two, &bob).is_some() && receipt(&all, &room, "m.read", &one, &bob).is_none()
    );
    assert!(eve.sync_since(outside.next_batch()).await.0["rooms"]["join"][&room].is_null());
    let filter = encode(&json!({"room": {"ephemeral": {"not_types": ["m.receipt"]}}}).to_string());
    let filtered = Sync(carol.get(&format!("sync?filter={filter}")).await.expect_ok());
    assert!(receipt(&filtered, &room, "m.read", &two, &bob).is_none());
}

#[tokio::test]
async fn who_was_away_for_long_learns_of_receipts_alone() {
    let server = Server::start().await;
    let (alice, bob, carol, room) = three_people(&server).await;
    let one = alice.send_text(&room, "one").await;
    let (of_bob, of_carol) = (bob.sync().await, carol.sync().await);
    read(&bob, &room, "m.read", &one).await.expect_ok();
    let elsewhere = alice.create_room().await;
    for number in 0..600 {
        alice.send_text(&elsewhere, &number.to_string()).await;
    }
    let news = carol.sync_since(of_carol.next_batch()).await;
    assert!(receipt(&news, &room, "m.read", &one, &bob).is_some());
    let own = bob.sync_since(of_bob.next_batch()).await;
    assert_eq!(own.joined(&room)["unread_notifications"]["notification_count"], 0);
}

#[tokio::test]
async fn a_private_receipt_stays_on_ones_own_devices() {
    let server = Server::start().await;
    let (alice, bob, _, room) = three_people(&server).await;
    let bobs_phone = bob.log_in_again().await;
    let one = alice.send_text(&room, "one").await;
    let (before, on_phone) = (alice.sync().await, bobs_phone.sync().await);
    read(&bob, &room, "m.read.private", &one).await.expect_ok();
    let news = bobs_phone.sync_since(on_phone.next_batch()).await;
    assert!(receipt(&news, &room, "m.read.private", &one, &bob).is_some());
    assert!(receipt(&bobs_phone.sync().await, &room, "m.read.private", &one, &bob).is_some());

    let seen_by_alice = alice.sync_since(before.next_batch()).await;
    assert!(seen_by_alice.joined(&room).is_null(), "not even that something happened: {}", seen_by_alice.0);
    assert!(!alice.sync().await.0.to_string().contains("m.read.private"));
}

#[tokio::test]
async fn receipts_tell_their_threads() {
    let server = Server::start().await;
    let (alice, bob, _, room) = three_people(&server).await;
    let root = alice.send_text(&room, "root").await;
    let relation = json!({"rel_type": "m.thread", "event_id": root});
    let content = json!({"msgtype": "m.text", "body": "inside", "m.relates_to": relation});
    let inside = alice.send_event(&room, "m.room.message", content).await;
    let before = alice.sync().await;
    read_in(&bob, &room, "m.read", &inside, json!({"thread_id": root})).await.expect_ok();
    read_in(&bob, &room, "m.read", &root, json!({"thread_id": "main"})).await.expect_ok();
    let news = alice.sync_since(before.next_batch()).await;
    assert_eq!(receipt(&news, &room, "m.read", &inside, &bob).unwrap()["thread_id"], root);
    assert_eq!(receipt(&news, &room, "m.read", &root, &bob).unwrap()["thread_id"], "main");

    for (event, thread) in [(&inside, "main"), (&root, "nonsense"), (&root, ""), (&root, "$elsewhere")] {
        let refused = read_in(&bob, &room, "m.read", event, json!({"thread_id": thread})).await;
        refused.expect_error(400, "M_INVALID_PARAM");
    }
    let marker = read_in(&bob, &room, "m.fully_read", &root, json!({"thread_id": "main"})).await;
    marker.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn the_read_marker_is_the_readers_own() {
    let server = Server::start().await;
    let (alice, bob, _, room) = three_people(&server).await;
    let (one, two) = (alice.send_text(&room, "one").await, alice.send_text(&room, "two").await);
    let (of_alice, of_bob) = (alice.sync().await, bob.sync().await);
    let markers = format!("rooms/{}/read_markers", encode(&room));
    bob.post(&markers, json!({"m.fully_read": one, "m.read": two, "m.read.private": two})).await.expect_ok();
    let marker = |sync: &Sync| {
        let event = Sync::newest(&sync.joined(&room)["account_data"], "m.fully_read");
        event.map(|event| event["content"]["event_id"].clone())
    };
    let news = bob.sync_since(of_bob.next_batch()).await;
    assert_eq!(marker(&news), Some(json!(one)));
    assert!(receipt(&news, &room, "m.read", &two, &bob).is_some());
    assert!(receipt(&news, &room, "m.read.private", &two, &bob).is_some());
    let seen_by_alice = alice.sync_since(of_alice.next_batch()).await;
    assert_eq!(marker(&seen_by_alice), None);
    assert!(receipt(&seen_by_alice, &room, "m.read", &two, &bob).is_some());
    assert!(!seen_by_alice.0.to_string().contains("m.read.private"));

    read(&bob, &room, "m.fully_read", &two).await.expect_ok();
    bob.post(&markers, json!({"m.fully_read": one})).await.expect_ok();
    assert_eq!(marker(&bob.sync_since(news.next_batch()).await), Some(json!(two)), "it moves forward only");
    let directly = format!("user/{}/rooms/{}/account_data/m.fully_read", encode(&bob.id), encode(&room));
    bob.put(&directly, json!({"event_id": one})).await.expect_error(405, "M_BAD_JSON");
}

#[tokio::test]
async fn nobody_reads_what_they_do_not_see() {
    let server = Server::start().await;
    let (alice, bob, _, room) = three_people(&server).await;
    let eve = server.register("eve").await;
    let one = alice.send_text(&room, "one").await;
    let elsewhere = alice.send_text(&alice.create_room().await, "elsewhere").await;
    let private = alice.create_room().await;
    let early = alice.send_text(&private, "before bob").await;
    alice.invite(&private, &bob).await;
    bob.join(&private).await;
    for kind in ["m.read", "m.read.private", "m.fully_read"] {
        read(&eve, &room, kind, &one).await.expect_error(403, "M_FORBIDDEN");
        read(&eve, "!nowhere:story.example", kind, &one).await.expect_error(403, "M_FORBIDDEN");
        read(&bob, &room, kind, "$nothing").await.expect_error(404, "M_NOT_FOUND");
        read(&bob, &room, kind, &elsewhere).await.expect_error(404, "M_NOT_FOUND");
        read(&bob, &private, kind, &early).await.expect_error(404, "M_NOT_FOUND");
    }
    read(&bob, &room, "m.unheard_of", &one).await.expect_error(400, "M_INVALID_PARAM");
    bob.leave(&room).await;
    read(&bob, &room, "m.read", &one).await.expect_error(403, "M_FORBIDDEN");
}
