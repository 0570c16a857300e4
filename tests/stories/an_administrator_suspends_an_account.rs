//! An administrator suspends somebody, who goes on reading and leaving, and does little else; and looks up where people are.

use serde_json::json;

use crate::support::{Server, encode};

fn suspend(user: &str) -> String {
    format!("/_matrix/client/v1/admin/suspend/{user}")
}

#[tokio::test]
async fn who_is_suspended_reads_and_leaves_and_says_nothing() {
    let mut server = Server::start().await;
    let admin = server.administrator().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = bob.create_room().await;
    bob.invite(&room, &alice).await;
    alice.join(&room).await;
    let own = alice.send_text(&room, "Buy my pills!").await;
    let of_bob = bob.send_text(&room, "No.").await;
    let other = bob.create_room_with(json!({"preset": "public_chat"})).await;
    bob.set_state(&room, "m.room.power_levels", "", json!({"users": {alice.id.clone(): 50}})).await;

    assert_eq!(admin.get(&suspend(&alice.id)).await.expect_ok(), json!({"suspended": false}));
    let answer = admin.put(&suspend(&alice.id), json!({"suspended": true})).await.expect_ok();
    assert_eq!(answer, json!({"suspended": true}));
    server.kill_and_restart().await;
    assert_eq!(admin.get(&suspend(&alice.id)).await.expect_ok(), json!({"suspended": true}));

    let (path, user) = (format!("rooms/{}", encode(&room)), json!({"user_id": bob.id}));
    let text = json!({"msgtype": "m.text", "body": "More pills!"});
    let phone = alice.log_in_again().await;
    for device in [&alice, &phone] {
        device.put(&format!("{path}/send/m.room.message/1"), text.clone()).await.expect_error(403, "M_USER_SUSPENDED");
    }
    alice.put(&format!("{path}/state/m.room.topic"), json!({"topic": "x"})).await.expect_error(403, "M_USER_SUSPENDED");
    alice.post(&format!("{path}/invite"), user.clone()).await.expect_error(403, "M_USER_SUSPENDED");
    alice.post(&format!("{path}/kick"), user).await.expect_error(403, "M_USER_SUSPENDED");
    for start in ["join", "knock"] {
        alice.post(&format!("{start}/{}", encode(&other)), json!({})).await.expect_error(403, "M_USER_SUSPENDED");
    }
    alice.post("createRoom", json!({})).await.expect_error(403, "M_USER_SUSPENDED");
    let name = format!("profile/{}/displayname", alice.id);
    alice.put(&name, json!({"displayname": "x"})).await.expect_error(403, "M_USER_SUSPENDED");
    alice.delete(&name).await.expect_error(403, "M_USER_SUSPENDED");
    let redact = |event: &str| format!("{path}/redact/{}/2", encode(event));
    alice.put(&redact(&of_bob), json!({})).await.expect_error(403, "M_USER_SUSPENDED");

    alice.put(&redact(&own), json!({})).await.expect_ok();
    assert!(alice.sync().await.texts(&room).contains(&"No."));
    assert!(!alice.messages(&room, 5).await.is_empty());
    alice.put("sendToDevice/m.key.verification.start/1", json!({"messages": {}})).await.expect_ok();
    alice.leave(&room).await;
    phone.post("logout", json!({})).await.expect_ok();

    admin.put(&suspend(&alice.id), json!({"suspended": false})).await.expect_ok();
    alice.join(&other).await;
    alice.send_text(&other, "I am sorry.").await;
}

#[tokio::test]
async fn a_suspension_outlives_a_lock_and_stops_what_was_to_be_said_later() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    let path = format!("rooms/{}/send/m.room.message/1?org.matrix.msc4140.delay=3000000", encode(&room));
    let waiting = alice.put(&path, json!({"msgtype": "m.text", "body": "Later."})).await.expect_ok();
    admin.put(&suspend(&alice.id), json!({"suspended": true})).await.expect_ok();
    let id = waiting["delay_id"].as_str().unwrap();
    let send = format!("/_matrix/client/unstable/org.matrix.msc4140/delayed_events/{id}/send");
    server.stranger().post(&send, json!({})).await.expect_error(403, "M_FORBIDDEN");

    let lock = format!("/_matrix/client/v1/admin/lock/{}", alice.id);
    admin.put(&lock, json!({"locked": true})).await.expect_ok();
    alice.get("account/whoami").await.expect_error(401, "M_USER_LOCKED");
    admin.put(&lock, json!({"locked": false})).await.expect_ok();
    alice.post("createRoom", json!({})).await.expect_error(403, "M_USER_SUSPENDED");
    alice.get("account/whoami").await.expect_ok();
}

#[tokio::test]
async fn only_administrators_suspend_and_only_others() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let body = json!({"suspended": true});
    for user in [&*bob.id, "@nobody:story.example", "@alice:elsewhere.example"] {
        alice.get(&suspend(user)).await.expect_error(403, "M_FORBIDDEN");
        alice.put(&suspend(user), body.clone()).await.expect_error(403, "M_FORBIDDEN");
    }
    admin.put(&suspend("@admin:story.example"), body.clone()).await.expect_error(403, "M_FORBIDDEN");
    admin.put(&suspend("@nobody:story.example"), body.clone()).await.expect_error(404, "M_NOT_FOUND");
    admin.put(&suspend("@alice:elsewhere.example"), body).await.expect_error(400, "M_INVALID_PARAM");
    bob.create_room().await;
}

#[tokio::test]
async fn an_administrator_sees_what_programs_people_use() {
    let mut server = Server::start().await;
    let (admin, alice) = (server.administrator().await, server.register("alice").await);
    let phone = alice.log_in_again().await;
    let named =
        |request: reqwest::RequestBuilder| request.header("User-Agent", format!("Story/1.0 {}", "x".repeat(999)));
    phone.send(reqwest::Method::GET, "account/whoami", named).await.expect_ok();
    for _ in 0..2 {
        let answer = admin.get(&format!("admin/whois/{}", alice.id)).await.expect_ok();
        let connection = &answer["devices"][&phone.device_id]["sessions"][0]["connections"][0];
        let agent = connection["user_agent"].as_str().expect("it is kept");
        assert!(agent.starts_with("Story/1.0 x") && agent.len() == 255, "{agent}");
        server.restart().await;
    }
    phone.post("logout", json!({})).await.expect_ok();
    let answer = admin.get(&format!("admin/whois/{}", alice.id)).await.expect_ok();
    assert!(!answer.to_string().contains("Story/1.0"), "{answer}");
}

#[tokio::test]
async fn people_see_where_they_are_logged_in_and_administrators_see_it_of_all() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let whois = format!("admin/whois/{}", alice.id);
    alice.sync().await;
    for user in [&*alice, &admin] {
        let answer = user.get(&whois).await.expect_ok();
        assert_eq!(answer["user_id"], json!(alice.id));
        let connection = &answer["devices"][&alice.device_id]["sessions"][0]["connections"][0];
        assert_eq!(connection["ip"], "127.0.0.1", "{answer}");
        assert!(connection["last_seen"].as_u64().unwrap() > 0, "{answer}");
        assert!(!answer.to_string().contains("null"), "what is not known is left out: {answer}");
    }
    bob.get(&whois).await.expect_error(403, "M_FORBIDDEN");
    bob.get("admin/whois/@nobody:story.example").await.expect_error(403, "M_FORBIDDEN");
    admin.get("admin/whois/@nobody:story.example").await.expect_error(404, "M_NOT_FOUND");
}
