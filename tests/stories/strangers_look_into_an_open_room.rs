//! A room that the world may read is looked into before one joins it, and one that is not stays closed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, User, encode};

async fn open_room(owner: &User) -> String {
    let visibility = json!({
        "type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "world_readable"},
    });
    owner.create_room_with(json!({"preset": "public_chat", "initial_state": [visibility], "name": "Open"})).await
}

fn bodies(events: &Value) -> Vec<&str> {
    events.as_array().expect("it is a list").iter().filter_map(|event| event["content"]["body"].as_str()).collect()
}

#[tokio::test]
async fn a_stranger_reads_along_until_the_room_is_closed() {
    let server = Server::start().await;
    let (alice, stranger) = (server.register("alice").await, server.register("stranger").await);
    let room = open_room(&alice).await;
    for number in 0..12 {
        alice.send_text(&room, &format!("message {number}")).await;
    }

    let seen = stranger.get(&format!("rooms/{}/initialSync", encode(&room))).await.expect_ok();
    assert_eq!((&seen["membership"], &seen["visibility"]), (&json!("leave"), &json!("private")));
    let newest = bodies(&seen["messages"]["chunk"]);
    assert_eq!((newest.len(), newest[0], newest[9]), (10, "message 2", "message 11"));
    let named = |event: &Value| event["type"] == "m.room.name" && event["content"]["name"] == "Open";
    assert!(seen["state"].as_array().unwrap().iter().any(named), "{}", seen["state"]);
    let start = encode(seen["messages"]["start"].as_str().unwrap());
    let earlier = stranger.get(&format!("rooms/{}/messages?dir=b&from={start}&limit=2", encode(&room))).await;
    assert_eq!(bodies(&earlier.expect_ok()["chunk"]), ["message 1", "message 0"]);

    let listen = async |from: &str, timeout: Duration| {
        let path = format!("events?room_id={}&from={}&timeout={}", encode(&room), encode(from), timeout.as_millis());
        stranger.get(&path).await
    };
    let end = seen["messages"]["end"].as_str().unwrap();
    let nothing = listen(end, Duration::ZERO).await.expect_ok();
    assert_eq!((&nothing["chunk"], &nothing["start"]), (&json!([]), &json!(end)));
    let end = nothing["end"].as_str().unwrap();
    let (heard, _) = tokio::join!(listen(end, PATIENCE), alice.send_text(&room, "can you hear me?"));
    let heard = heard.expect_ok();
    assert_eq!(bodies(&heard["chunk"]), ["can you hear me?"]);
    assert_eq!(heard["chunk"][0]["unsigned"]["membership"], "leave");

    alice.set_state(&room, "m.room.history_visibility", "", json!({"history_visibility": "joined"})).await;
    alice.send_text(&room, "among ourselves").await;
    let last = listen(heard["end"].as_str().unwrap(), Duration::ZERO).await.expect_ok();
    assert!(bodies(&last["chunk"]).is_empty(), "{last}");
    let denied = stranger.get(&format!("rooms/{}/initialSync", encode(&room))).await;
    denied.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_closed_room_is_not_looked_into() {
    let server = Server::start().await;
    let (alice, stranger) = (server.register("alice").await, server.register("stranger").await);
    let room = alice.create_room().await;
    let event = alice.send_text(&room, "private").await;
    for path in [
        format!("rooms/{}/initialSync", encode(&room)),
        format!("events?room_id={}", encode(&room)),
        format!("events?room_id={}", encode("!nowhere:story.example")),
    ] {
        stranger.get(&path).await.expect_error(403, "M_FORBIDDEN");
        server.stranger().get(&format!("/_matrix/client/v3/{path}")).await.expect_error(401, "M_MISSING_TOKEN");
    }
    stranger.get(&format!("events/{}", encode(&event))).await.expect_error(404, "M_NOT_FOUND");
    for query in ["from=nonsense", "timeout=soon", "room_id=nonsense"] {
        stranger.get(&format!("events?{query}")).await.expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn a_client_of_old_days_keeps_up() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let (room, left) = (alice.create_room().await, alice.create_room().await);
    for room in [&room, &left] {
        alice.invite(room, &bob).await;
        bob.join(room).await;
    }
    bob.leave(&left).await;
    let invited = alice.create_room().await;
    alice.invite(&invited, &bob).await;
    let event = alice.send_text(&room, "hello").await;

    let all = bob.get("initialSync?limit=1").await.expect_ok();
    let rooms = all["rooms"].as_array().unwrap();
    let find = |id: &str| rooms.iter().find(|room| room["room_id"] == id);
    let joined = find(&room).expect("it is there");
    assert_eq!(bodies(&joined["messages"]["chunk"]), ["hello"]);
    let invitation = find(&invited).expect("it is there");
    assert_eq!(invitation["membership"], "invite");
    assert_eq!(invitation["invite"]["content"]["membership"], "invite");
    assert!(find(&left).is_none());
    let archived = bob.get("initialSync?archived=true").await.expect_ok();
    let archived = archived["rooms"].as_array().unwrap();
    assert!(archived.iter().any(|room| room["room_id"] == *left && room["membership"] == "leave"), "{archived:?}");

    let from = encode(all["end"].as_str().unwrap());
    let path = format!("events?from={from}&timeout={}", PATIENCE.as_millis());
    let (heard, _) = tokio::join!(bob.get(&path), alice.send_text(&room, "how are you?"));
    let heard = heard.expect_ok();
    assert_eq!(bodies(&heard["chunk"]), ["how are you?"]);
    assert_eq!(heard["chunk"][0]["room_id"], *room);
    for number in 0..150 {
        alice.send_text(if number % 2 == 0 { &room } else { &invited }, &format!("{number}")).await;
    }
    bob.join(&invited).await;
    let (mut from, mut all) = (heard["end"].as_str().unwrap().to_owned(), Vec::new());
    loop {
        let page = bob.get(&format!("events?from={}", encode(&from))).await.expect_ok();
        if page["chunk"].as_array().unwrap().is_empty() {
            break;
        }
        all.extend(bodies(&page["chunk"]).into_iter().map(|body| body.parse::<usize>().unwrap()));
        from = page["end"].as_str().unwrap().to_owned();
    }
    let expected: Vec<_> = (0..150).filter(|number| number % 2 == 0).collect();
    assert_eq!(all, expected, "each once, in order, and nothing of before one was there");
    let one = bob.get(&format!("events/{}", encode(&event))).await.expect_ok();
    assert_eq!((&one["content"]["body"], &one["room_id"]), (&json!("hello"), &json!(room)));
}

#[tokio::test]
async fn there_are_no_other_networks_without_bridges() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    assert_eq!(alice.get("thirdparty/protocols").await.expect_ok(), json!({}));
    for path in ["protocol/irc", "location/irc?channel=x", "user/irc?nick=x"] {
        alice.get(&format!("thirdparty/{path}")).await.expect_error(404, "M_NOT_FOUND");
    }
    let alias = encode("#irc_x:story.example");
    assert_eq!(alice.get(&format!("thirdparty/location?alias={alias}")).await.expect_ok(), json!([]));
    assert_eq!(alice.get(&format!("thirdparty/user?userid={}", encode(&alice.id))).await.expect_ok(), json!([]));
    server.stranger().get("/_matrix/client/v3/thirdparty/protocols").await.expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_client_asks_for_the_state_after_the_timeline_by_either_name() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    for (name, section) in [
        ("use_state_after=true", "state_after"),
        ("org.matrix.msc4222.use_state_after=true", "org.matrix.msc4222.state_after"),
        ("use_state_after=true&org.matrix.msc4222.use_state_after=true", "state_after"),
        ("use_state_after=false", "state"),
    ] {
        let sync = alice.get(&format!("sync?{name}")).await.expect_ok();
        let room = sync["rooms"]["join"][&room].as_object().unwrap();
        let sections: Vec<_> = room.keys().filter(|key| key.contains("state")).collect();
        assert_eq!(sections, [section], "{name}");
    }
}
