//! People come into rooms and leave them, are invited, asked out and kept out.

use serde_json::{Value, json};

use crate::support::{Answer, PATIENCE, Server, Sync, User, encode};

async fn joined_rooms(user: &User) -> Value {
    user.get("joined_rooms").await.expect_ok()["joined_rooms"].take()
}

/// Tries to join a room by its id.
async fn try_to_join(user: &User, room: &str) -> Answer {
    user.post(&format!("join/{}", encode(room)), json!({})).await
}

#[tokio::test]
async fn two_people_have_a_direct_chat() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room =
        alice.create_room_with(json!({"preset": "trusted_private_chat", "is_direct": true, "invite": [bob.id]})).await;
    let sync = bob.sync().await;
    let told = sync.invited(&room)["invite_state"]["events"].as_array().unwrap().clone();
    let invitation = told.iter().find(|event| event["state_key"] == bob.id.as_str()).unwrap();
    assert_eq!(invitation["content"]["is_direct"], true);
    assert_eq!(
        (&invitation["content"]["membership"], &invitation["sender"]),
        (&"invite".into(), &alice.id.as_str().into())
    );
    // The rest is stripped; but clients show when somebody was invited.
    assert!(invitation["event_id"].is_string() && invitation["origin_server_ts"].as_u64() > Some(0), "{invitation}");
    assert!(told.iter().filter(|event| *event != invitation).all(|event| event.get("event_id").is_none()), "{told:?}");

    let before = alice.sync().await.next_batch().to_owned();
    assert_eq!(bob.join(&room).await, room);
    let joined = |sync: &Sync| sync.state(&room, "m.room.member", &bob.id).is_some();
    let sync = alice.sync_until(&before, "bob's join", joined).await;
    assert_eq!(sync.state(&room, "m.room.member", &bob.id).unwrap()["membership"], "join");
    assert_eq!(joined_rooms(&bob).await, json!([room]));
}

#[tokio::test]
async fn an_invitation_is_for_one_stay() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    try_to_join(&bob, &room).await.expect_error(403, "M_FORBIDDEN");
    alice.act(&room, "invite", json!({"user_id": bob.id, "reason": "come in"})).await.expect_ok();
    // Asking twice is asking once.
    alice.act(&room, "invite", json!({"user_id": bob.id, "reason": "come in"})).await.expect_ok();
    let accepted = bob.act(&room, "join", json!({"reason": "thanks"})).await.expect_ok();
    assert_eq!(accepted["room_id"], room.as_str());
    bob.join(&room).await;
    assert_eq!(bob.sync().await.state(&room, "m.room.member", &bob.id).unwrap()["reason"], "thanks");
    alice.act(&room, "invite", json!({"user_id": bob.id})).await.expect_error(403, "M_FORBIDDEN");

    bob.leave(&room).await;
    bob.leave(&room).await;
    assert_eq!(joined_rooms(&bob).await, json!([]));
    try_to_join(&bob, &room).await.expect_error(403, "M_FORBIDDEN");
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    assert_eq!(joined_rooms(&bob).await, json!([room]));

    // An invitation can be refused as well.
    bob.leave(&room).await;
    alice.invite(&room, &bob).await;
    bob.leave(&room).await;
    try_to_join(&bob, &room).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_public_room_is_open_until_one_is_banned() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    let since = bob.sync().await.next_batch().to_owned();
    let whom = |reason: &str| json!({"user_id": bob.id, "reason": reason});
    alice.act(&room, "kick", whom("not now")).await.expect_ok();
    let sync = bob.sync_until(&since, "the kick", |sync| !sync.left(&room).is_null()).await;
    let kick = Sync::newest(&sync.left(&room)["timeline"], "m.room.member").unwrap();
    assert_eq!((&kick["sender"], &kick["content"]["reason"]), (&alice.id.as_str().into(), &"not now".into()));

    bob.join(&room).await;
    alice.act(&room, "ban", whom("never again")).await.expect_ok();
    assert_eq!(joined_rooms(&bob).await, json!([]));
    try_to_join(&bob, &room).await.expect_error(403, "M_FORBIDDEN");
    bob.act(&room, "leave", json!({})).await.expect_error(403, "M_FORBIDDEN");
    alice.act(&room, "invite", whom("")).await.expect_error(403, "M_FORBIDDEN");
    alice.act(&room, "kick", whom("")).await.expect_error(403, "M_FORBIDDEN");
    alice.act(&room, "unban", whom("well")).await.expect_ok();
    alice.act(&room, "unban", whom("well")).await.expect_error(403, "M_FORBIDDEN");
    bob.join(&room).await;
}

#[tokio::test]
async fn members_without_power_and_strangers_put_nobody_out() {
    let server = Server::start().await;
    let (alice, bob, eve) =
        (server.register("alice").await, server.register("bob").await, server.register("eve").await);
    let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    for action in ["kick", "ban", "unban"] {
        for (who, whom) in [(&bob, &alice), (&eve, &bob), (&eve, &eve)] {
            who.act(&room, action, json!({"user_id": whom.id})).await.expect_error(403, "M_FORBIDDEN");
        }
    }
    eve.act(&room, "invite", json!({"user_id": eve.id})).await.expect_error(403, "M_FORBIDDEN");
    eve.act(&room, "leave", json!({})).await.expect_error(403, "M_FORBIDDEN");
    let nowhere = "!nowhere:story.example";
    eve.act(nowhere, "leave", json!({})).await.expect_error(403, "M_FORBIDDEN");
    eve.act(nowhere, "kick", json!({"user_id": bob.id})).await.expect_error(403, "M_FORBIDDEN");
    try_to_join(&eve, nowhere).await.expect_error(404, "M_NOT_FOUND");
    server.stranger().get("joined_rooms").await.expect_error(401, "M_MISSING_TOKEN");
    server.stranger().post(&format!("join/{}", encode(&room)), json!({})).await.expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_knock_is_answered() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let rule = json!([{"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}]);
    let room = alice.create_room_with(json!({"initial_state": rule, "room_alias_name": "door"})).await;
    let knock = |at: &str| format!("knock/{}", encode(at));
    let at_alias = bob.post(&knock("#door:story.example"), json!({"reason": "It is me"})).await.expect_ok();
    assert_eq!(at_alias["room_id"], room.as_str());
    try_to_join(&bob, &room).await.expect_error(403, "M_FORBIDDEN");
    assert_eq!(alice.sync().await.state(&room, "m.room.member", &bob.id).unwrap()["reason"], "It is me");
    assert!(!bob.sync().await.0["rooms"]["knock"][&room].is_null());

    alice.act(&room, "kick", json!({"user_id": bob.id})).await.expect_ok();
    bob.post(&knock(&room), json!({})).await.expect_ok();
    alice.invite(&room, &bob).await;
    bob.post(&knock(&room), json!({})).await.expect_error(403, "M_FORBIDDEN");
    bob.join(&room).await;

    let closed = alice.create_room().await;
    bob.post(&knock(&closed), json!({})).await.expect_error(403, "M_FORBIDDEN");
    bob.post(&knock("#nowhere:story.example"), json!({})).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn members_of_a_club_get_into_its_rooms() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let club = alice.create_room_with(json!({"preset": "public_chat", "creation_content": {"type": "m.space"}})).await;
    let rule = json!([{"type": "m.room.join_rules", "content": {
        "join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": club}],
    }}]);
    let room = alice.create_room_with(json!({"initial_state": rule})).await;
    try_to_join(&bob, &room).await.expect_error(403, "M_FORBIDDEN");
    bob.join(&club).await;
    bob.join(&room).await;
    bob.leave(&club).await;
    assert_eq!(joined_rooms(&bob).await, json!([room]), "a member stays a member");
    bob.leave(&room).await;
    try_to_join(&bob, &room).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_forgotten_room_is_gone_until_one_is_invited_again() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    bob.act(&room, "forget", json!({})).await.expect_error(400, "M_UNKNOWN");
    bob.leave(&room).await;
    let with_left = format!("sync?timeout=0&filter={}", encode(r#"{"room": {"include_leave": true}}"#));
    assert!(!bob.get(&with_left).await.expect_ok()["rooms"]["leave"][&room].is_null());
    bob.act(&room, "forget", json!({})).await.expect_ok();
    assert!(bob.get(&with_left).await.expect_ok()["rooms"]["leave"][&room].is_null());
    alice.invite(&room, &bob).await;
    assert!(!bob.sync().await.invited(&room).is_null());
    bob.join(&room).await;
    assert!(!bob.sync().await.joined(&room).is_null());
}

#[tokio::test]
async fn every_device_learns_of_a_departure_although_the_room_is_forgotten_at_once() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    let other_device = alice.log_in_again().await;
    let since = other_device.sync().await.next_batch().to_owned();
    alice.leave(&room).await;
    alice.act(&room, "forget", json!({})).await.expect_ok();
    let sync = other_device.sync_since(&since).await;
    let leave = Sync::newest(&sync.left(&room)["timeline"], "m.room.member").unwrap();
    assert_eq!(leave["content"]["membership"], "leave");
    assert!(other_device.sync_since(sync.next_batch()).await.left(&room).is_null());
}

#[tokio::test]
async fn what_a_client_adds_to_a_join_shows_in_it_unless_it_means_something() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
    let body = json!({"org.example.mood": "fine", "membership": "ban", "displayname": "Alice", "reason": "fun"});
    bob.post(&format!("join/{}", encode(&room)), body).await.expect_ok();
    let sync = bob.sync().await;
    let content = sync.state(&room, "m.room.member", &bob.id).unwrap();
    let expected = json!({"membership": "join", "displayname": "bob", "org.example.mood": "fine", "reason": "fun"});
    assert_eq!(content, &expected);
}

#[tokio::test]
async fn those_who_want_no_invitations_are_left_alone() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let (room, from_before) = (alice.create_room().await, alice.create_room().await);
    alice.invite(&from_before, &bob).await;
    let path = format!("user/{}/account_data/m.invite_permission_config", encode(&bob.id));
    bob.put(&path, json!({"default_action": "block"})).await.expect_ok();
    assert!(bob.sync().await.invited(&from_before).is_null());
    alice.act(&room, "invite", json!({"user_id": bob.id})).await.expect_error(403, "M_INVITE_BLOCKED");
    alice.post("createRoom", json!({"invite": [bob.id]})).await.expect_error(403, "M_INVITE_BLOCKED");
    bob.put(&path, json!({})).await.expect_ok();
    alice.invite(&room, &bob).await;
    let sync = bob.sync().await;
    assert!(!sync.invited(&room).is_null() && !sync.invited(&from_before).is_null());
}

#[tokio::test]
async fn memberships_survive_a_crash() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let (stayed, left, invited) = (alice.create_room().await, alice.create_room().await, alice.create_room().await);
    for room in [&stayed, &left, &invited] {
        alice.invite(room, &bob).await;
    }
    bob.join(&stayed).await;
    bob.join(&left).await;
    bob.leave(&left).await;
    server.kill_and_restart().await;
    assert_eq!(joined_rooms(&bob).await, json!([stayed]));
    assert!(!bob.sync().await.invited(&invited).is_null());
    try_to_join(&bob, &left).await.expect_error(403, "M_FORBIDDEN");
    let since = alice.sync().await.next_batch().to_owned();
    bob.join(&invited).await;
    let news = alice.wait_since(&since, PATIENCE).await;
    assert_eq!(news.state(&invited, "m.room.member", &bob.id).unwrap()["membership"], "join");
}

#[tokio::test]
async fn joining_and_inviting_in_a_hurry_has_a_limit() {
    let server = Server::start_with(
        "[limits]\nenabled = true\njoins = { per_second = 0.01, burst = 3 }\nmessages = { per_second = 0.01, burst = 2 }",
    )
    .await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
    for _ in 0..3 {
        bob.join(&room).await;
        bob.leave(&room).await;
    }
    let refused = try_to_join(&bob, &room).await.expect_error(429, "M_LIMIT_EXCEEDED");
    assert!(refused["retry_after_ms"].as_u64().unwrap() > 1_000);
    for _ in 0..2 {
        alice.invite(&room, &bob).await;
    }
    alice.act(&room, "invite", json!({"user_id": bob.id})).await.expect_error(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn whoever_comes_later_learns_all_of_the_state_and_sees_nothing_of_how_it_came_about() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let encryption = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    let initial = json!([{"type": "m.room.encryption", "state_key": "", "content": encryption}]);
    let parameters = json!({"preset": "private_chat", "invite": [bob.id], "initial_state": initial, "name": "Tea"});
    let room = alice.create_room_with(parameters).await;
    let invited = bob.sync().await.next_batch().to_owned();
    bob.join(&room).await;
    for sync in [bob.sync_since(&invited).await, bob.sync().await] {
        assert_eq!(sync.state(&room, "m.room.encryption", ""), Some(&encryption));
        assert_eq!(sync.state(&room, "m.room.name", ""), Some(&json!({"name": "Tea"})));
        let names = sync.timeline(&room).iter().filter(|event| event["type"] == "m.room.name");
        assert_eq!((names.count(), &sync.joined(&room)["timeline"]["limited"]), (0, &json!(true)));
    }

    let was_there = bob.sync().await.next_batch().to_owned();
    alice.send_text(&room, "bob hears this").await;
    bob.leave(&room).await;
    alice.set_state(&room, "m.room.name", "", json!({"name": "Cake"})).await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let sync = bob.sync_since(&was_there).await;
    assert_eq!(sync.state(&room, "m.room.name", ""), Some(&json!({"name": "Cake"})));
    assert_eq!(sync.joined(&room)["timeline"]["limited"], true);
    let before = sync.joined(&room)["timeline"]["prev_batch"].as_str().unwrap();
    let page = bob.get(&format!("rooms/{}/messages?dir=b&from={before}", encode(&room))).await.expect_ok();
    let texts: Vec<_> = page["chunk"].as_array().unwrap().iter().map(|event| &event["content"]["body"]).collect();
    assert!(texts.contains(&&json!("bob hears this")), "what he may see of before can be asked for");
}
