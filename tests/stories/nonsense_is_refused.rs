//! Clients that are wrong, or mean harm, are told what is wrong, and nothing of what they sent stays behind.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Server, User, encode};

async fn send_raw(user: &User, method: Method, path: &str, body: String) -> crate::support::Answer {
    user.send(method, path, |request| request.header("content-type", "application/json").body(body)).await
}

#[tokio::test]
async fn what_is_no_canonical_json_is_no_event() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    let before = alice.messages(&room, 100).await.len();
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let cases = [
        (r#"{"a":1.5}"#.to_owned(), "M_BAD_JSON"),
        (r#"{"a":1e3}"#.to_owned(), "M_BAD_JSON"),
        (r#"{"a":9007199254740992}"#.to_owned(), "M_BAD_JSON"),
        (r#"{"a":-9007199254740992}"#.to_owned(), "M_BAD_JSON"),
        (r#"{"a":1,"a":2}"#.to_owned(), "M_BAD_JSON"),
        (r#"{"b":{"a":1,"\u0061":1}}"#.to_owned(), "M_BAD_JSON"),
        (r#"{"a":"\ud800"}"#.to_owned(), "M_BAD_JSON"),
        (nested(110), "M_BAD_JSON"),
        (nested(10_000), "M_BAD_JSON"),
        (r#"{"a":NaN}"#.to_owned(), "M_NOT_JSON"),
        (r#"{"a":1} and more"#.to_owned(), "M_NOT_JSON"),
        ("[1]".to_owned(), "M_BAD_JSON"),
    ];
    for (body, errcode) in &cases {
        for path in ["send/org.example/1", "state/org.example/key"] {
            let path = format!("rooms/{}/{path}", encode(&room));
            send_raw(&alice, Method::PUT, &path, body.clone()).await.expect_error(400, errcode);
        }
    }
    assert_eq!(alice.messages(&room, 100).await.len(), before);
    let deep = format!("user/{}/account_data/org.example", encode(&alice.id));
    send_raw(&alice, Method::PUT, &deep, nested(10_000)).await.expect_error(400, "M_BAD_JSON");
    alice.get(&deep).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn state_of_the_wrong_shape_is_told_apart_from_state_that_one_may_not_set() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    for version in ["10", "12"] {
        let room = alice.create_room_with(json!({"room_version": version})).await;
        let own = alice.id.as_str();
        let cases: Vec<(&str, &str, Value)> = vec![
            ("m.room.power_levels", "", json!({"users_default": "0"})),
            ("m.room.power_levels", "", json!({"users": {"nobody": 1}})),
            ("m.room.power_levels", "", json!({"users": []})),
            ("m.room.power_levels", "", json!({"events": {"a": {}}})),
            ("m.room.power_levels", "", json!({"ban": null})),
            ("m.room.power_levels", "", json!({"notifications": {"room": "50"}})),
            ("m.room.member", own, json!({"membership": 5})),
            ("m.room.member", own, json!({"membership": "dance"})),
            ("m.room.member", own, json!({})),
            ("m.room.canonical_alias", "", json!({"alias": 5})),
        ];
        for (kind, key, content) in cases {
            let path = format!("rooms/{}/state/{kind}/{}", encode(&room), encode(key));
            alice.put(&path, content).await.expect_error(400, "M_BAD_JSON");
        }
        // So are the fields that only clients read: nobody's client has to cope with them.
        for (kind, key, content) in [
            ("m.room.name", "", json!({"name": {}})),
            ("m.room.topic", "", json!({"topic": [1]})),
            ("m.room.avatar", "", json!({"url": 7})),
            ("m.room.encryption", "", json!({"algorithm": 5})),
            ("m.room.join_rules", "", json!({"join_rule": 5})),
            ("m.room.history_visibility", "", json!({"history_visibility": "nobody"})),
            ("m.room.member", own, json!({"membership": "join", "displayname": 5})),
            ("m.space.child", "!child:story.example", json!({"via": "story.example"})),
        ] {
            let path = format!("rooms/{}/state/{kind}/{}", encode(&room), encode(key));
            alice.put(&path, content.clone()).await.expect_error(400, "M_BAD_JSON");
            let with_state = json!({"initial_state": [{"type": kind, "state_key": key, "content": content}]});
            let made = alice.post("createRoom", with_state).await;
            assert_eq!(made.status, 400, "{kind}: {made:?}");
        }
        for content in [json!({"body": 5}), json!({"body": "a", "m.mentions": [own]}), json!({"m.relates_to": "x"})] {
            let path = format!("rooms/{}/send/m.room.message/{}", encode(&room), content.to_string().len());
            alice.put(&path, content.clone()).await.expect_error(400, "M_BAD_JSON");
            let later = format!("{path}?org.matrix.msc4140.delay=1000");
            alice.put(&later, content).await.expect_error(400, "M_BAD_JSON");
        }
        // What is taken away is no nonsense.
        alice.set_state(&room, "m.room.name", "", json!({"name": null})).await;
        alice.set_state(&room, "m.room.topic", "", json!({})).await;
        alice.put(&format!("directory/list/room/{}", encode(&room)), json!({"visibility": "public"})).await.expect_ok();
    }
    alice.sync().await;
    alice.get("publicRooms").await.expect_ok();
    alice.get("sync?filter=%7B%22room%22%3A5%7D").await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_body_that_is_far_too_large_is_answered_and_not_cut_off() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    let path = format!("rooms/{}/send/org.example/1", encode(&room));
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(20_000_000));
    send_raw(&alice, Method::PUT, &path, body.clone()).await.expect_error(413, "M_TOO_LARGE");
    let stranger = server.stranger();
    let answer = stranger.send(Method::PUT, &format!("/_matrix/client/v3/{path}"), |request| request.body(body)).await;
    answer.expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn who_asks_before_sending_is_answered_at_once() {
    let server = Server::start().await;
    let address = server.address();
    let answer = tokio::task::spawn_blocking(move || {
        let mut connection = TcpStream::connect(address).unwrap();
        let head = "PUT /_matrix/client/v3/rooms/!a:b/send/x/1 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                    Content-Length: 1000000000\r\n\r\n";
        connection.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    });
    assert_eq!(answer.await.unwrap(), "HTTP/1.1 401");
}

#[tokio::test]
async fn ids_that_are_none_are_refused_wherever_they_stand() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = encode(&alice.create_room().await);
    let long = "a".repeat(300);
    for path in [
        "rooms/nonsense/state".to_owned(),
        "rooms/%00/state".to_owned(),
        "rooms/%ff%fe/state".to_owned(),
        format!("rooms/!{long}:x/state"),
        format!("rooms/{room}/event/nonsense"),
        format!("profile/@{long}:x"),
        "profile/%40%00:x".to_owned(),
        "profile/nobody".to_owned(),
        "directory/room/nonsense".to_owned(),
        format!("directory/room/%23{long}:x"),
        format!("rooms/{room}/messages?dir=b&limit=99999999999999999999"),
        format!("rooms/{room}/messages?dir=b&from={}", "x".repeat(50_000)),
        "sync?since=nonsense".to_owned(),
    ] {
        alice.get(&path).await.expect_error(400, "M_INVALID_PARAM");
    }
    for (path, status, errcode) in [
        ("rooms/%21a%2Fb:x/state".to_owned(), 403, "M_FORBIDDEN"),
        (format!("rooms/{room}/event/%24%00"), 404, "M_NOT_FOUND"),
    ] {
        alice.get(&path).await.expect_error(status, errcode);
    }
    for user in [json!("nobody"), json!("@a\u{0}b:x"), json!(format!("@{long}:x")), json!(5), Value::Null] {
        for action in ["invite", "kick", "ban", "unban"] {
            alice
                .post(&format!("rooms/{room}/{action}"), json!({"user_id": user}))
                .await
                .expect_error(400, "M_BAD_JSON");
        }
    }
}
