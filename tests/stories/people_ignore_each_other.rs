//! A person ignores somebody: what that one says, reads and asks for does not reach them, until they think better of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Server, Sync, User, encode};

async fn ignore(user: &User, ignored: &[&User]) {
    let list: Value = ignored.iter().map(|other| (other.id.clone(), json!({}))).collect();
    let path = format!("user/{}/account_data/m.ignored_user_list", encode(&user.id));
    user.put(&path, json!({ "ignored_users": list })).await.expect_ok();
}

async fn send(from: &User, to: &User, kind: &str, transaction: &str) {
    let messages = json!({ &to.id: { "*": { "text": transaction } } });
    from.put(&format!("sendToDevice/{kind}/{transaction}"), json!({ "messages": messages })).await.expect_ok();
}

/// The texts of the messages to the device.
fn notes(sync: &Sync) -> Vec<&str> {
    let events = sync.0["to_device"]["events"].as_array().into_iter().flatten();
    events.map(|event| event["content"]["text"].as_str().unwrap()).collect()
}

/// Who has read something in a room, as this sync tells.
fn readers(sync: &Sync, room: &str) -> Vec<String> {
    let receipts = Sync::newest(&sync.joined(room)["ephemeral"], "m.receipt");
    let by_event = receipts.and_then(|event| event["content"].as_object()).into_iter().flatten();
    by_event.flat_map(|(_, kinds)| kinds["m.read"].as_object().unwrap().keys().cloned()).collect()
}

#[tokio::test]
async fn what_an_ignored_person_sends_to_devices_does_not_arrive() {
    let server = Server::start().await;
    let [alice, bob, carol] =
        [server.register("alice").await, server.register("bob").await, server.register("carol").await];
    let since = alice.sync().await.next_batch().to_owned();
    send(&bob, &alice, "m.key.verification.request", "before").await;
    ignore(&alice, &[&bob]).await;
    for number in 0..150 {
        send(&bob, &alice, "m.key.verification.request", &number.to_string()).await;
    }
    send(&carol, &alice, "m.key.verification.request", "hello").await;
    // The keys of what is said meanwhile do arrive. Nobody sees them, and without them it could not be read later.
    send(&bob, &alice, "m.room.encrypted", "key").await;
    let sync = alice.sync_since(&since).await;
    assert_eq!(notes(&sync), ["hello", "key"], "also those that waited already");
    let sliding = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0";
    let answer = alice.post(sliding, json!({"extensions": {"to_device": {"enabled": true}}})).await.expect_ok();
    let events = answer["extensions"]["to_device"]["events"].as_array().unwrap();
    assert_eq!(events.iter().map(|event| &event["content"]["text"]).collect::<Vec<_>>(), ["hello", "key"]);

    let since = sync.next_batch();
    send(&bob, &alice, "m.key.verification.request", "late").await;
    let (quiet, ()) = tokio::join!(alice.wait_since(since, Duration::from_millis(300)), async {
        send(&bob, &alice, "m.key.verification.request", "later").await;
    });
    assert!(notes(&quiet).is_empty());
    ignore(&alice, &[]).await;
    let known = alice.sync_since(quiet.next_batch()).await;
    assert!(notes(&known).is_empty(), "what was missed is not told again");
    send(&bob, &alice, "m.key.verification.request", "again").await;
    assert_eq!(notes(&alice.sync_since(known.next_batch()).await), ["again"]);
}

#[tokio::test]
async fn how_far_an_ignored_person_has_read_is_not_told() {
    let server = Server::start().await;
    let [alice, bob, carol] =
        [server.register("alice").await, server.register("bob").await, server.register("carol").await];
    let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    carol.join(&room).await;
    let event = alice.send_text(&room, "hello").await;
    ignore(&alice, &[&bob]).await;
    let since = alice.sync().await.next_batch().to_owned();
    let receipt = format!("rooms/{}/receipt/m.read/{}", encode(&room), encode(&event));
    bob.post(&receipt, json!({})).await.expect_ok();
    let quiet = alice.wait_since(&since, Duration::from_millis(200)).await;
    assert_eq!(quiet.joined(&room), &Value::Null, "a receipt that is not told is no news");
    carol.post(&receipt, json!({})).await.expect_ok();
    assert_eq!(readers(&alice.sync_since(&since).await, &room), [carol.id.as_str()]);
    assert_eq!(readers(&alice.sync().await, &room), [carol.id.as_str()]);
    ignore(&alice, &[]).await;
    assert_eq!(readers(&alice.sync().await, &room), [bob.id.as_str(), carol.id.as_str()]);
}

#[tokio::test]
async fn an_invitation_is_told_when_its_sender_is_heard_again() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let sliding = async |pos: Option<&str>| {
        let pos = pos.map(|pos| format!("&pos={pos}")).unwrap_or_default();
        let path = format!("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0{pos}");
        let list = json!({"ranges": [[0, 9]], "timeline_limit": 1, "required_state": []});
        alice.post(&path, json!({"lists": {"all": list}})).await.expect_ok()
    };
    let lists = format!("user/{}/account_data/org.matrix.msc4155.invite_permission_config", encode(&alice.id));
    for by_list in [false, true] {
        let set = async |people: &[&User]| match by_list {
            false => ignore(&alice, people).await,
            true => {
                let people: Vec<_> = people.iter().map(|user| &user.id).collect();
                alice.put(&lists, json!({ "ignored_users": people })).await.expect_ok();
            }
        };
        set(&[&bob]).await;
        let room = bob.create_room().await;
        bob.invite(&room, &alice).await;
        let quiet = alice.sync().await;
        assert_eq!(quiet.invited(&room), &Value::Null);
        let first = sliding(None).await;
        assert_eq!(first["rooms"][&room], Value::Null);
        assert_eq!(first["lists"]["all"]["count"], 0, "it has no place among the rooms");

        set(&[]).await;
        let sync = alice.sync_since(quiet.next_batch()).await;
        assert_ne!(sync.invited(&room), &Value::Null, "the earlier invitation");
        assert_eq!(alice.sync_since(sync.next_batch()).await.invited(&room), &Value::Null, "once");
        let second = sliding(first["pos"].as_str()).await;
        assert!(second["rooms"][&room]["invite_state"].is_array(), "{second}");
    }
}

#[tokio::test]
async fn who_ignores_themselves_still_hears_what_they_say() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    ignore(&alice, &[&alice]).await;
    alice.send_text(&room, "a note to myself").await;
    assert_eq!(alice.sync().await.texts(&room), ["a note to myself"]);
}
