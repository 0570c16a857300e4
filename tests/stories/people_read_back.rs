//! People scroll through what was said, look around a single message, and see who was there.

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

/// The bodies of the messages in a list of events.
fn bodies(events: &Value) -> Vec<&str> {
    let events = events.as_array().unwrap_or_else(|| panic!("{events} is no list"));
    events.iter().filter_map(|event| event["content"]["body"].as_str()).collect()
}

/// A page of a room's history with these parameters.
async fn page(reader: &User, room: &str, parameters: &str) -> Value {
    reader.get(&format!("rooms/{}/messages?{parameters}", encode(room))).await.expect_ok()
}

#[tokio::test]
async fn a_client_fills_the_gap_that_a_sync_left() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let before = alice.sync().await;
    for number in 0..30 {
        bob.send_text(&room, &number.to_string()).await;
    }
    let after = alice.sync_since(before.next_batch()).await;
    let timeline = &after.joined(&room)["timeline"];
    assert_eq!((timeline["limited"].as_bool(), after.texts(&room).len()), (Some(true), 10));

    let gap = encode(timeline["prev_batch"].as_str().unwrap());
    let until = encode(before.next_batch());
    let first = page(&alice, &room, &format!("dir=b&from={gap}&to={until}&limit=15")).await;
    let end = encode(first["end"].as_str().expect("there is more"));
    let second = page(&alice, &room, &format!("dir=b&from={end}&to={until}&limit=15")).await;
    assert_eq!(second["end"], Value::Null, "the gap is closed");
    let mut seen = bodies(&second["chunk"]);
    seen.reverse();
    seen.extend(bodies(&first["chunk"]).into_iter().rev());
    seen.extend(after.texts(&room));
    assert_eq!(seen, (0..30).map(|number| number.to_string()).collect::<Vec<_>>());

    let forwards = page(&alice, &room, &format!("dir=f&from={until}&limit=100")).await;
    assert_eq!(bodies(&forwards["chunk"]), seen);
}

#[tokio::test]
async fn a_page_is_what_was_asked_for() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    for number in 0..12 {
        let sender = if number % 2 == 0 { &alice } else { &bob };
        sender.send_text(&room, &number.to_string()).await;
    }
    assert_eq!(bodies(&page(&alice, &room, "dir=b").await["chunk"]).len(), 10, "ten if the client does not say");

    let filter = encode(&json!({"senders": [bob.id], "lazy_load_members": true}).to_string());
    let of_bob = page(&alice, &room, &format!("dir=b&limit=3&filter={filter}")).await;
    assert_eq!(bodies(&of_bob["chunk"]), ["11", "9", "7"]);
    let members = of_bob["state"].as_array().unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!((&members[0]["state_key"], &members[0]["content"]["membership"]), (&json!(bob.id), &json!("join")));

    let path = format!("rooms/{}/messages", encode(&room));
    let undirected = alice.get(&path).await.expect_ok();
    assert_eq!(undirected["chunk"][0]["type"], "m.room.create", "from the beginning if the client does not say");
    for parameters in ["dir=up", "dir=b&limit=many", "dir=b&from=nonsense", "dir=b&to=t", "dir=b&filter=%7B"] {
        alice.get(&format!("{path}?{parameters}")).await.expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn a_message_has_neighbours() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room_with(json!({"name": "before"})).await;
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(alice.send_text(&room, &number.to_string()).await);
    }
    alice.set_state(&room, "m.room.name", "", json!({"name": "after"})).await;
    let context = async |parameters: &str| {
        let path = format!("rooms/{}/context/{}?{parameters}", encode(&room), encode(&ids[3]));
        alice.get(&path).await.expect_ok()
    };

    let found = context("limit=4").await;
    assert_eq!(found["event"]["event_id"], ids[3]);
    assert_eq!(bodies(&found["events_before"]), ["2", "1"]);
    assert_eq!(bodies(&found["events_after"]), ["4", "5"]);
    let state = found["state"].as_array().unwrap();
    let name = state.iter().find(|event| event["type"] == "m.room.name").unwrap();
    assert_eq!(name["content"]["name"], "before", "the state as of the last of these events");
    let back = page(&alice, &room, &format!("dir=b&limit=1&from={}", found["start"].as_str().unwrap())).await;
    assert_eq!(bodies(&back["chunk"]), ["0"]);
    let on = page(&alice, &room, &format!("dir=f&limit=1&from={}", found["end"].as_str().unwrap())).await;
    assert_eq!(bodies(&on["chunk"]), ["6"]);

    let alone = context("limit=0").await;
    assert_eq!(alone["event"]["event_id"], ids[3]);
    assert!(alone.get("events_before").is_none() && alone.get("events_after").is_none());
    let unknown = format!("rooms/{}/context/$unknown", encode(&room));
    alice.get(&unknown).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn an_event_tells_its_sender_more_than_others() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let path = format!("rooms/{}/send/m.room.message/from-this-device", encode(&room));
    let sent = alice.put(&path, json!({"msgtype": "m.text", "body": "hello"})).await.expect_ok();
    let event_id = sent["event_id"].as_str().unwrap();
    let path = format!("rooms/{}/event/{}", encode(&room), encode(event_id));
    for (reader, transaction) in [(&alice, Some("from-this-device")), (&bob, None), (&alice.log_in_again().await, None)]
    {
        let event = reader.get(&path).await.expect_ok();
        assert_eq!((&event["room_id"], &event["sender"]), (&json!(room), &json!(alice.id)));
        assert_eq!(event["content"]["body"], "hello");
        assert_eq!(event["unsigned"]["transaction_id"].as_str(), transaction);
        assert_eq!(event["unsigned"]["membership"], "join");
        assert!(event["unsigned"]["age"].is_i64());
        assert!(event.get("signatures").is_none() && event.get("prev_events").is_none(), "{event}");
    }
}

#[tokio::test]
async fn people_see_who_is_in_a_room_and_who_was() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = alice.create_room().await;
    let path = format!("rooms/{}/members", encode(&room));
    let alone = alice.sync().await;
    for other in [&bob, &carol] {
        alice.invite(&room, other).await;
        other.join(&room).await;
    }
    bob.leave(&room).await;

    let members = async |reader: &User, parameters: &str| {
        let found = reader.get(&format!("{path}?{parameters}")).await.expect_ok();
        let members = found["chunk"].as_array().unwrap().clone();
        let mut members: Vec<(String, String)> = members
            .iter()
            .map(|event| (event["state_key"].clone(), event["content"]["membership"].clone()))
            .map(|(user, membership)| (user.as_str().unwrap().into(), membership.as_str().unwrap().into()))
            .collect();
        members.sort();
        members
    };
    let expected = |members: &[(&User, &str)]| -> Vec<(String, String)> {
        members.iter().map(|(user, membership)| (user.id.clone(), (*membership).to_owned())).collect()
    };
    let (join, left) = ((&alice, "join"), (&bob, "leave"));
    assert_eq!(members(&alice, "").await, expected(&[join, left, (&carol, "join")]));
    assert_eq!(members(&alice, "membership=leave").await, expected(&[left]));
    assert_eq!(members(&alice, "not_membership=leave").await, expected(&[join, (&carol, "join")]));
    let at = format!("at={}", encode(alone.next_batch()));
    assert_eq!(members(&alice, &at).await, expected(&[join]));
    assert_eq!(members(&bob, "").await, expected(&[join, left, (&carol, "join")]), "as bob last saw it");

    let joined = alice.get(&format!("rooms/{}/joined_members", encode(&room))).await.expect_ok();
    let joined = joined["joined"].as_object().unwrap();
    assert_eq!(joined.keys().collect::<Vec<_>>(), [&alice.id, &carol.id]);
    assert_eq!(joined[&alice.id], json!({"display_name": "alice", "avatar_url": ""}), "alice has no picture");
    bob.get(&format!("rooms/{}/joined_members", encode(&room))).await.expect_error(403, "M_FORBIDDEN");
    alice.get(&format!("{path}?at=nonsense")).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn the_ignored_are_not_heard() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let insult = bob.send_text(&room, "insult").await;
    let answer = alice.send_text(&room, "answer").await;
    let list = format!("user/{}/account_data/m.ignored_user_list", encode(&alice.id));
    alice.put(&list, json!({"ignored_users": {bob.id.clone(): {}}})).await.expect_ok();
    assert_eq!(bodies(&page(&alice, &room, "dir=b").await["chunk"]), ["answer"]);
    let path = format!("rooms/{}/event/{}", encode(&room), encode(&insult));
    alice.get(&path).await.expect_error(404, "M_NOT_FOUND");
    let around = format!("rooms/{}/context/{}", encode(&room), encode(&answer));
    let around = alice.get(&around).await.expect_ok();
    assert!(!around.to_string().contains("insult"));
    alice.put(&list, json!({"ignored_users": {}})).await.expect_ok();
    assert_eq!(bodies(&page(&alice, &room, "dir=b").await["chunk"]), ["answer", "insult"]);
}
