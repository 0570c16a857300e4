//! A client that sends again after it heard no answer makes no second message, and what no message can be is refused.

use serde_json::{Value, json};

use crate::support::{Answer, Server, User, encode};

async fn send(sender: &User, room: &str, transaction: &str, content: Value) -> Answer {
    sender.put(&format!("rooms/{}/send/m.room.message/{transaction}", encode(room)), content).await
}

async fn send_text(sender: &User, room: &str, transaction: &str, text: &str) -> String {
    let answer = send(sender, room, transaction, json!({"msgtype": "m.text", "body": text})).await.expect_ok();
    answer["event_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_transaction_makes_one_event_whatever_happens_meanwhile() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let room = alice.create_room().await;
    let other_room = alice.create_room().await;

    let sent = send_text(&alice, &room, "1", "hello").await;
    assert_eq!(send_text(&alice, &room, "1", "hello").await, sent);
    assert_eq!(send_text(&alice, &room, "1", "something else").await, sent, "the transaction counts, not the content");
    assert_ne!(send_text(&phone, &room, "1", "hello").await, sent, "another device counts for itself");
    assert_ne!(send_text(&alice, &other_room, "1", "hello").await, sent, "and so does another room");
    let path = format!("rooms/{}/send/org.example/1", encode(&room));
    let other_type = alice.put(&path, json!({})).await.expect_ok();
    assert_ne!(other_type["event_id"], sent, "and another type");

    server.kill_and_restart().await;
    assert_eq!(send_text(&alice, &room, "1", "hello").await, sent);
    let texts = alice.messages(&room, 100).await;
    assert_eq!(texts.iter().filter(|event| event["type"] == "m.room.message").count(), 2);

    let once = || send_text(&alice, &room, "2", "at once");
    let (one, two, three, four) = tokio::join!(once(), once(), once(), once());
    assert!([two, three, four].iter().all(|id| *id == one), "not even when it is sent several times at once");

    let redact = format!("rooms/{}/redact/{}/1", encode(&room), encode(&sent));
    let redaction = alice.put(&redact, json!({})).await.expect_ok();
    assert_eq!(alice.put(&redact, json!({})).await.expect_ok(), redaction);
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    let text = |length: usize| json!({"msgtype": "m.text", "body": "x".repeat(length)});
    send(&alice, &room, "1", text(60_000)).await.expect_ok();
    send(&alice, &room, "2", text(65_536)).await.expect_error(413, "M_TOO_LARGE");
    for (path, fits) in [
        (format!("send/{}/3", "t".repeat(255)), true),
        (format!("send/{}/4", "t".repeat(256)), false),
        (format!("send/{}/5", encode(&"ü".repeat(128))), false),
        (format!("state/org.example/{}", "k".repeat(255)), true),
        (format!("state/org.example/{}", "k".repeat(256)), false),
        (format!("state/{}/", "t".repeat(256)), false),
    ] {
        let answer = alice.put(&format!("rooms/{}/{}", encode(&room), path), json!({})).await;
        match fits {
            true => drop(answer.expect_ok()),
            false => drop(answer.expect_error(413, "M_TOO_LARGE")),
        }
    }
}

#[tokio::test]
async fn what_is_no_event_is_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    let path = format!("rooms/{}/send/m.room.message/1", encode(&room));
    let raw = async |path: &str, body: &'static str| {
        alice.send(reqwest::Method::PUT, path, |request| request.body(body)).await
    };
    for (body, errcode) in [
        ("hello", "M_NOT_JSON"),
        ("{\"body\": ", "M_NOT_JSON"),
        ("{\"body\": \"hi\",}", "M_NOT_JSON"),
        ("[]", "M_BAD_JSON"),
        ("\"hello\"", "M_BAD_JSON"),
        ("{\"number\": 1.5}", "M_BAD_JSON"),
        ("{\"number\": 9007199254740992}", "M_BAD_JSON"),
        ("{\"deep\": [{\"number\": -9007199254740992}]}", "M_BAD_JSON"),
    ] {
        raw(&path, body).await.expect_error(400, errcode);
        raw(&path.replace("send/m.room.message/1", "state/org.example/"), body).await.expect_error(400, errcode);
    }
    raw(&path, "{\"number\": 9007199254740991}").await.expect_ok();
    assert_eq!(alice.messages(&room, 1).await[0]["content"]["number"], json!(9_007_199_254_740_991_u64));
}

#[tokio::test]
async fn what_only_the_server_sends_cannot_be_sent() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    let path = |rest: &str| format!("rooms/{}/{rest}", encode(&room));
    let create = json!({"room_version": "12"});
    alice.put(&path("send/m.room.create/1"), create.clone()).await.expect_error(403, "M_FORBIDDEN");
    alice.put(&path("state/m.room.create/"), create).await.expect_error(400, "M_INVALID_PARAM");
    alice.put(&path("send/m.room.member/1"), json!({"membership": "join"})).await.expect_error(400, "M_BAD_JSON");
}
