//! People publish the keys of their devices, find each other's, and claim keys to start talking with.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Key, Server, User};

/// One-time keys with these names.
fn one_time_keys(key: &Key, user: &User, names: impl IntoIterator<Item = String>) -> Value {
    let keys = names.into_iter().map(|name| {
        let value = key.one_time_key(user, &name);
        (format!("signed_curve25519:{name}"), value)
    });
    json!({ "one_time_keys": keys.collect::<serde_json::Map<_, _>>() })
}

fn names(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

fn fallback_key(key: &Key, user: &User, name: &str) -> Value {
    let value = key.sign(json!({"key": name, "fallback": true}), &user.id, &user.device_id);
    json!({ "fallback_keys": { format!("signed_curve25519:{name}"): value } })
}

async fn count(answer: Value) -> u64 {
    answer["one_time_key_counts"]["signed_curve25519"].as_u64().unwrap()
}

#[tokio::test]
async fn keys_are_found_as_they_were_published() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let key = Key::new(1);
    let keys = key.device_keys(&alice.id, &alice.device_id);
    let with_unsigned = |mut keys: Value| {
        keys["unsigned"] = json!({"device_display_name": "story"});
        keys
    };
    assert_eq!(bob.keys_of(&alice.id).await["device_keys"], json!({ alice.id.as_str(): {} }));
    alice.publish(&key).await;
    server.kill_and_restart().await;
    let found = bob.keys_of(&alice.id).await;
    assert_eq!(found["device_keys"][&alice.id][&alice.device_id], with_unsigned(keys));
    for part in ["failures", "master_keys", "self_signing_keys", "user_signing_keys"] {
        assert_eq!(found[part], json!({}), "clients look there, whether or not there is anything");
    }

    let wish = |devices: Value| json!({"device_keys": {alice.id.as_str(): devices}});
    let one = bob.post("keys/query", wish(json!([alice.device_id]))).await.expect_ok();
    assert_eq!(one["device_keys"], found["device_keys"]);
    let none = bob.post("keys/query", wish(json!(["OTHER"]))).await.expect_ok();
    assert_eq!(none["device_keys"], json!({ alice.id.as_str(): {} }));
    let stranger = json!({"device_keys": {"@nobody:story.example": [], "@zoe:elsewhere.example": []}});
    let none = bob.post("keys/query", stranger).await.expect_ok();
    assert!(none["failures"]["elsewhere.example"].is_object(), "{none}");
    assert_eq!(none["device_keys"], json!({}));
}

#[tokio::test]
async fn forged_keys_and_wrong_shapes_are_refused() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let key = Key::new(1);
    let own = || key.device_keys(&alice.id, &alice.device_id);
    let mut forged = own();
    forged["signatures"] = Key::new(2).device_keys(&alice.id, &alice.device_id)["signatures"].take();
    let mut large = own();
    large["more"] = "x".repeat(20_000).into();
    let large = key.sign(large, &alice.id, &alice.device_id);
    let otk = || key.one_time_key(&alice, "a");
    let two = json!({"signed_curve25519:A": otk(), "signed_curve25519:B": otk()});
    let many: serde_json::Map<_, _> = (0..501).map(|n| (format!("signed_curve25519:{n}"), otk())).collect();
    let cases = [
        (json!({"device_keys": forged}), 400, "M_INVALID_SIGNATURE"),
        (json!({"device_keys": key.device_keys(&bob.id, &bob.device_id)}), 400, "M_INVALID_PARAM"),
        (json!({"device_keys": key.device_keys(&alice.id, "OTHER")}), 400, "M_INVALID_PARAM"),
        (json!({"device_keys": {"user_id": alice.id, "device_id": alice.device_id}}), 400, "M_BAD_JSON"),
        (json!({"device_keys": [1, 2]}), 400, "M_BAD_JSON"),
        (json!({"device_keys": large}), 413, "M_TOO_LARGE"),
        (json!({"one_time_keys": {"signed_curve25519:A": "a text"}}), 400, "M_BAD_JSON"),
        (json!({"one_time_keys": {"signed_curve25519:A": {"key": 1, "signatures": {}}}}), 400, "M_BAD_JSON"),
        (json!({"one_time_keys": {"no colon": otk()}}), 400, "M_BAD_JSON"),
        (json!({"one_time_keys": [otk()]}), 400, "M_BAD_JSON"),
        (json!({"one_time_keys": many}), 400, "M_INVALID_PARAM"),
        (json!({"fallback_keys": two}), 400, "M_INVALID_PARAM"),
        // Nothing of an upload is kept if a part of it is refused.
        (json!({"device_keys": own(), "one_time_keys": {"signed_curve25519:A": 7}}), 400, "M_BAD_JSON"),
    ];
    for (body, status, errcode) in cases {
        alice.post("keys/upload", body).await.expect_error(status, errcode);
    }
    assert_eq!(count(alice.post("keys/upload", json!({})).await.expect_ok()).await, 0);
    assert_eq!(bob.keys_of(&alice.id).await["device_keys"], json!({ alice.id.as_str(): {} }));

    for body in
        [json!({"device_keys": {bob.id.as_str(): {"DEVICE": true}}}), json!({"device_keys": {"bob": []}}), json!({})]
    {
        alice.post("keys/query", body).await.expect_error(400, "M_BAD_JSON");
    }
    for body in [json!({"one_time_keys": {bob.id.as_str(): ["DEVICE"]}}), json!({})] {
        alice.post("keys/claim", body).await.expect_error(400, "M_BAD_JSON");
    }
}

#[tokio::test]
async fn one_time_keys_are_given_out_in_order_and_each_once() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let key = Key::new(1);
    alice.publish(&key).await;
    let upload = async |range| {
        let body = one_time_keys(&key, &alice, names(range));
        count(alice.post("keys/upload", body).await.expect_ok()).await
    };
    assert_eq!(upload(5..6).await, 1);
    assert_eq!(upload(0..2).await, 3);
    // Again, and overlapping.
    assert_eq!(upload(0..2).await, 3);
    assert_eq!(upload(1..4).await, 5);
    let other = json!({"one_time_keys": {"signed_curve25519:1": key.one_time_key(&alice, "another")}});
    alice.post("keys/upload", other).await.expect_error(400, "M_INVALID_PARAM");

    assert_eq!(bob.claim(&alice).await.as_deref(), Some("signed_curve25519:5"));
    server.kill_and_restart().await;
    assert_eq!(bob.claim(&alice).await.as_deref(), Some("signed_curve25519:0"));
    // A client that never heard of the first upload repeats it; what was given out is not given out again.
    assert_eq!(upload(0..1).await, 3);
    for name in ["1", "2", "3"] {
        assert_eq!(bob.claim(&alice).await, Some(format!("signed_curve25519:{name}")));
    }
    assert_eq!(bob.claim(&alice).await, None);
    let nothing = bob.post("keys/claim", json!({"one_time_keys": {}})).await.expect_ok();
    assert_eq!(
        nothing,
        json!({"one_time_keys": {}, "failures": {}}),
        "clients look there, whether or not there is anything"
    );
    let strangers = json!({"one_time_keys": {
        "@zoe:elsewhere.example": {"Z": "signed_curve25519"}, "@nobody:story.example": {"N": "signed_curve25519"},
    }});
    let answer = bob.post("keys/claim", strangers).await.expect_ok();
    assert!(answer["failures"]["elsewhere.example"].is_object() && answer["one_time_keys"] == json!({}), "{answer}");
}

#[tokio::test]
async fn many_who_claim_at_once_get_different_keys() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let key = Key::new(1);
    alice.post("keys/upload", one_time_keys(&key, &alice, names(0..20))).await.expect_ok();
    let claims = (0..25).map(|_| bob.claim(&alice));
    let claimed = join_all(claims).await;
    let got: Vec<_> = claimed.into_iter().flatten().collect();
    assert_eq!(got.len(), 20);
    assert_eq!(got.iter().collect::<BTreeSet<_>>().len(), 20, "{got:?}");
}

#[tokio::test]
async fn a_fallback_key_helps_out_and_its_device_learns_of_it() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let key = Key::new(1);
    alice.publish(&key).await;
    let start = alice.sync().await;
    assert_eq!(start.0["device_one_time_keys_count"], json!({"signed_curve25519": 0}));
    assert_eq!(start.0["device_unused_fallback_key_types"], json!([]));
    alice.post("keys/upload", one_time_keys(&key, &alice, names(0..1))).await.expect_ok();
    alice.post("keys/upload", fallback_key(&key, &alice, "F1")).await.expect_ok();

    let stocked = alice.sync_since(start.next_batch()).await;
    assert_eq!(stocked.0["device_one_time_keys_count"], json!({"signed_curve25519": 1}));
    assert_eq!(stocked.0["device_unused_fallback_key_types"], json!(["signed_curve25519"]));

    // A device that waits learns that it has to upload more.
    let waiting = alice.sync_until(stocked.next_batch(), "a claim", |sync| {
        sync.0["device_one_time_keys_count"]["signed_curve25519"] == 0
    });
    let (after, claimed) = tokio::join!(waiting, bob.claim(&alice));
    assert_eq!(claimed.as_deref(), Some("signed_curve25519:0"));
    let waiting = alice.sync_until(after.next_batch(), "the use of the fallback key", |sync| {
        sync.0["device_unused_fallback_key_types"] == json!([])
    });
    let (after, claimed) = tokio::join!(waiting, bob.claim(&alice));
    assert_eq!(claimed.as_deref(), Some("signed_curve25519:F1"));
    assert_eq!(bob.claim(&alice).await.as_deref(), Some("signed_curve25519:F1"));
    // The same key again stays used, another one is not.
    alice.post("keys/upload", fallback_key(&key, &alice, "F1")).await.expect_ok();
    assert_eq!(alice.sync().await.0["device_unused_fallback_key_types"], json!([]));
    alice.post("keys/upload", fallback_key(&key, &alice, "F2")).await.expect_ok();
    let fresh = alice.sync_since(after.next_batch()).await;
    assert_eq!(fresh.0["device_unused_fallback_key_types"], json!(["signed_curve25519"]));
    assert_eq!(bob.claim(&alice).await.as_deref(), Some("signed_curve25519:F2"));
    // Nobody else's device hears of it.
    assert_eq!(bob.sync().await.0["device_one_time_keys_count"], json!({"signed_curve25519": 0}));
}

#[tokio::test]
async fn keys_go_with_their_device_and_a_new_identity_starts_anew() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let phone = alice.log_in_again().await;
    let (key, other) = (Key::new(1), Key::new(2));
    phone.publish(&key).await;
    phone.post("keys/upload", one_time_keys(&key, &phone, names(0..3))).await.expect_ok();
    phone.post("keys/upload", fallback_key(&key, &phone, "F")).await.expect_ok();

    // Another identity: what the former one signed is of no use.
    phone.publish(&other).await;
    let found = bob.keys_of(&alice.id).await;
    let keys = &found["device_keys"][&alice.id][&phone.device_id]["keys"];
    assert_eq!(keys[format!("ed25519:{}", phone.device_id)], other.public());
    assert_eq!(bob.claim(&phone).await, None);
    phone.post("keys/upload", one_time_keys(&other, &phone, names(0..3))).await.expect_ok();
    phone.publish(&other).await;
    assert_eq!(bob.claim(&phone).await.as_deref(), Some("signed_curve25519:0"));

    phone.post("logout", json!({})).await.expect_ok();
    assert_eq!(bob.keys_of(&alice.id).await["device_keys"], json!({ alice.id.as_str(): {} }));
    assert_eq!(bob.claim(&phone).await, None);
}

#[tokio::test]
async fn who_closed_the_account_is_absent() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    alice.publish(&Key::new(1)).await;
    let cross_signing = crate::support::CrossSigning::new(10);
    alice.post("keys/device_signing/upload", cross_signing.upload(&alice.id)).await.expect_ok();
    assert!(bob.keys_of(&alice.id).await["master_keys"].is_object());
    let auth = json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": alice.id},
        "password": alice.password});
    alice.post("account/deactivate", json!({"auth": auth})).await.expect_ok();
    let found = bob.keys_of(&alice.id).await;
    assert!(found.as_object().unwrap().values().all(|part| *part == json!({})), "{found}");
}

#[tokio::test]
async fn giant_bodies_are_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    // As large as a body may be; that nothing larger is read is tested beside `http::endpoint`.
    let large = format!("[\"{}\"]", "x".repeat(2_000_000));
    // Deep enough for a stack to overflow that followed it.
    let deep = "{\"device_keys\":".repeat(100_000);
    let places = [
        (Method::POST, "keys/upload"),
        (Method::POST, "keys/query"),
        (Method::POST, "keys/claim"),
        (Method::POST, "keys/device_signing/upload"),
        (Method::POST, "keys/signatures/upload"),
        (Method::PUT, "sendToDevice/m.room_key/1"),
        (Method::POST, "room_keys/version"),
        (Method::PUT, "room_keys/keys?version=1"),
        (Method::POST, "pushers/set"),
    ];
    for (method, path) in places {
        let send = |body: String| alice.send(method.clone(), path, move |request| request.body(body));
        send(large.clone()).await.expect_error(400, "M_BAD_JSON");
        send(deep.clone()).await.expect_error(400, "M_NOT_JSON");
    }
    alice.publish(&Key::new(1)).await;
}

#[tokio::test]
async fn keys_that_nobody_signed_are_passed_on_as_such() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mut keys = Key::new(1).device_keys(&alice.id, &alice.device_id);
    keys["signatures"] = json!({});
    alice.post("keys/upload", json!({"device_keys": keys})).await.expect_ok();
    let found = bob.post("keys/query", json!({"device_keys": {&alice.id: []}})).await.expect_ok();
    let found = &found["device_keys"][&alice.id][&alice.device_id];
    assert_eq!((&found["keys"], &found["signatures"]), (&keys["keys"], &json!({&alice.id: {}})));
}
