//! Somebody's phone, which is not connected, is told of what happens, by its owner's own rules.

use serde_json::{Value, json};

use crate::support::{GATEWAYS_ON_LOOPBACK, Gateway, Manner, PATIENCE, Server, User, encode, eventually};

/// Two people who are in a room together, and the room.
async fn alice_and_bob(server: &Server) -> (User, User, String) {
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room_with(json!({"preset": "private_chat", "name": "Tea"})).await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    (alice, bob, room)
}

async fn scene() -> (Server, Gateway, User, User, String) {
    let server = Server::start_with(GATEWAYS_ON_LOOPBACK).await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    (server, Gateway::start().await, alice, bob, room)
}

#[tokio::test]
async fn a_message_reaches_a_phone_with_all_that_it_shows() {
    let (_server, gateway, alice, bob, room) = scene().await;
    alice.set_state(&room, "m.room.name", "", json!({"name": "Tea"})).await;
    let profile = format!("profile/{}/displayname", encode(&alice.id));
    alice.put(&profile, json!({"displayname": "Alice L."})).await.expect_ok();
    gateway.tell(&bob, "key of bob", json!({"brand": "tea"})).await;
    let event = alice.send_text(&room, "hello").await;

    let push = gateway.next().await;
    let set_at = push["devices"][0]["pushkey_ts"].as_u64().expect("it says when it was set");
    assert!(set_at > 1_700_000_000 && set_at < 100_000_000_000, "in seconds: {set_at}");
    let expected = json!({
        "event_id": event, "room_id": room, "type": "m.room.message", "sender": alice.id,
        "sender_display_name": "Alice L.", "room_name": "Tea", "counts": {"unread": 1},
        "content": {"msgtype": "m.text", "body": "hello"},
        "devices": [{
            "app_id": "org.example.phone", "pushkey": "key of bob", "pushkey_ts": set_at, "data": {"brand": "tea"},
            "tweaks": {"sound": "default"},
        }],
    });
    assert_eq!(push, expected);
}

#[tokio::test]
async fn a_phone_that_fetches_events_itself_is_told_their_ids_only() {
    let (_server, gateway, alice, bob, room) = scene().await;
    gateway.tell(&bob, "key", json!({"format": "event_id_only"})).await;
    let event = alice.send_text(&room, "secret").await;
    let mut push = gateway.next().await;
    push["devices"][0]["pushkey_ts"].take();
    let device = json!({"app_id": "org.example.phone", "pushkey": "key", "pushkey_ts": null,
        "data": {"format": "event_id_only"}, "tweaks": {"sound": "default"}});
    assert_eq!(push, json!({"event_id": event, "room_id": room, "counts": {"unread": 1}, "devices": [device]}));
}

#[tokio::test]
async fn only_what_the_rules_notify_of_is_told_and_in_the_order_in_which_it_was_said() {
    let (server, gateway, alice, bob, room) = scene().await;
    let carol = server.register("carol").await;
    alice.invite(&room, &carol).await;
    carol.join(&room).await;
    gateway.tell(&bob, "key", json!({})).await;
    alice.send_event(&room, "m.room.message", json!({"msgtype": "m.notice", "body": "beep"})).await;
    bob.send_text(&room, "my own").await;
    let ignored = format!("user/{}/account_data/m.ignored_user_list", encode(&bob.id));
    bob.put(&ignored, json!({"ignored_users": {&carol.id: {}}})).await.expect_ok();
    carol.send_text(&room, "from somebody who is ignored").await;
    let plain = alice.send_text(&room, "quiet").await;
    let mention = json!({"msgtype": "m.text", "body": "bob!", "m.mentions": {"user_ids": [bob.id]}});
    let loud = alice.send_event(&room, "m.room.message", mention.clone()).await;

    let first = gateway.next().await;
    assert_eq!((&first["event_id"], &first["prio"]), (&json!(plain), &json!("low")));
    assert_eq!(first["devices"][0].get("tweaks"), None, "in a room of three it makes no sound");
    let second = gateway.next().await;
    assert_eq!((&second["event_id"], second.get("prio")), (&json!(loud), None), "high is what is left out");
    assert_eq!(second["devices"][0]["tweaks"], json!({"sound": "default", "highlight": true}));
    assert_eq!(second["counts"], json!({"unread": 2}));

    let rule = format!("pushrules/global/room/{}", encode(&room));
    bob.put(&rule, json!({"actions": []})).await.expect_ok();
    alice.send_text(&room, "muted").await;
    let loud = alice.send_event(&room, "m.room.message", mention).await;
    assert_eq!(gateway.next().await["event_id"], loud, "who is mentioned hears of it in a muted room, too");
    let sound = json!([{"set_tweak": "sound", "value": "gong"}, "notify", {"set_tweak": "light", "value": [1]}]);
    bob.put(&rule, json!({"actions": sound})).await.expect_ok();
    let gong = alice.send_text(&room, "with a gong").await;
    let third = gateway.next().await;
    assert_eq!(third["event_id"], gong);
    assert_eq!(third["devices"][0]["tweaks"], json!({"sound": "gong", "light": [1]}));
}

#[tokio::test]
async fn an_invitation_is_told_to_the_one_who_is_invited() {
    let (_server, gateway, alice, bob, _) = scene().await;
    gateway.tell(&bob, "key", json!({})).await;
    let room = alice.create_room_with(json!({"preset": "private_chat", "name": "Cake"})).await;
    alice.invite(&room, &bob).await;
    let push = gateway.next().await;
    assert_eq!((&push["room_id"], &push["room_name"]), (&json!(room), &json!("Cake")));
    assert_eq!((&push["type"], &push["user_is_target"]), (&json!("m.room.member"), &json!(true)));
    assert_eq!((&push["content"]["membership"], &push["sender"]), (&json!("invite"), &json!(alice.id)));
    assert_eq!(push["devices"][0]["tweaks"], json!({"sound": "default"}));
    alice.send_text(&room, "before bob is here").await;
    bob.join(&room).await;
    let first = alice.send_text(&room, "welcome").await;
    assert_eq!(gateway.next().await["event_id"], first);
}

#[tokio::test]
async fn each_phone_of_each_person_is_told_once() {
    let (_server, gateway, alice, bob, room) = scene().await;
    let phone = bob.log_in_again().await;
    gateway.tell(&alice, "alice", json!({})).await;
    gateway.tell(&bob, "tablet", json!({})).await;
    gateway.tell(&phone, "phone", json!({})).await;
    let event = alice.send_text(&room, "hello").await;
    let (one, two) = (gateway.next().await, gateway.next().await);
    assert_eq!((&one["event_id"], &two["event_id"]), (&json!(event), &json!(event)));
    let key = |push: &Value| push["devices"][0]["pushkey"].as_str().unwrap().to_owned();
    let mut keys = [key(&one), key(&two)];
    keys.sort();
    assert_eq!(keys, ["phone", "tablet"]);
    let answer = bob.send_text(&room, "hi").await;
    let mut rest = [gateway.next().await, gateway.next().await, gateway.next().await];
    rest.sort_by_key(key);
    assert_eq!((key(&rest[0]).as_str(), &rest[0]["event_id"]), ("alice", &json!(answer)));
    for (push, pushkey) in rest[1..].iter().zip(["phone", "tablet"]) {
        assert_eq!((key(push).as_str(), &push["counts"]), (pushkey, &json!({"unread": 0})), "who answers has read");
    }
}

#[tokio::test]
async fn a_new_phone_is_not_told_of_what_was_said_before_and_an_old_one_of_nothing_more() {
    let (_server, gateway, alice, bob, room) = scene().await;
    alice.send_text(&room, "before there was a phone").await;
    let phone = bob.log_in_again().await;
    gateway.tell(&phone, "phone", json!({})).await;
    let event = alice.send_text(&room, "now").await;
    assert_eq!(gateway.next().await["event_id"], event);
    // An app sets its pusher each time it starts.
    gateway.tell(&phone, "phone", json!({"again": true})).await;
    let event = alice.send_text(&room, "still").await;
    let push = gateway.next().await;
    assert_eq!((&push["event_id"], &push["devices"][0]["data"]), (&json!(event), &json!({"again": true})));

    phone.post("logout", json!({})).await.expect_ok();
    alice.send_text(&room, "after the phone was logged out").await;
    gateway.tell(&bob, "tablet", json!({})).await;
    let event = alice.send_text(&room, "to the tablet").await;
    let push = gateway.next().await;
    assert_eq!((&push["event_id"], &push["devices"][0]["pushkey"]), (&json!(event), &json!("tablet")));
    assert!(gateway.is_quiet());
}

#[tokio::test]
async fn a_pusher_that_its_gateway_does_not_know_is_removed() {
    let (_server, gateway, alice, bob, room) = scene().await;
    let other = Gateway::start().await;
    gateway.tell(&bob, "gone", json!({})).await;
    other.tell(&bob, "there", json!({})).await;
    gateway.behave(Manner::Rejects);
    alice.send_text(&room, "hello").await;
    other.next().await;
    eventually("the pusher to be removed", PATIENCE, async || {
        let pushers = bob.get("pushers").await.expect_ok();
        let keys: Vec<_> = pushers["pushers"].as_array().unwrap().iter().map(|it| it["pushkey"].clone()).collect();
        (keys == ["there"]).then_some(())
    })
    .await;
    assert_eq!(gateway.calls(), 1);
}

#[tokio::test]
async fn what_was_said_is_hidden_again_before_the_phone_hears_of_it() {
    let (_server, gateway, alice, bob, room) = scene().await;
    gateway.behave(Manner::Answers(503));
    gateway.tell(&bob, "key", json!({})).await;
    let mistake = alice.send_text(&room, "a mistake").await;
    gateway.called_after(0).await;
    alice.redact(&room, &mistake).await;
    let event = alice.send_text(&room, "as it should be").await;
    gateway.behave(Manner::Takes);
    let push = gateway.next().await;
    assert_eq!((&push["event_id"], &push["counts"]["unread"]), (&json!(event), &json!(1)));
}

#[tokio::test]
async fn polls_are_told_as_messages_are() {
    let (_server, gateway, alice, bob, room) = scene().await;
    gateway.tell(&bob, "key", json!({})).await;
    let poll = alice.send_event(&room, "org.matrix.msc3381.poll.start", json!({"question": "tea?"})).await;
    assert_eq!(gateway.next().await["event_id"], poll);
    let about = json!({"m.relates_to": {"rel_type": "m.reference", "event_id": poll}});
    alice.send_event(&room, "org.matrix.msc3381.poll.response", about.clone()).await;
    let end = alice.send_event(&room, "org.matrix.msc3381.poll.end", about).await;
    assert_eq!(gateway.next().await["event_id"], end, "and not each vote");
}

#[tokio::test]
async fn a_gateway_without_tls_is_the_operators_choice() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let pusher = |url: &str| {
        json!({"pushkey": "key", "kind": "http", "app_id": "org.example.phone", "app_display_name": "Phone",
            "device_display_name": "phone", "lang": "en", "data": {"url": url}})
    };
    let set = async |url: &str| alice.post("pushers/set", pusher(url)).await;
    set("http://push.example.org/_matrix/push/v1/notify").await.expect_error(400, "M_INVALID_PARAM");
    set("https://push.example.org/_matrix/push/v1/notify").await.expect_ok();
}

#[tokio::test]
async fn nobody_is_called_whom_the_operator_does_not_allow_and_no_key_is_logged() {
    let server = Server::start_with("push.allow_http = true").await;
    let (alice, bob, room) = alice_and_bob(&server).await;
    let gateway = Gateway::start().await;
    gateway.tell(&bob, "the secret key", json!({})).await;
    alice.send_text(&room, "hello").await;
    eventually("the server to say so", PATIENCE, async || {
        server.log().iter().any(|line| line.contains("refuses what it was told")).then_some(())
    })
    .await;
    assert_eq!(gateway.calls(), 0);
    assert!(!server.log().iter().any(|line| line.contains("the secret key")));
}
