//! A person's devices keep the keys of encrypted rooms on the server, locked up, and a new device gets them from there.

use serde_json::{Value, json};

use crate::support::{Answer, Server, User, encode};

const TEA: &str = "!tea:story.example";
const CAKE: &str = "!cake:story.example";

fn description(public_key: &str) -> Value {
    let auth_data = json!({"public_key": public_key, "signatures": {}});
    json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": auth_data})
}

/// A key that decrypts from the message `index` on.
fn key(index: u64) -> Value {
    let session_data = json!({"ephemeral": "abcd", "ciphertext": "efgh", "mac": "ijkl"});
    json!({"first_message_index": index, "forwarded_count": 0, "is_verified": false, "session_data": session_data})
}

/// Begins a backup and gives its version.
async fn begin(user: &User) -> String {
    let made = user.post("room_keys/version", description("abc")).await.expect_ok();
    made["version"].as_str().unwrap().to_owned()
}

/// The path of keys in a backup: of all, of a room, or of a session.
fn path(version: &str, places: &[&str]) -> String {
    let places: String = places.iter().map(|place| format!("/{}", encode(place))).collect();
    format!("room_keys/keys{places}?version={version}")
}

async fn add(user: &User, version: &str, places: &[&str], body: Value) -> Answer {
    user.put(&path(version, places), body).await
}

async fn get(user: &User, version: &str, places: &[&str]) -> Answer {
    user.get(&path(version, places)).await
}

#[tokio::test]
async fn a_backup_of_any_size_is_told_whole() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let version = begin(&alice).await;
    assert_eq!(get(&alice, &version, &[]).await.expect_ok(), json!({"rooms": {}}));
    assert_eq!(get(&alice, &version, &[TEA]).await.expect_ok(), json!({"sessions": {}}));
    let sessions = |count: u64| {
        (0..count).map(|number| (format!("session \"{number}\""), key(number))).collect::<serde_json::Map<_, _>>()
    };
    // As many as are read together, one more, and few of the next rooms.
    let (tea, cake) = (json!({"sessions": sessions(501)}), json!({"sessions": sessions(500)}));
    let rooms = json!({"rooms": {TEA: tea, CAKE: cake, "!a:b.c": {"sessions": sessions(1)}}});
    assert_eq!(add(&alice, &version, &[], rooms.clone()).await.expect_ok()["count"], 1_002);
    assert_eq!(get(&alice, &version, &[]).await.expect_ok(), rooms);
    assert_eq!(get(&alice, &version, &[TEA]).await.expect_ok(), tea);
    assert_eq!(get(&alice, &version, &[CAKE]).await.expect_ok(), cake);
    let removed = alice.delete(&path(&version, &[TEA])).await.expect_ok();
    assert_eq!(removed["count"], 501);
    assert_eq!(get(&alice, &version, &[TEA]).await.expect_ok(), json!({"sessions": {}}));
    assert_eq!(get(&alice, &version, &[CAKE]).await.expect_ok(), cake);
}

#[tokio::test]
async fn a_new_device_finds_the_keys_that_another_left() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    alice.get("room_keys/version").await.expect_error(404, "M_NOT_FOUND");
    let version = begin(&alice).await;
    let rooms = json!({"rooms": {TEA: {"sessions": {"s1": key(1), "s2": key(2)}}, CAKE: {"sessions": {"s1": key(3)}}}});
    let stored = add(&alice, &version, &[], rooms.clone()).await.expect_ok();
    assert_eq!(stored["count"], 3);

    server.kill_and_restart().await;
    let phone = alice.log_in_again().await;
    let found = phone.get("room_keys/version").await.expect_ok();
    assert_eq!((&found["version"], &found["count"], &found["etag"]), (&json!(version), &json!(3), &stored["etag"]));
    assert_eq!(
        (&found["algorithm"], &found["auth_data"]),
        (&description("abc")["algorithm"], &description("abc")["auth_data"])
    );
    assert_eq!(phone.get(&format!("room_keys/version/{version}")).await.expect_ok(), found);
    assert_eq!(get(&phone, &version, &[]).await.expect_ok(), rooms);
    assert_eq!(get(&phone, &version, &[TEA]).await.expect_ok(), rooms["rooms"][TEA]);
    assert_eq!(get(&phone, &version, &[CAKE, "s1"]).await.expect_ok(), key(3));

    get(&phone, &version, &[CAKE, "s2"]).await.expect_error(404, "M_NOT_FOUND");
    let nothing = get(&phone, &version, &["!other:story.example"]).await.expect_ok();
    assert_eq!(nothing, json!({"sessions": {}}));
    let bob = server.register("bob").await;
    get(&bob, &version, &[]).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn the_better_key_of_a_session_stays() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let version = begin(&alice).await;
    let mut etag = Value::Null;
    let ranked = |verified: bool, index: u64, forwarded: u64| {
        let mut key = key(index);
        key["is_verified"] = verified.into();
        key["forwarded_count"] = forwarded.into();
        key
    };
    let mut kept = Value::Null;
    for (key, replaces) in [
        (ranked(false, 5, 5), true),
        (ranked(false, 5, 5), false),
        (ranked(false, 6, 0), false),
        (ranked(false, 5, 6), false),
        (ranked(false, 5, 4), true),
        (ranked(false, 4, 9), true),
        (ranked(true, 9, 9), true),
        (ranked(false, 0, 0), false),
        (ranked(true, 8, 9), true),
    ] {
        let stored = add(&alice, &version, &[TEA, "s"], key.clone()).await.expect_ok();
        assert_eq!(stored["count"], 1);
        assert_eq!(stored["etag"] != etag, replaces, "{key}");
        etag = stored["etag"].clone();
        kept = if replaces { key } else { kept };
        assert_eq!(get(&alice, &version, &[TEA, "s"]).await.expect_ok(), kept);
    }
}

#[tokio::test]
async fn keys_go_into_the_newest_backup_only() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    add(&alice, "1", &[TEA, "s"], key(1)).await.expect_error(404, "M_NOT_FOUND");
    let old = begin(&alice).await;
    add(&alice, &old, &[TEA, "s"], key(1)).await.expect_ok();
    let new = begin(&alice).await;
    assert_ne!(old, new);
    for (places, body) in
        [(vec![], json!({"rooms": {}})), (vec![TEA], json!({"sessions": {"s": key(0)}})), (vec![TEA, "s"], key(0))]
    {
        let refused = add(&alice, &old, &places, body).await.expect_error(403, "M_WRONG_ROOM_KEYS_VERSION");
        assert_eq!(refused["current_version"], new.as_str());
    }
    assert_eq!(get(&alice, &old, &[TEA, "s"]).await.expect_ok(), key(1));
    assert_eq!(get(&alice, &new, &[]).await.expect_ok(), json!({"rooms": {}}));

    let gone = format!("room_keys/version/{new}");
    alice.delete(&gone).await.expect_ok();
    alice.delete(&gone).await.expect_ok();
    alice.get(&gone).await.expect_error(404, "M_NOT_FOUND");
    get(&alice, &new, &[]).await.expect_error(404, "M_NOT_FOUND");
    alice.put(&gone, description("abc")).await.expect_error(404, "M_NOT_FOUND");
    alice.delete("room_keys/version/77").await.expect_error(404, "M_NOT_FOUND");
    assert_eq!(alice.get("room_keys/version").await.expect_ok()["version"], old.as_str());
    add(&alice, &old, &[TEA, "t"], key(1)).await.expect_ok();
    assert!(![old, new].contains(&begin(&alice).await), "a version never comes back");
}

#[tokio::test]
async fn keys_are_removed_one_by_one_by_room_or_all_at_once() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let version = begin(&alice).await;
    let sessions = || json!({"sessions": {"s1": key(1), "s2": key(2)}});
    add(&alice, &version, &[TEA], sessions()).await.expect_ok();
    let mut etag = add(&alice, &version, &[CAKE], sessions()).await.expect_ok()["etag"].clone();
    for (places, count) in
        [(vec![TEA, "s1"], 3), (vec![TEA, "s1"], 3), (vec![CAKE], 1), (vec![CAKE], 1), (vec![], 0), (vec![], 0)]
    {
        let before = alice.get("room_keys/version").await.expect_ok()["count"].clone();
        let left = alice.delete(&path(&version, &places)).await.expect_ok();
        assert_eq!(left["count"], count, "after {places:?}");
        assert_eq!(left["etag"] == etag, before == count, "the etag changes if something goes");
        etag = left["etag"].clone();
    }
    alice.delete(&path("9", &[])).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_backup_is_described_anew_with_the_same_algorithm_only() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let version = begin(&alice).await;
    let path = format!("room_keys/version/{version}");
    alice.put(&path, description("xyz")).await.expect_ok();
    let mut body = description("xyz");
    body["version"] = version.as_str().into();
    alice.put(&path, body.clone()).await.expect_ok();
    assert_eq!(alice.get(&path).await.expect_ok()["auth_data"], body["auth_data"]);
    body["version"] = "8".into();
    alice.put(&path, body.clone()).await.expect_error(400, "M_INVALID_PARAM");
    body["version"] = version.as_str().into();
    body["algorithm"] = "org.example.other".into();
    alice.put(&path, body).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_is_no_backup_and_no_key_is_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    for body in [json!({}), json!({"algorithm": "a"}), json!({"algorithm": "a", "auth_data": 1})] {
        alice.post("room_keys/version", body).await.expect_error(400, "M_BAD_JSON");
    }
    let huge = json!({"algorithm": "a", "auth_data": {"x": "x".repeat(70_000)}});
    alice.post("room_keys/version", huge).await.expect_error(413, "M_TOO_LARGE");
    let version = begin(&alice).await;
    alice.get("room_keys/keys").await.expect_error(400, "M_MISSING_PARAM");
    alice
        .put(&format!("room_keys/keys/nonsense/s?version={version}"), key(1))
        .await
        .expect_error(400, "M_INVALID_PARAM");
    for body in
        [json!({}), json!({"rooms": []}), json!({"rooms": {TEA: {}}}), json!({"rooms": {"tea": {"sessions": {}}}})]
    {
        add(&alice, &version, &[], body).await.expect_error(400, "M_BAD_JSON");
    }
    let mut endless = key(1);
    endless["session_data"]["ciphertext"] = "x".repeat(70_000).into();
    let spoiled = json!({"sessions": {"good": key(1), "spoiled": {"is_verified": true}}});
    add(&alice, &version, &[TEA], spoiled).await.expect_error(400, "M_BAD_JSON");
    add(&alice, &version, &[TEA, "s"], endless).await.expect_error(413, "M_TOO_LARGE");
    add(&alice, &version, &[TEA, &"s".repeat(256)], key(1)).await.expect_error(400, "M_INVALID_PARAM");
    assert_eq!(alice.get("room_keys/version").await.expect_ok()["count"], 0);
    server.stranger().get("room_keys/version").await.expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn secrets_that_open_a_backup_are_kept_as_account_data() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let data = |kind: &str| format!("user/{}/account_data/{kind}", encode(&alice.id));
    let key = json!({"algorithm": "m.secret_storage.v1.aes-hmac-sha2", "iv": "aXY", "mac": "bWFj", "name": "main"});
    let secret = json!({"encrypted": {"k": {"iv": "aXY", "ciphertext": "Y2lw", "mac": "bWFj"}}});
    for (kind, content) in [
        ("m.secret_storage.key.k", &key),
        ("m.secret_storage.default_key", &json!({"key": "k"})),
        ("m.megolm_backup.v1", &secret),
        ("m.key_backup", &json!({"enabled": true})),
    ] {
        alice.put(&data(kind), content.clone()).await.expect_ok();
        let phone = alice.log_in_again().await;
        assert_eq!(phone.get(&data(kind)).await.expect_ok(), *content);
        let events = phone.sync().await.0["account_data"]["events"].clone();
        let there =
            events.as_array().unwrap().iter().any(|event| event["type"] == kind && event["content"] == *content);
        assert!(there, "{kind} in {events}");
    }
}
