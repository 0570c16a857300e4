//! People report what was said, rooms and each other; an administrator reads the reports and resolves them.

use serde_json::{Value, json};

use crate::support::{Server, encode};

fn report(room: &str, event: &str) -> String {
    format!("rooms/{}/report/{}", encode(room), encode(event))
}

#[tokio::test]
async fn an_administrator_reads_what_was_reported_even_after_it_was_taken_back() {
    let mut server = Server::start().await;
    let admin = server.administrator().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room_with(json!({"preset": "private_chat", "name": "The kitchen"})).await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let insult = bob.send_text(&room, "You are a fool.").await;
    alice.post(&report(&room, &insult), json!({"reason": "he insults me"})).await.expect_ok();
    bob.redact(&room, &insult).await;
    alice.post(&report(&room, &insult), json!({"reason": "once more"})).await.expect_ok();

    server.kill_and_restart().await;
    let list = admin.get("/_synapse/admin/v1/event_reports").await.expect_ok();
    assert_eq!((&list["total"], &list["next_token"]), (&json!(2), &Value::Null));
    let [newer, older] = &list["event_reports"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!((&newer["reason"], &older["reason"]), (&json!("once more"), &json!("he insults me")));
    assert_eq!((&older["user_id"], &older["sender"]), (&json!(alice.id), &json!(bob.id)));
    assert_eq!((&older["room_id"], &older["name"]), (&json!(room), &json!("The kitchen")));
    let path = format!("/_synapse/admin/v1/event_reports/{}", older["id"]);
    let whole = admin.get(&path).await.expect_ok();
    assert_eq!(whole["event_json"]["content"]["body"], "You are a fool.");

    let page = admin.get("/_synapse/admin/v1/event_reports?limit=1&dir=f").await.expect_ok();
    assert_eq!((&page["event_reports"][0], &page["next_token"]), (older, &json!(1)));
    let filtered = format!("/_synapse/admin/v1/event_reports?user_id={}", encode(&bob.id));
    assert_eq!(admin.get(&filtered).await.expect_ok()["total"], 0);

    admin.delete(&path).await.expect_ok();
    admin.get(&path).await.expect_error(404, "M_NOT_FOUND");
    admin.delete(&path).await.expect_error(404, "M_NOT_FOUND");
    for path in ["/_synapse/admin/v1/event_reports?dir=up", "/_synapse/admin/v1/event_reports?limit=-1"] {
        admin.get(path).await.expect_error(400, "M_INVALID_PARAM");
    }
    admin.get("/_synapse/admin/v1/event_reports/one").await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn only_who_is_in_the_room_and_sees_an_event_reports_it() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    let before = alice.send_text(&room, "Before Bob came.").await;
    let reason = json!({"reason": "spam"});
    bob.post(&report(&room, &before), reason.clone()).await.expect_error(404, "M_NOT_FOUND");
    bob.post(&report("!nowhere:story.example", &before), reason.clone()).await.expect_error(404, "M_NOT_FOUND");
    alice.invite(&room, &bob).await;
    bob.post(&report(&room, &before), reason.clone()).await.expect_error(404, "M_NOT_FOUND");
    bob.join(&room).await;
    // What was said before he came stays closed to him in every way.
    bob.post(&report(&room, &before), reason.clone()).await.expect_error(404, "M_NOT_FOUND");
    bob.post(&report(&room, "$nothing"), reason.clone()).await.expect_error(404, "M_NOT_FOUND");
    let after = alice.send_text(&room, "Hello Bob.").await;
    bob.leave(&room).await;
    bob.post(&report(&room, &after), reason).await.expect_error(404, "M_NOT_FOUND");
    let reason = json!({"reason": "x".repeat(5_000)});
    alice.post(&report(&room, &after), reason).await.expect_error(400, "M_INVALID_PARAM");
    assert_eq!(admin.get("/_synapse/admin/v1/event_reports").await.expect_ok()["total"], 0);
}

#[tokio::test]
async fn rooms_and_people_are_reported_from_anywhere_and_nobody_learns_whether_they_exist() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = bob.create_room().await;
    let reason = || json!({"reason": "a trap"});
    for room in [&room, "!nowhere:story.example", "!nowhere:elsewhere.example"] {
        let answer = alice.post(&format!("rooms/{}/report", encode(room)), reason()).await.expect_ok();
        assert_eq!(answer, json!({}));
    }
    for user in [&*bob.id, "@nobody:story.example", "@bob:elsewhere.example"] {
        assert_eq!(alice.post(&format!("users/{user}/report"), reason()).await.expect_ok(), json!({}));
    }
    let rooms = admin.get("/_synapse/admin/v1/room_reports").await.expect_ok();
    assert_eq!((&rooms["total"], &rooms["room_reports"][0]["room_id"]), (&json!(1), &json!(room)));
    let users = admin.get("/_synapse/admin/v1/user_reports").await.expect_ok();
    assert_eq!((&users["total"], &users["user_reports"][0]["target_user_id"]), (&json!(1), &json!(bob.id)));

    let run = |arguments: &[&str]| {
        let output = server.command(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let list = run(&["report", "list"]);
    assert!(list.contains("user 1") && list.contains(&bob.id) && list.contains("a trap"), "{list}");
    assert!(run(&["report", "show", "room", "1"]).contains(&room));
    run(&["report", "resolve", "user", "1"]);
    assert!(!run(&["report", "list"]).contains("user 1"));
    assert!(!server.command(&["report", "resolve", "user", "1"]).output().unwrap().status.success());

    for path in ["event_reports", "room_reports", "user_reports", "event_reports/1"] {
        let path = format!("/_synapse/admin/v1/{path}");
        alice.get(&path).await.expect_error(403, "M_FORBIDDEN");
        server.stranger().get(&path).await.expect_error(401, "M_MISSING_TOKEN");
    }
}
