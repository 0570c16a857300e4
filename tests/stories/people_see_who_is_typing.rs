//! People see who is typing, for as long as it is true, and only in the rooms they are in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, Sync, User, encode};

/// Who is typing in a room, as a sync says; nothing if it says nothing of it.
fn typists(sync: &Sync, room: &str) -> Option<Value> {
    Sync::newest(&sync.joined(room)["ephemeral"], "m.typing").map(|event| {
        assert!(event["room_id"].is_null(), "the room is known from where the event stands");
        event["content"]["user_ids"].clone()
    })
}

fn path(room: &str, user: &User) -> String {
    format!("rooms/{}/typing/{}", encode(room), encode(&user.id))
}

async fn start_typing(user: &User, room: &str, timeout: Duration) {
    let body = json!({"typing": true, "timeout": timeout.as_millis() as u64});
    user.put(&path(room, user), body).await.expect_ok();
}

async fn stop_typing(user: &User, room: &str) {
    user.put(&path(room, user), json!({"typing": false})).await.expect_ok();
}

/// Two people who are in a room together, and the room.
async fn alice_and_bob(server: &Server) -> (User, User, String) {
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    (alice, bob, room)
}

const LONG: Duration = Duration::from_secs(100);

#[tokio::test]
async fn typing_starts_and_stops_before_the_eyes_of_the_others() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let first = bob.sync().await;
    assert_eq!(typists(&first, &room), None);

    let (seen, ()) = tokio::join!(bob.wait_since(first.next_batch(), PATIENCE), start_typing(&alice, &room, LONG));
    assert_eq!(typists(&seen, &room), Some(json!([alice.id])));
    assert!(seen.timeline(&room).is_empty());
    let quiet = bob.sync_since(seen.next_batch()).await;
    assert!(quiet.joined(&room).is_null(), "nothing new: {}", quiet.0);
    assert_eq!(typists(&bob.sync().await, &room), Some(json!([alice.id])), "a new device sees it, too");

    let (over, ()) = tokio::join!(bob.wait_since(seen.next_batch(), PATIENCE), stop_typing(&alice, &room));
    assert_eq!(typists(&over, &room), Some(json!([])));
    assert_eq!(typists(&bob.sync().await, &room), None);
}

#[tokio::test]
async fn whoever_sends_what_they_typed_or_leaves_types_no_more() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    start_typing(&alice, &room, LONG).await;
    let typing = bob.sync().await;
    alice.send_text(&room, "done").await;
    let done = bob.sync_until(typing.next_batch(), "the end of typing", |sync| typists(sync, &room).is_some()).await;
    assert_eq!(typists(&done, &room), Some(json!([])));

    start_typing(&bob, &room, LONG).await;
    let typing = alice.sync().await;
    assert_eq!(typists(&typing, &room), Some(json!([bob.id])));
    bob.leave(&room).await;
    let gone = alice.sync_until(typing.next_batch(), "the end of typing", |sync| typists(sync, &room).is_some()).await;
    assert_eq!(typists(&gone, &room), Some(json!([])));
}

#[tokio::test]
async fn typing_ends_by_itself() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    start_typing(&alice, &room, LONG).await;
    let typing = bob.sync().await;
    // She says again that she types, and then is not heard of any more.
    start_typing(&alice, &room, Duration::from_millis(100)).await;
    let over = bob.wait_since(typing.next_batch(), PATIENCE).await;
    assert_eq!(typists(&over, &room), Some(json!([])));
}

#[tokio::test]
async fn typing_does_not_outlive_the_server() {
    let mut server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    start_typing(&alice, &room, LONG).await;
    let typing = bob.sync().await;
    assert_eq!(typists(&typing, &room), Some(json!([alice.id])));
    server.kill_and_restart().await;
    alice.send_text(&room, "done").await;
    assert_eq!(typists(&bob.sync_since(typing.next_batch()).await, &room), Some(json!([])));
}

#[tokio::test]
async fn typing_is_not_for_those_outside() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let (eve, gone) = (server.register("eve").await, server.register("gone").await);
    alice.invite(&room, &gone).await;
    gone.join(&room).await;
    gone.leave(&room).await;
    alice.invite(&room, &eve).await;
    let starts = [eve.sync().await, gone.sync().await];
    start_typing(&alice, &room, LONG).await;
    for (outsider, start) in [&eve, &gone].into_iter().zip(starts) {
        outsider
            .put(&path(&room, outsider), json!({"typing": true, "timeout": 1_000}))
            .await
            .expect_error(403, "M_FORBIDDEN");
        outsider.put(&path(&room, &bob), json!({"typing": false})).await.expect_error(403, "M_FORBIDDEN");
        let news = outsider.sync_since(start.next_batch()).await;
        assert!(news.0["rooms"]["join"][&room].is_null() && news.left(&room).is_null(), "{}", news.0);
    }
    bob.put(&path(&room, &bob), json!({"typing": true, "timeout": "1"})).await.expect_error(400, "M_BAD_JSON");
    bob.put(&path(&room, &bob), json!({"typing": true})).await.expect_ok();
    assert_eq!(typists(&alice.sync().await, &room), Some(json!([alice.id, bob.id])), "for how long need not be said");
    bob.put(&path(&room, &bob), json!({"typing": false})).await.expect_ok();
    let unwanted = encode(&json!({"room": {"ephemeral": {"not_types": ["m.typing"]}}}).to_string());
    let filtered = Sync(bob.get(&format!("sync?filter={unwanted}")).await.expect_ok());
    assert_eq!(typists(&filtered, &room), None);
    let bobs_list = json!({"ignored_users": {&alice.id: {}}});
    let ignored = format!("user/{}/account_data/m.ignored_user_list", encode(&bob.id));
    bob.put(&ignored, bobs_list).await.expect_ok();
    assert_eq!(typists(&bob.sync().await, &room), None, "bob does not want to see her");
}
