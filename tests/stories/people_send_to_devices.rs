//! Apps on people's devices send each other messages that belong to no room, such as the keys of encrypted ones.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, PATIENCE, Server, Sync, User, encode};

/// Sends messages of the type `org.example.note`.
async fn send(sender: &User, transaction: &str, messages: Value) -> Answer {
    let path = format!("sendToDevice/org.example.note/{transaction}");
    sender.put(&path, json!({"messages": messages})).await
}

/// A note to one device of a person.
fn note(to: &User, text: &str) -> Value {
    json!({&to.id: {&to.device_id: {"text": text}}})
}

/// The notes in a sync.
fn notes(sync: &Sync) -> Vec<String> {
    let events = sync.0["to_device"]["events"].as_array().expect("every sync says what was sent to the device");
    events.iter().map(|event| event["content"]["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_message_reaches_a_device_that_waits_and_no_other() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let phone = bob.log_in_again().await;
    let (since, phone_since) = (bob.sync().await.next_batch().to_owned(), phone.sync().await.next_batch().to_owned());
    let wait = bob.sync_until(&since, "a note", |sync| !notes(sync).is_empty());
    let (sync, _) = tokio::join!(wait, async { send(&alice, "1", note(&bob, "hello")).await.expect_ok() });
    let event = json!({"type": "org.example.note", "sender": alice.id, "content": {"text": "hello"}});
    assert_eq!(sync.0["to_device"]["events"], json!([event]));
    let other = phone.wait_since(&phone_since, Duration::from_millis(200)).await;
    assert!(notes(&other).is_empty());

    let everywhere = json!({&bob.id: {"*": {"text": "to all"}}, &alice.id: {"*": {"text": "and to myself"}}});
    send(&alice, "2", everywhere).await.expect_ok();
    assert_eq!(notes(&bob.sync_since(sync.next_batch()).await), ["to all"]);
    assert_eq!(notes(&phone.sync_since(&phone_since).await), ["to all"]);
    assert_eq!(notes(&alice.sync().await), ["and to myself"]);
}

#[tokio::test]
async fn a_message_stays_until_the_device_has_it() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let start = bob.sync().await.next_batch().to_owned();
    send(&alice, "1", note(&bob, "one")).await.expect_ok();
    server.kill_and_restart().await;
    send(&alice, "1", note(&bob, "one, said again")).await.expect_ok();
    send(&alice, "2", note(&bob, "two")).await.expect_ok();

    let first = bob.sync_since(&start).await;
    assert_eq!(notes(&first), ["one", "two"]);
    assert_eq!(notes(&bob.sync_since(&start).await), ["one", "two"], "the first answer may have been lost");
    server.restart().await;
    assert_eq!(notes(&bob.sync().await), ["one", "two"], "and so may everything else on the device");

    send(&alice, "3", note(&bob, "three")).await.expect_ok();
    assert_eq!(notes(&bob.sync_since(first.next_batch()).await), ["three"]);
    assert_eq!(notes(&bob.sync_since(&start).await), ["three"], "it had the others, as it said with the token");
    let at_last = bob.sync().await;
    assert!(notes(&bob.sync_since(at_last.next_batch()).await).is_empty());
    assert!(notes(&bob.sync().await).is_empty());
}

#[tokio::test]
async fn many_messages_come_in_portions_one_right_after_the_other() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mut since = bob.sync().await.next_batch().to_owned();
    let sent: Vec<_> = (0..230).map(|number| number.to_string()).collect();
    for number in &sent {
        send(&alice, number, note(&bob, number)).await.expect_ok();
    }
    let mut got: Vec<String> = Vec::new();
    for portion in [100, 100, 30] {
        // It would wait for long if nothing were there.
        let sync = bob.wait_since(&since, PATIENCE).await;
        assert_eq!(notes(&sync).len(), portion);
        assert_eq!(notes(&bob.sync_since(&since).await), notes(&sync), "as often as it asks");
        got.extend(notes(&sync));
        since = sync.next_batch().to_owned();
        server.kill_and_restart().await;
    }
    assert_eq!(got, sent);
    assert!(notes(&bob.sync_since(&since).await).is_empty());
    assert!(notes(&bob.sync().await).is_empty());
}

#[tokio::test]
async fn a_request_that_is_repeated_sends_nothing_again() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let once = || send(&alice, "1", note(&bob, "once"));
    let answers = tokio::join!(once(), once(), once());
    assert_eq!(answers.0.expect_ok(), json!({}));
    answers.1.expect_ok();
    answers.2.expect_ok();
    assert_eq!(notes(&bob.sync().await), ["once"]);
    let phone = alice.log_in_again().await;
    send(&phone, "1", note(&bob, "from another device")).await.expect_ok();
    assert_eq!(notes(&bob.sync().await), ["once", "from another device"]);
}

#[tokio::test]
async fn a_device_that_logs_out_takes_its_messages_along() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    send(&alice, "1", note(&bob, "for the device that was")).await.expect_ok();
    bob.post("logout", json!({})).await.expect_ok();
    send(&alice, "2", note(&bob, "for the device that is not")).await.expect_ok();
    let login = json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": bob.id},
        "password": bob.password, "device_id": bob.device_id});
    let session = server.stranger().post("login", login).await.expect_ok();
    let again = server.stranger().with_token(session["access_token"].as_str().unwrap());
    let sync = Sync(again.get("sync?timeout=0").await.expect_ok());
    assert!(notes(&sync).is_empty());
}

#[tokio::test]
async fn whom_nobody_knows_gets_nothing_and_nonsense_is_refused() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let nobody = json!({
        "@nobody:story.example": {"*": {"text": "lost"}},
        "@bob:elsewhere.example": {"*": {"text": "lost"}},
        &bob.id: {"NONE": {"text": "lost"}},
    });
    send(&alice, "1", nobody).await.expect_ok();
    send(&alice, "2", json!({})).await.expect_ok();

    let one = |content: Value| json!({&bob.id: {"*": content}});
    for (messages, status, errcode) in [
        (json!([]), 400, "M_BAD_JSON"),
        (json!({"bob": {"*": {}}}), 400, "M_BAD_JSON"),
        (json!({&bob.id: []}), 400, "M_BAD_JSON"),
        (one(json!("text")), 400, "M_BAD_JSON"),
        (one(json!(null)), 400, "M_BAD_JSON"),
        (one(json!({"text": "x".repeat(65_536)})), 413, "M_TOO_LARGE"),
    ] {
        send(&alice, "3", messages).await.expect_error(status, errcode);
    }
    let path = "sendToDevice/org.example.note/3";
    alice.put(path, json!({})).await.expect_error(400, "M_BAD_JSON");
    let raw = |body: &'static str| alice.send(Method::PUT, path, move |request| request.body(body));
    raw("{\"messages\": {\"").await.expect_error(400, "M_NOT_JSON");
    raw("hello").await.expect_error(400, "M_NOT_JSON");
    let long = "x".repeat(256);
    let path = format!("sendToDevice/{long}/3");
    alice.put(&path, json!({"messages": one(json!({}))})).await.expect_error(413, "M_TOO_LARGE");
    send(&alice, &long, one(json!({}))).await.expect_error(400, "M_INVALID_PARAM");
    server.stranger().put(path.as_str(), json!({"messages": {}})).await.expect_error(401, "M_MISSING_TOKEN");
    for token in ["s1_2_3_9", "s9_2_3_x", "s9_2_3_1_1"] {
        bob.get(&format!("sync?since={}", encode(token))).await.expect_error(400, "M_INVALID_PARAM");
    }
    assert!(notes(&bob.sync().await).is_empty());
}

#[tokio::test]
async fn a_device_that_is_ahead_of_a_restored_server_finds_its_way() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let next = bob.sync_since("s9000000_1_0").await.next_batch().to_owned();
    let wait = bob.sync_until(&next, "a note", |sync| !notes(sync).is_empty());
    tokio::join!(wait, async { send(&alice, "1", note(&bob, "hello")).await.expect_ok() });
}

#[tokio::test]
async fn nobody_floods_the_devices_of_others() {
    let limits = "[limits]\nenabled = true\nencryption = { per_second = 0.001, burst = 2 }";
    let server = Server::start_with(limits).await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let hello = || json!({ bob.id.clone(): { "*": {"text": "hello"} } });
    send(&alice, "one", hello()).await.expect_ok();
    send(&alice, "two", hello()).await.expect_ok();
    send(&alice, "three", hello()).await.expect_error(429, "M_LIMIT_EXCEEDED");
    alice.post("keys/claim", json!({"one_time_keys": {}})).await.expect_error(429, "M_LIMIT_EXCEEDED");
    send(&bob, "one", json!({})).await.expect_ok();
}
