//! A client syncs: everything at first, then what changed, whatever it missed in between.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Server, Sync, User, encode};

/// A sync with a filter in the query, from `since` or from nothing.
async fn sync_with(user: &User, filter: Value, since: Option<&str>, more: &str) -> Sync {
    let since = since.map(|since| format!("&since={}", encode(since))).unwrap_or_default();
    let path = format!("sync?timeout=0&filter={}{since}{more}", encode(&filter.to_string()));
    Sync(user.get(&path).await.expect_ok())
}

/// Two people who are in a room together, and the room.
async fn alice_and_bob(server: &Server) -> (User, User, String) {
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    (alice, bob, room)
}

/// The types and state keys of a list of state events, sorted.
fn places(section: &Value) -> Vec<String> {
    let name = |event: &Value| format!("{}|{}", event["type"].as_str().unwrap(), event["state_key"].as_str().unwrap());
    let mut names: Vec<_> = section["events"].as_array().into_iter().flatten().map(name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_first_sync_brings_everything_and_the_next_only_what_is_new() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    alice.send_text(&room, "one").await;
    let first = bob.sync().await;
    assert_eq!(first.texts(&room), ["one"]);
    assert!(first.joined(&room)["timeline"]["prev_batch"].is_string());
    assert_eq!(first.joined(&room)["summary"]["m.joined_member_count"], 2);
    assert_eq!(first.joined(&room)["summary"]["m.heroes"], json!([alice.id]));

    let quiet = bob.sync_since(first.next_batch()).await;
    assert!(quiet.joined(&room).is_null(), "nothing happened: {}", quiet.0);
    for always in ["to_device", "device_lists", "device_one_time_keys_count", "device_unused_fallback_key_types"] {
        assert!(!quiet.0[always].is_null(), "{always} is always there");
    }

    alice.send_text(&room, "two").await;
    let next = bob.sync_since(quiet.next_batch()).await;
    assert_eq!(next.texts(&room), ["two"]);
    assert_eq!(next.joined(&room)["timeline"]["limited"], false, "nothing was left out");
    assert!(places(&next.joined(&room)["state"]).is_empty());
}

#[tokio::test]
async fn a_waiting_sync_ends_with_the_message_and_only_for_those_it_concerns() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let eve = server.register("eve").await;
    let (bobs, eves) = (bob.sync().await, eve.sync().await);
    let patience = Duration::from_secs(20);
    let waiting = async { bob.wait_since(bobs.next_batch(), patience).await };
    let speaking = async { alice.send_text(&room, "wake up").await };
    let (heard, _) = tokio::join!(waiting, speaking);
    assert_eq!(heard.texts(&room), ["wake up"]);

    // Eve is in no room with them: her wait runs until its end, and brings nothing.
    let waiting = async { eve.wait_since(eves.next_batch(), Duration::from_millis(300)).await };
    let speaking = async { alice.send_text(&room, "not for eve").await };
    let (heard, _) = tokio::join!(waiting, speaking);
    assert_eq!(heard.0["rooms"], json!({}));
}

#[tokio::test]
async fn after_a_gap_the_timeline_is_limited_and_the_gap_can_be_read() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let before = bob.sync().await;
    alice.send_text(&room, "0").await;
    alice.set_state(&room, "m.room.topic", "", json!({"topic": "in the gap"})).await;
    for number in 1..8 {
        alice.send_text(&room, &number.to_string()).await;
    }
    let filter = json!({"room": {"timeline": {"limit": 3}}});
    let after = sync_with(&bob, filter, Some(before.next_batch()), "").await;
    assert_eq!(after.texts(&room), ["5", "6", "7"]);
    assert_eq!(after.joined(&room)["timeline"]["limited"], true);
    assert_eq!(places(&after.joined(&room)["state"]), ["m.room.topic|"]);

    let from = after.joined(&room)["timeline"]["prev_batch"].as_str().unwrap();
    let path =
        format!("rooms/{}/messages?dir=b&limit=20&from={}&to={}", encode(&room), encode(from), before.next_batch());
    let gap = bob.get(&path).await.expect_ok();
    let texts: Vec<_> = gap["chunk"].as_array().unwrap().iter().filter_map(|e| e["content"]["body"].as_str()).collect();
    assert_eq!(texts, ["4", "3", "2", "1", "0"]);
}

#[tokio::test]
async fn the_state_is_told_at_the_start_or_at_the_end_of_the_timeline() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let before = bob.sync().await;
    alice.set_state(&room, "m.room.topic", "", json!({"topic": "first"})).await;
    alice.set_state(&room, "m.room.topic", "", json!({"topic": "second"})).await;
    let filter = json!({"room": {"timeline": {"limit": 1}}});

    let start = sync_with(&bob, filter.clone(), Some(before.next_batch()), "").await;
    assert_eq!(start.joined(&room)["state"]["events"][0]["content"]["topic"], "first");
    assert!(start.joined(&room)["state_after"].is_null());

    let end = sync_with(&bob, filter.clone(), Some(before.next_batch()), "&use_state_after=true").await;
    assert_eq!(end.joined(&room)["state_after"]["events"][0]["content"]["topic"], "second");
    assert!(end.joined(&room)["state"].is_null());

    let full = sync_with(&bob, filter, Some(end.next_batch()), "&full_state=true&use_state_after=true").await;
    let all = places(&full.joined(&room)["state_after"]);
    assert!(
        all.contains(&"m.room.create|".to_owned()) && all.contains(&format!("m.room.member|{}", alice.id)),
        "{all:?}"
    );
}

#[tokio::test]
async fn members_are_loaded_when_they_speak_and_not_told_twice() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let carol = server.register("carol").await;
    alice.invite(&room, &carol).await;
    carol.join(&room).await;
    alice.set_state(&room, "m.room.name", "", json!({"name": "named, so that there are no heroes"})).await;
    alice.send_text(&room, "hello").await;
    let filter = json!({"room": {"state": {"lazy_load_members": true}, "timeline": {"limit": 1}}});
    let members = |sync: &Sync| {
        let names = places(&sync.joined(&room)["state"]);
        names.into_iter().filter(|name| name.starts_with("m.room.member|")).collect::<Vec<_>>()
    };
    let member = |user: &User| format!("m.room.member|{}", user.id);

    let first = sync_with(&bob, filter.clone(), None, "").await;
    assert_eq!(members(&first), [member(&alice), member(&bob)]);
    carol.send_text(&room, "hi").await;
    let second = sync_with(&bob, filter.clone(), Some(first.next_batch()), "").await;
    assert_eq!(members(&second), [member(&carol)]);
    carol.send_text(&room, "again").await;
    let third = sync_with(&bob, filter.clone(), Some(second.next_batch()), "").await;
    assert!(members(&third).is_empty(), "carol is known by now");
    let repeated = sync_with(&bob, filter, Some(first.next_batch()), "").await;
    assert_eq!(members(&repeated), [member(&carol)], "the second answer may have been lost");
}

#[tokio::test]
async fn an_invitation_tells_what_the_room_is_and_nothing_of_what_is_said() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room_with(json!({"preset": "private_chat", "name": "Tea", "topic": "at five"})).await;
    alice.send_text(&room, "secret").await;
    let before = bob.sync().await;
    alice.invite(&room, &bob).await;
    for sync in [bob.sync_since(before.next_batch()).await, bob.sync().await] {
        let told = places(&sync.invited(&room)["invite_state"]);
        for kind in ["m.room.create|", "m.room.name|", "m.room.topic|", "m.room.join_rules|"] {
            assert!(told.contains(&kind.to_owned()), "{kind} is missing in {told:?}");
        }
        assert!(told.contains(&format!("m.room.member|{}", bob.id)));
        assert!(!sync.0.to_string().contains("secret"));
    }
    let invited = bob.sync().await;
    bob.leave(&room).await;
    let declined = bob.sync_since(invited.next_batch()).await;
    assert!(!declined.left(&room).is_null());
    assert!(bob.sync().await.invited(&room).is_null());
}

#[tokio::test]
async fn who_leaves_is_told_once_and_hears_nothing_after() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let before = bob.sync().await;
    alice.send_text(&room, "still here").await;
    bob.leave(&room).await;
    alice.send_text(&room, "gone").await;
    let last = bob.sync_since(before.next_batch()).await;
    assert!(last.joined(&room).is_null());
    let texts: Vec<_> = last.left(&room)["timeline"]["events"].as_array().unwrap().iter().collect();
    assert!(texts.iter().any(|event| event["content"]["body"] == "still here"));
    assert!(!last.0.to_string().contains("gone"));
    assert!(bob.sync_since(last.next_batch()).await.left(&room).is_null(), "once is enough");
    assert!(bob.sync().await.left(&room).is_null());
    let with_left = sync_with(&bob, json!({"room": {"include_leave": true}}), None, "").await;
    assert!(!with_left.left(&room).is_null());
}

#[tokio::test]
async fn who_joins_later_sees_nothing_from_before() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    alice.send_text(&room, "before").await;
    alice.invite(&room, &bob).await;
    alice.send_text(&room, "while invited").await;
    let outside = bob.sync().await;
    bob.join(&room).await;
    alice.send_text(&room, "after").await;
    let joined = bob.sync_since(outside.next_batch()).await;
    assert_eq!(joined.joined(&room)["timeline"]["limited"], true, "bob was not there for what came before");
    for sync in [joined, bob.sync().await] {
        assert_eq!(sync.texts(&room), ["after"]);
        let begun = sync.timeline(&room).iter().any(|event| event["type"] == "m.room.create");
        let known = places(&sync.joined(&room)["state"]);
        assert!(
            begun || known.contains(&"m.room.create|".to_owned()),
            "the whole state comes with the join: {known:?}"
        );
    }
}

#[tokio::test]
async fn a_filter_leaves_out_what_it_says() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    alice.send_text(&room, "words").await;
    alice.send_event(&room, "org.example.ping", json!({})).await;
    let only_pings = json!({"room": {"timeline": {"types": ["org.example.*"]}, "state": {"types": []}}});
    let sync = sync_with(&bob, only_pings.clone(), None, "").await;
    assert!(sync.timeline(&room).iter().all(|event| event["type"] == "org.example.ping"));
    assert!(places(&sync.joined(&room)["state"]).is_empty());

    let stored = bob.post(&format!("user/{}/filter", encode(&bob.id)), only_pings).await.expect_ok();
    let path = format!("sync?filter={}", stored["filter_id"].as_str().unwrap());
    assert_eq!(Sync(bob.get(&path).await.expect_ok()).timeline(&room).len(), 1);

    let elsewhere = sync_with(&bob, json!({"room": {"not_rooms": [room]}}), None, "").await;
    assert!(elsewhere.joined(&room).is_null());
    bob.get("sync?filter=unknown").await.expect_error(404, "M_NOT_FOUND");
    bob.get("sync?since=nonsense").await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_token_from_before_a_crash_goes_on_where_it_was() {
    let mut server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let before = bob.sync().await;
    alice.send_text(&room, "before the crash").await;
    server.kill_and_restart().await;
    alice.send_text(&room, "after the crash").await;
    let after = bob.sync_since(before.next_batch()).await;
    assert_eq!(after.texts(&room), ["before the crash", "after the crash"]);
}

#[tokio::test]
async fn a_client_that_was_away_for_long_catches_up() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let quiet = alice.create_room().await;
    alice.invite(&quiet, &bob).await;
    bob.join(&quiet).await;
    let before = bob.sync().await;
    for number in 0..600 {
        alice.send_text(&room, &number.to_string()).await;
    }
    let after = bob.sync_since(before.next_batch()).await;
    assert_eq!(after.texts(&room).last(), Some(&"599"));
    assert!(after.joined(&quiet).is_null(), "nothing happened there");
}

#[tokio::test]
async fn messages_of_ignored_people_do_not_arrive() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let list = json!({"ignored_users": {(alice.id.clone()): {}}});
    let path = format!("user/{}/account_data/m.ignored_user_list", encode(&bob.id));
    bob.put(&path, list).await.expect_ok();
    let before = bob.sync().await;
    alice.send_text(&room, "can you hear me?").await;
    alice.set_state(&room, "m.room.topic", "", json!({"topic": "state is for everyone"})).await;
    let after = bob.sync_since(before.next_batch()).await;
    assert!(!after.joined(&room).is_null());
    assert!(after.texts(&room).is_empty());
    let another = alice.create_room().await;
    alice.invite(&another, &bob).await;
    assert!(bob.sync_since(before.next_batch()).await.invited(&another).is_null());
}

#[tokio::test]
async fn a_device_that_was_away_hears_of_leaving_a_room_that_was_forgotten_since() {
    let server = Server::start().await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let before = bob.sync().await;
    bob.leave(&room).await;
    alice.send_text(&room, "gone").await;
    bob.post(&format!("rooms/{}/forget", encode(&room)), json!({})).await.expect_ok();
    let after = bob.sync_since(before.next_batch()).await;
    assert!(!after.left(&room).is_null());
    assert!(!after.0.to_string().contains("gone"));
    let with_left = sync_with(&bob, json!({"room": {"include_leave": true}}), None, "").await;
    assert!(with_left.left(&room).is_null(), "a fresh device hears nothing of it");
}
