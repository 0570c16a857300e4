//! A person changes the password, which throws other devices out, and one day closes the account.

use serde_json::{Value, json};

use crate::support::{Answer, Connection, PATIENCE, Server, User, encode, eventually};

fn password(user: &str, password: &str) -> Value {
    json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": password})
}

async fn log_in(anyone: &Connection, user: &User, with: &str) -> Answer {
    anyone.post("login", password(&user.id, with)).await
}

#[tokio::test]
async fn a_new_password_throws_the_other_devices_out() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let mut body = json!({"new_password": "battery staple"});
    let steps = alice.post("account/password", body.clone()).await.expect_status(401);
    assert_eq!(steps["flows"], json!([{"stages": ["m.login.password"]}]));
    body["auth"] = password(&alice.id, &alice.password);
    body["auth"]["session"] = steps["session"].clone();
    assert_eq!(alice.post("account/password", body).await.expect_ok(), json!({}));

    server.kill_and_restart().await;
    alice.get("account/whoami").await.expect_ok();
    phone.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    log_in(server.stranger(), &alice, &alice.password).await.expect_error(403, "M_FORBIDDEN");
    log_in(server.stranger(), &alice, "battery staple").await.expect_ok();
}

#[tokio::test]
async fn the_other_devices_take_their_pushers_along() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let (phone, tablet) = (alice.log_in_again().await, alice.log_in_again().await);
    let pusher = |pushkey: &str| {
        json!({
            "pushkey": pushkey, "app_id": "org.example.app", "kind": "http", "lang": "en",
            "app_display_name": "App", "device_display_name": "Device",
            "data": {"url": "https://push.example.org/_matrix/push/v1/notify"},
        })
    };
    for (device, pushkey) in [(&alice, "laptop"), (&phone, "phone"), (&tablet, "tablet")] {
        assert_eq!(device.post("pushers/set", pusher(pushkey)).await.expect_ok(), json!({}));
    }
    let pushkeys = async || {
        let pushers = alice.get("pushers").await.expect_ok();
        let keys = pushers["pushers"].as_array().unwrap().iter().map(|pusher| pusher["pushkey"].clone());
        let mut keys: Vec<_> = keys.map(|key| key.as_str().unwrap().to_owned()).collect();
        keys.sort();
        keys
    };
    assert_eq!(pushkeys().await, ["laptop", "phone", "tablet"]);
    tablet.post("logout", json!({})).await.expect_ok();
    assert_eq!(pushkeys().await, ["laptop", "phone"]);
    let body = json!({"new_password": "battery staple", "auth": password(&alice.id, &alice.password)});
    alice.post("account/password", body).await.expect_ok();
    assert_eq!(pushkeys().await, ["laptop"]);
    let removal = json!({"pushkey": "laptop", "app_id": "org.example.app", "kind": null});
    alice.post("pushers/set", removal).await.expect_ok();
    assert_eq!(alice.get("pushers").await.expect_ok(), json!({"pushers": []}));
    let mut plain = pusher("laptop");
    plain["data"]["url"] = "http://push.example.org/_matrix/push/v1/notify".into();
    alice.post("pushers/set", plain).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn other_devices_may_stay() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let auth = password(&alice.id, &alice.password);
    let body = json!({"new_password": "battery staple", "logout_devices": false, "auth": auth});
    alice.post("account/password", body).await.expect_ok();
    phone.get("account/whoami").await.expect_ok();
}

#[tokio::test]
async fn a_password_is_changed_only_by_who_knows_the_old_one() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let change = |auth: Value| json!({"new_password": "battery staple", "auth": auth});
    let wrong = change(password(&alice.id, "a guess"));
    alice.post("account/password", wrong).await.expect_error(401, "M_FORBIDDEN");
    let bobs = change(password(&bob.id, &bob.password));
    alice.post("account/password", bobs).await.expect_error(403, "M_FORBIDDEN");
    let weak = json!({"new_password": "short", "auth": password(&alice.id, &alice.password)});
    alice.post("account/password", weak).await.expect_error(400, "M_WEAK_PASSWORD");
    log_in(server.stranger(), &alice, &alice.password).await.expect_ok();

    // Somebody without a device that is logged in can change it too, and keeps none.
    let own = change(password(&alice.id, &alice.password));
    server.stranger().post("account/password", own).await.expect_ok();
    alice.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    log_in(server.stranger(), &alice, "battery staple").await.expect_ok();
    bob.get("account/whoami").await.expect_ok();
}

#[tokio::test]
async fn a_closed_account_is_closed_to_everybody_and_its_name_stays_taken() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let steps = alice.post("account/deactivate", json!({})).await.expect_status(401);
    assert_eq!(steps["flows"], json!([{"stages": ["m.login.password"]}]));
    let wrong = json!({"auth": password(&alice.id, "a guess")});
    alice.post("account/deactivate", wrong).await.expect_error(401, "M_FORBIDDEN");
    let mut auth = password(&alice.id, &alice.password);
    auth["session"] = steps["session"].clone();
    let closed = alice.post("account/deactivate", json!({"auth": auth})).await.expect_ok();
    assert_eq!(closed, json!({"id_server_unbind_result": "success"}));

    server.kill_and_restart().await;
    for device in [&alice, &phone] {
        device.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    }
    log_in(server.stranger(), &alice, &alice.password).await.expect_error(403, "M_USER_DEACTIVATED");
    server.stranger().get("register/available?username=alice").await.expect_error(400, "M_USER_IN_USE");
    let again = json!({"username": "alice", "password": "correct horse", "auth": {"type": "m.login.dummy"}});
    server.stranger().post("register", again).await.expect_error(400, "M_USER_IN_USE");
}

#[tokio::test]
async fn who_wants_to_be_forgotten_leaves_no_profile_behind() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    for (user, erase) in [(&alice, true), (&bob, false)] {
        let body = json!({"erase": erase, "auth": password(&user.id, &user.password)});
        user.post("account/deactivate", body).await.expect_ok();
    }
    let profile = async |user: &User| server.stranger().get(&format!("profile/{}", user.id)).await.expect_ok();
    assert_eq!(profile(&alice).await, json!({}));
    assert_eq!(profile(&bob).await, json!({"displayname": "bob"}));
}

#[tokio::test]
async fn who_comes_later_reads_nothing_of_who_wanted_to_be_forgotten() {
    let server = Server::start().await;
    let [alice, bob, carol, dan] = [
        server.register("alice").await,
        server.register("bob").await,
        server.register("carol").await,
        server.register("dan").await,
    ];
    let shared = json!({"type": "m.room.history_visibility", "content": {"history_visibility": "shared"}});
    let room = bob.create_room_with(json!({"preset": "public_chat", "initial_state": [shared]})).await;
    for user in [&alice, &dan] {
        user.join(&room).await;
    }
    dan.leave(&room).await;
    let said = alice.send_text(&room, "a pineapple secret").await;
    let topic = json!({"topic": "fruit"});
    alice.put(&format!("rooms/{}/state/m.room.topic", encode(&room)), topic).await.expect_error(403, "M_FORBIDDEN");
    bob.set_state(&room, "m.room.topic", "", json!({"topic": "fruit"})).await;
    let edited = bob.send_text(&room, "root").await;
    let relation = json!({"rel_type": "m.thread", "event_id": edited});
    let reply = json!({"msgtype": "m.text", "body": "pineapple again", "m.relates_to": relation});
    alice.send_event(&room, "m.room.message", reply).await;
    let body = json!({"erase": true, "auth": password(&alice.id, &alice.password)});
    alice.post("account/deactivate", body).await.expect_ok();
    let gone = async || {
        let member = bob.get(&format!("rooms/{}/state/m.room.member/{}", encode(&room), alice.id)).await.expect_ok();
        (member["membership"] == "leave").then_some(())
    };
    eventually("Alice to be out", PATIENCE, gone).await;
    for user in [&carol, &dan] {
        user.join(&room).await;
    }
    let everything = async |user: &User| {
        let messages = user.messages(&room, 100).await;
        let event = user.get(&format!("rooms/{}/event/{}", encode(&room), encode(&said))).await.expect_ok();
        let context = user.get(&format!("rooms/{}/context/{}", encode(&room), encode(&said))).await.expect_ok();
        let threads = user.get(&format!("/_matrix/client/v1/rooms/{}/threads", encode(&room))).await.expect_ok();
        let criteria = json!({"search_categories": {"room_events": {"search_term": "pineapple"}}});
        let search =
            user.post("search", criteria).await.expect_ok()["search_categories"]["room_events"]["results"].clone();
        json!([messages, event, context, threads, search, user.sync().await.0]).to_string()
    };
    assert!(everything(&bob).await.contains("a pineapple secret"), "who was there keeps it");
    for user in [&carol, &dan] {
        let seen = everything(user).await;
        assert!(!seen.contains("pineapple") && seen.contains(&said), "{seen}");
        // Dan was there when she came, and Carol was not.
        let name = r#""displayname":"alice""#;
        assert_eq!(seen.contains(name), user.id == dan.id, "{seen}");
        assert!(seen.contains("fruit"), "what holds in the room is not hers: {seen}");
    }
}

#[tokio::test]
async fn nor_why_they_took_something_back() {
    let server = Server::start().await;
    let (alice, bob, carol) =
        (server.register("alice").await, server.register("bob").await, server.register("carol").await);
    let room = bob.create_room_with(json!({"preset": "public_chat"})).await;
    alice.join(&room).await;
    let slip = alice.send_text(&room, "a slip").await;
    let redaction = format!("rooms/{}/redact/{}/1", encode(&room), encode(&slip));
    alice.put(&redaction, json!({"reason": "not about a pineapple"})).await.expect_ok();
    let body = json!({"erase": true, "auth": password(&alice.id, &alice.password)});
    alice.post("account/deactivate", body).await.expect_ok();
    carol.join(&room).await;
    let seen = async |user: &User| {
        let event = user.get(&format!("rooms/{}/event/{}", encode(&room), encode(&slip))).await.expect_ok();
        event["unsigned"]["redacted_because"].to_string()
    };
    assert!(seen(&bob).await.contains("pineapple"), "who was there keeps it");
    let seen = seen(&carol).await;
    assert!(seen.contains("m.room.redaction") && !seen.contains("pineapple"), "{seen}");
}

#[tokio::test]
async fn guesses_at_a_password_count_for_its_account_wherever_they_are_made() {
    let server = Server::start_with("[limits]\nenabled = true\nlogin = { per_second = 0.001, burst = 3 }").await;
    let (alice, anyone) = (server.register("alice").await, server.stranger());
    let guess = || json!({"new_password": "battery staple", "auth": password(&alice.id, "a guess")});
    for _ in 0..3 {
        anyone.post("account/password", guess()).await.expect_error(401, "M_FORBIDDEN");
    }
    // Alice's own device is counted by the account alone.
    alice.post("account/password", guess()).await.expect_error(429, "M_LIMIT_EXCEEDED");
}
