//! Somebody writes what is to be said later: a reminder, or that they have hung up, should they not be heard of again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, User, encode, eventually};

const DELAYED: &str = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events";

async fn text_in(sender: &User, room: &str, transaction: &str, milliseconds: u64, text: &str) -> String {
    let path =
        format!("rooms/{}/send/m.room.message/{transaction}?org.matrix.msc4140.delay={milliseconds}", encode(room));
    let answer = sender.put(&path, json!({"msgtype": "m.text", "body": text})).await.expect_ok();
    answer["delay_id"].as_str().expect("it has an id").to_owned()
}

async fn waiting(user: &User) -> Vec<Value> {
    let answer = user.get(DELAYED).await.expect_ok();
    answer["delayed_events"].as_array().expect("there is a list").clone()
}

async fn texts(reader: &User, room: &str) -> Vec<String> {
    let mut texts: Vec<_> = reader
        .messages(room, 100)
        .await
        .iter()
        .filter_map(|event| event["content"]["body"].as_str().map(str::to_owned))
        .collect();
    texts.reverse();
    texts
}

#[tokio::test]
async fn a_reminder_comes_when_it_is_due_and_not_before() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let since = bob.sync().await.next_batch().to_owned();

    let started = Instant::now();
    let id = text_in(&alice, &room, "tea", 700, "the tea is ready").await;
    assert_eq!(text_in(&alice, &room, "tea", 700, "again").await, id, "a repeated request makes no second one");
    let list = waiting(&alice).await;
    assert_eq!(list.len(), 1);
    assert_eq!((&list[0]["delay_id"], &list[0]["delay_ms"], &list[0]["delay"]), (&json!(id), &json!(700), &json!(700)));
    assert_eq!(list[0]["content"]["body"], "the tea is ready");
    assert!(waiting(&bob).await.is_empty(), "nobody else knows of it");

    bob.sync_until(&since, "the reminder", |sync| sync.0.to_string().contains("the tea is ready")).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(700), "it came after {took:?} already");
    assert!(took < Duration::from_secs(5), "it came after {took:?} only");
    assert!(waiting(&alice).await.is_empty());

    let sent = alice.get(&format!("{DELAYED}/{id}")).await.expect_ok();
    assert!(sent["finalised_ts"].is_u64(), "{sent}");
    let path = format!("rooms/{}/event/{}", encode(&room), encode(sent["event_id"].as_str().unwrap()));
    let (own, other) = (alice.get(&path).await.expect_ok(), bob.get(&path).await.expect_ok());
    assert_eq!(own["unsigned"]["org.matrix.msc4140.delay_id"], *id);
    assert_eq!(other["unsigned"]["org.matrix.msc4140.delay_id"], Value::Null);
    bob.get(&format!("{DELAYED}/{id}")).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn who_hangs_up_without_a_word_is_said_to_have_hung_up() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    let path = format!("rooms/{}/state/org.example.call/alice", encode(&room));
    alice.put(&path, json!({"here": true})).await.expect_ok();
    let later = alice.put(&format!("{path}?org.matrix.msc4140.delay=2000"), json!({})).await.expect_ok();
    let id = later["delay_id"].as_str().unwrap();
    // Whatever watches over the call knows the id and has no account here.
    let stranger = server.stranger();
    for _ in 0..3 {
        stranger.post(&format!("{DELAYED}/{id}/restart"), json!({})).await.expect_ok();
        assert_eq!(alice.get(&path).await.expect_ok(), json!({"here": true}));
    }
    stranger.post(&format!("{DELAYED}/{id}/send"), json!({})).await.expect_ok();
    assert_eq!(alice.get(&path).await.expect_ok(), json!({}));
    stranger.post(&format!("{DELAYED}/{id}/send"), json!({})).await.expect_ok();
    stranger.post(&format!("{DELAYED}/{id}/cancel"), json!({})).await.expect_error(409, "M_UNKNOWN");
    stranger.post(&format!("{DELAYED}/{id}"), json!({"action": "restart"})).await.expect_error(409, "M_UNKNOWN");
    stranger.post(&format!("{DELAYED}/{id}/dance"), json!({})).await.expect_error(404, "M_UNRECOGNIZED");
    stranger.post(&format!("{DELAYED}/{id}"), json!({})).await.expect_error(400, "M_BAD_JSON");
    stranger.post(&format!("{DELAYED}/unknown/cancel"), json!({})).await.expect_error(404, "M_NOT_FOUND");
    stranger.get(DELAYED).await.expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn what_waits_outlives_a_kill_and_what_was_due_meanwhile_is_sent_once() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    text_in(&alice, &room, "1", 1_000, "second").await;
    text_in(&alice, &room, "2", 900, "first").await;
    let cancelled = text_in(&alice, &room, "3", 800, "never").await;
    let much_later = text_in(&alice, &room, "4", 3_600_000, "in an hour").await;
    alice.post(&format!("{DELAYED}/{cancelled}/cancel"), json!({})).await.expect_ok();
    server.kill_and_restart().await;

    eventually("both to be sent", PATIENCE, async || (waiting(&alice).await.len() == 1).then_some(())).await;
    assert_eq!(texts(&alice, &room).await, ["first", "second"]);
    server.kill_and_restart().await;
    assert_eq!(texts(&alice, &room).await, ["first", "second"], "nothing is sent twice");
    let list = waiting(&alice).await;
    assert_eq!((list.len(), &list[0]["delay_id"]), (1, &json!(much_later)));
    alice.post(&format!("{DELAYED}/{much_later}/send"), json!({})).await.expect_ok();
    assert_eq!(texts(&alice, &room).await, ["first", "second", "in an hour"]);
}

#[tokio::test]
async fn whether_one_may_say_it_is_asked_when_it_is_said() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let id = text_in(&bob, &room, "1", 1_000, "I am still here").await;
    bob.leave(&room).await;
    bob.post(&format!("{DELAYED}/{id}/send"), json!({})).await.expect_error(403, "M_FORBIDDEN");
    let ended = eventually("it to fail", PATIENCE, async || {
        let event = bob.get(&format!("{DELAYED}/{id}")).await.expect_ok();
        event["finalised_ts"].is_u64().then_some(event)
    })
    .await;
    assert_eq!((&ended["error"]["errcode"], &ended["event_id"]), (&json!("M_FORBIDDEN"), &Value::Null));
    assert!(!texts(&alice, &room).await.contains(&"I am still here".to_owned()));
}

#[tokio::test]
async fn what_cannot_wait_is_refused_and_not_sent_at_once() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    let features = alice.get("/_matrix/client/versions").await.expect_ok();
    assert_eq!(features["unstable_features"]["org.matrix.msc4140"], true);
    let capabilities = alice.get("capabilities").await.expect_ok();
    let limits = &capabilities["capabilities"]["org.matrix.msc4140.delayed_events"];
    let longest = limits["max_delay_ms"].as_u64().expect("there is a limit");

    let send = format!("rooms/{}/send/m.room.message/1", encode(&room));
    for (delay, status, errcode) in [
        ("0".to_owned(), 400, "M_INVALID_PARAM"),
        ("-5".to_owned(), 400, "M_INVALID_PARAM"),
        ("1.5".to_owned(), 400, "M_INVALID_PARAM"),
        ("soon".to_owned(), 400, "M_INVALID_PARAM"),
        (String::new(), 400, "M_INVALID_PARAM"),
        ("5&org.matrix.msc4140.delay=6".to_owned(), 400, "M_INVALID_PARAM"),
        ((longest + 1).to_string(), 403, "M_FORBIDDEN"),
        (u64::MAX.to_string(), 403, "M_FORBIDDEN"),
    ] {
        let path = format!("{send}?org.matrix.msc4140.delay={delay}");
        alice.put(&path, json!({"msgtype": "m.text", "body": "hi"})).await.expect_error(status, errcode);
    }
    let own =
        format!("/_matrix/client/unstable/org.matrix.msc4140/rooms/{}/delayed_event/m.room.message/1", encode(&room));
    for body in
        [json!({}), json!({"delay": 5}), json!({"delay": "5", "content": {}}), json!({"delay": 5, "content": []})]
    {
        alice.put(&own, body).await.expect_error(400, "M_BAD_JSON");
    }
    assert!(texts(&alice, &room).await.is_empty());
    for delay in ["delay", "delay_ms"] {
        let path = own.replace("/1", &format!("/{delay}"));
        let body = json!({delay: 3_600_000, "content": {"body": "later"}});
        let id = alice.put(&path, body).await.expect_ok()["delay_id"].clone();
        let last = waiting(&alice).await.pop().expect("it waits");
        assert_eq!(last["delay_id"], id);
    }
}
