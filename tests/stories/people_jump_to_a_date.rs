//! People look for what was said on some day.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Answer, Server, User, encode};

async fn jump(user: &User, room: &str, time: u64, direction: &str) -> Answer {
    let room = encode(room);
    user.get(&format!("/_matrix/client/v1/rooms/{room}/timestamp_to_event?ts={time}&dir={direction}")).await
}

async fn time_of(user: &User, room: &str, event: &str) -> u64 {
    let event: Value = user.get(&format!("rooms/{}/event/{}", encode(room), encode(event))).await.expect_ok();
    event["origin_server_ts"].as_u64().unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

#[tokio::test]
async fn a_date_leads_to_the_nearest_event_on_one_side_of_it() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let before = now() - 1;
    let room = alice.create_room_with(json!({"preset": "private_chat"})).await;
    let first = alice.send_text(&room, "first").await;
    let last = alice.send_text(&room, "last").await;
    let found = jump(&alice, &room, time_of(&alice, &room, &last).await + 1, "b").await.expect_ok();
    assert_eq!(found, json!({"event_id": last, "origin_server_ts": time_of(&alice, &room, &last).await}));
    let found = jump(&alice, &room, time_of(&alice, &room, &first).await, "b").await.expect_ok();
    assert_eq!(found["origin_server_ts"], time_of(&alice, &room, &first).await);
    jump(&alice, &room, before, "b").await.expect_error(404, "M_NOT_FOUND");
    jump(&alice, &room, now() + 60_000, "f").await.expect_error(404, "M_NOT_FOUND");
    let found = jump(&alice, &room, 0, "f").await.expect_ok();
    let event =
        alice.get(&format!("rooms/{}/event/{}", encode(&room), encode(found["event_id"].as_str().unwrap()))).await;
    assert_eq!(event.expect_ok()["type"], "m.room.create");

    jump(&bob, &room, 0, "f").await.expect_error(403, "M_FORBIDDEN");
    jump(&alice, "!nowhere:story.example", 0, "f").await.expect_error(403, "M_FORBIDDEN");
    jump(&alice, &room, 0, "x").await.expect_error(400, "M_INVALID_PARAM");
    let room_path = format!("/_matrix/client/v1/rooms/{}/timestamp_to_event", encode(&room));
    alice.get(&room_path).await.expect_error(400, "M_MISSING_PARAM");
    alice.get(&format!("{room_path}?dir=f&ts=-1")).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn who_sees_only_a_part_jumps_within_it() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let joined =
        json!([{"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "joined"}}]);
    let room = alice.create_room_with(json!({"preset": "public_chat", "initial_state": joined})).await;
    alice.send_text(&room, "before Bob").await;
    bob.join(&room).await;
    // What came before the history was closed is open to every member; then nothing is until the own join.
    let closed = alice.get(&format!("rooms/{}/state/m.room.history_visibility?format=event", encode(&room))).await;
    let since = closed.expect_ok()["origin_server_ts"].as_u64().unwrap() + 1;
    let said = alice.send_text(&room, "to Bob").await;
    let found = jump(&bob, &room, since + 60_000, "b").await.expect_ok();
    assert_eq!(found["event_id"], said.as_str());
}
