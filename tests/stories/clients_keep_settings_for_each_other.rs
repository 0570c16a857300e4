//! The clients of one person keep settings, tags and filters on the server, which other people can neither read nor write.

use serde_json::json;

use crate::support::{Server, Sync, encode};

#[tokio::test]
async fn account_data_is_the_same_on_every_device() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let room = encode("!room:story.example");
    let paths =
        ["account_data/org.example.settings".to_owned(), format!("rooms/{room}/account_data/org.example.settings")]
            .map(|path| format!("user/{}/{path}", alice.id));
    for (number, path) in paths.iter().enumerate() {
        alice.get(path).await.expect_error(404, "M_NOT_FOUND");
        assert_eq!(alice.put(path, json!({"number": number})).await.expect_ok(), json!({}));
    }
    server.kill_and_restart().await;
    for (number, path) in paths.iter().enumerate() {
        assert_eq!(phone.get(path).await.expect_ok(), json!({"number": number}));
        phone.put(path, json!({"number": -1})).await.expect_ok();
        assert_eq!(alice.get(path).await.expect_ok(), json!({"number": -1}));
    }
}

#[tokio::test]
async fn what_is_deleted_is_gone_for_every_device() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room().await;
    let features = alice.get("/_matrix/client/versions").await.expect_ok();
    assert_eq!(features["unstable_features"]["org.matrix.msc3391"], true);
    let paths = ["account_data/a.b".to_owned(), format!("rooms/{}/account_data/a.b", encode(&room))];
    let stable = |path: &str| format!("user/{}/{path}", encode(&alice.id));
    let deletion = |path: &str| format!("/_matrix/client/unstable/org.matrix.msc3391/{}", stable(path));
    let told = |sync: &Sync| {
        [&sync.0["account_data"], &sync.joined(&room)["account_data"]]
            .map(|section| Sync::newest(section, "a.b").map(|event| event["content"].clone()))
    };
    for by_an_empty_object in [false, true] {
        for path in &paths {
            alice.put(&stable(path), json!({"n": 1})).await.expect_ok();
        }
        let before = alice.sync().await;
        assert_eq!(told(&before), [Some(json!({"n": 1})), Some(json!({"n": 1}))]);
        for path in &paths {
            bob.delete(&deletion(path)).await.expect_error(403, "M_FORBIDDEN");
            match by_an_empty_object {
                true => alice.put(&stable(path), json!({})).await.expect_ok(),
                false => alice.delete(&deletion(path)).await.expect_ok(),
            };
        }
        server.kill_and_restart().await;
        let after = alice.sync_since(before.next_batch()).await;
        assert_eq!(told(&after), [Some(json!({})), Some(json!({}))]);
        assert_eq!(told(&alice.sync_since(after.next_batch()).await), [None, None]);
        assert_eq!(told(&alice.sync().await), [None, None]);
        for path in &paths {
            alice.get(&stable(path)).await.expect_error(404, "M_NOT_FOUND");
            assert_eq!(alice.delete(&deletion(path)).await.expect_ok(), json!({}), "it is not there, as was asked for");
        }
    }
    for kind in ["m.push_rules", "m.fully_read"] {
        alice.delete(&deletion(&format!("account_data/{kind}"))).await.expect_error(405, "M_BAD_JSON");
    }
    alice.delete(&deletion("rooms/nonsense/account_data/a.b")).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_the_server_keeps_itself_is_read_and_not_written() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let path = |kind: &str| format!("user/{}/account_data/{kind}", alice.id);
    for kind in ["m.push_rules", "m.fully_read"] {
        alice.put(&path(kind), json!({})).await.expect_error(405, "M_BAD_JSON");
        let of_room = format!("user/{}/rooms/{}/account_data/{kind}", alice.id, encode("!room:story.example"));
        alice.put(&of_room, json!({})).await.expect_error(405, "M_BAD_JSON");
    }
    let rules = alice.get(&path("m.push_rules")).await.expect_ok();
    assert_eq!(rules, alice.get("pushrules/").await.expect_ok());
    alice.put(&path("org.example.list"), json!([])).await.expect_error(400, "M_BAD_JSON");
}

#[tokio::test]
async fn rooms_are_sorted_with_tags() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = format!("user/{}/rooms/{}", alice.id, encode("!room:story.example"));
    assert_eq!(alice.get(&format!("{room}/tags")).await.expect_ok(), json!({"tags": {}}));
    alice.put(&format!("{room}/tags/m.favourite"), json!({"order": 0.25})).await.expect_ok();
    alice.put(&format!("{room}/tags/{}", encode("u.At work")), json!({})).await.expect_ok();
    let tags = json!({"tags": {"m.favourite": {"order": 0.25}, "u.At work": {}}});
    assert_eq!(alice.get(&format!("{room}/tags")).await.expect_ok(), tags);
    assert_eq!(alice.get(&format!("{room}/account_data/m.tag")).await.expect_ok(), tags);
    alice.delete(&format!("{room}/tags/m.favourite")).await.expect_ok();
    assert_eq!(alice.get(&format!("{room}/tags")).await.expect_ok(), json!({"tags": {"u.At work": {}}}));
    alice.put(&format!("{room}/tags/u.a"), json!({"order": 2})).await.expect_error(400, "M_INVALID_PARAM");
    alice.put(&format!("{room}/tags/{}", "u".repeat(256)), json!({})).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_filter_is_kept_under_an_id() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let path = format!("user/{}/filter", alice.id);
    let filter =
        json!({"room": {"timeline": {"limit": 5}, "rooms": ["!room:story.example"]}, "event_fields": ["type"]});
    let id = alice.post(&path, filter.clone()).await.expect_ok()["filter_id"].as_str().unwrap().to_owned();
    server.kill_and_restart().await;
    assert_eq!(alice.get(&format!("{path}/{id}")).await.expect_ok(), filter);
    alice.get(&format!("{path}/nonsense")).await.expect_error(404, "M_NOT_FOUND");
    alice.post(&path, json!({"room": 1})).await.expect_error(400, "M_BAD_JSON");
}

#[tokio::test]
async fn other_people_can_neither_read_nor_write_any_of_it() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = encode("!room:story.example");
    for path in [
        "account_data/org.example.settings".to_owned(),
        format!("rooms/{room}/account_data/org.example.settings"),
        format!("rooms/{room}/tags/m.favourite"),
    ] {
        let path = format!("user/{}/{path}", alice.id);
        alice.put(&path, json!({})).await.expect_ok();
        bob.put(&path, json!({})).await.expect_error(403, "M_FORBIDDEN");
        server.stranger().put(&path, json!({})).await.expect_error(401, "M_MISSING_TOKEN");
    }
    let filter = alice.post(&format!("user/{}/filter", alice.id), json!({})).await.expect_ok();
    for path in [
        "account_data/org.example.settings".to_owned(),
        format!("rooms/{room}/account_data/org.example.settings"),
        format!("rooms/{room}/tags"),
        format!("filter/{}", filter["filter_id"].as_str().unwrap()),
    ] {
        bob.get(&format!("user/{}/{path}", alice.id)).await.expect_error(403, "M_FORBIDDEN");
    }
    bob.post(&format!("user/{}/filter", alice.id), json!({})).await.expect_error(403, "M_FORBIDDEN");
    let tag = format!("user/{}/rooms/{room}/tags/m.favourite", alice.id);
    bob.delete(&tag).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn another_service_learns_who_a_person_is_and_no_more() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let path = format!("user/{}/openid/request_token", alice.id);
    let token = alice.post(&path, json!({})).await.expect_ok();
    assert_eq!((&token["token_type"], &token["matrix_server_name"]), (&json!("Bearer"), &json!("story.example")));
    assert_eq!(token["expires_in"], 3600);
    bob.post(&path, json!({})).await.expect_error(403, "M_FORBIDDEN");

    let secret = token["access_token"].as_str().unwrap();
    let user_info = |token: &str| format!("/_matrix/federation/v1/openid/userinfo?access_token={token}");
    let known = server.stranger().get(&user_info(secret)).await.expect_ok();
    assert_eq!(known, json!({"sub": alice.id}));
    for wrong in ["nonsense", alice.token().unwrap()] {
        server.stranger().get(&user_info(wrong)).await.expect_error(401, "M_UNKNOWN_TOKEN");
    }
    server.stranger().with_token(secret).get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");

    // Who has no account any more is nobody to others either.
    let identifier = json!({"type": "m.id.user", "user": alice.id});
    let auth = json!({"type": "m.login.password", "identifier": identifier, "password": alice.password});
    alice.post("account/deactivate", json!({"auth": auth})).await.expect_ok();
    server.stranger().get(&user_info(secret)).await.expect_error(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn what_a_device_does_with_its_own_notifications_is_forgotten_with_the_device() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let kind = format!("org.matrix.msc3890.local_notification_settings.{}", phone.device_id);
    let path = format!("user/{}/account_data/{kind}", alice.id);
    alice.put(&path, json!({"is_silenced": true})).await.expect_ok();
    let own =
        format!("user/{}/account_data/org.matrix.msc3890.local_notification_settings.{}", alice.id, alice.device_id);
    alice.put(&own, json!({"is_silenced": false})).await.expect_ok();
    let first = alice.sync().await;

    phone.post("logout", json!({})).await.expect_ok();
    alice.get(&path).await.expect_error(404, "M_NOT_FOUND");
    assert_eq!(alice.get(&own).await.expect_ok(), json!({"is_silenced": false}));
    let news = alice.sync_since(first.next_batch()).await;
    assert_eq!(Sync::newest(&news.0["account_data"], &kind).unwrap()["content"], json!({}), "other devices hear of it");
    assert!(Sync::newest(&alice.sync().await.0["account_data"], &kind).is_none());
}
