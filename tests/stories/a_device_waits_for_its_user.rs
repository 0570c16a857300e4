//! A person leaves a dehydrated device on the server, which receives keys while no other device is there (MSC3814).

use serde_json::{Value, json};

use crate::support::{Answer, CrossSigning, Key, Server, User};

const PATH: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
const ID: &str = "wTcaPvtExFEnH/9qeXkTJBTVlvsbFZUnPYqwFsZpdzU";

/// A device that waits, with a fallback key.
fn dehydrated(user: &User, key: &Key, id: &str) -> Value {
    let fallback = key.sign(json!({"key": "fallback", "fallback": true}), &user.id, id);
    let mut device_keys = key.device_keys(&user.id, id);
    device_keys["dehydrated"] = true.into();
    json!({
        "device_id": id,
        "initial_device_display_name": "Dehydrated",
        "device_data": {"algorithm": "org.matrix.msc3814.v2", "device_pickle": "cipher", "nonce": "once"},
        "device_keys": key.sign(device_keys, &user.id, id),
        "fallback_keys": {"signed_curve25519:F": fallback},
    })
}

async fn put(user: &User, body: Value) -> Answer {
    user.put(PATH, body).await
}

async fn events(user: &User, id: &str, from: Option<&str>) -> Answer {
    let id = crate::support::encode(id);
    user.post(&format!("{PATH}/{id}/events"), from.map_or(json!({}), |from| json!({"next_batch": from}))).await
}

#[tokio::test]
async fn a_device_waits_and_receives_until_it_is_fetched() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let versions = server.stranger().get("/_matrix/client/versions").await.expect_ok();
    assert_eq!(versions["unstable_features"]["org.matrix.msc3814"], true);
    alice.get(PATH).await.expect_error(404, "M_NOT_FOUND");
    alice.delete(PATH).await.expect_error(404, "M_NOT_FOUND");

    let (key, cross_signing) = (Key::new(1), CrossSigning::new(10));
    alice.post("keys/device_signing/upload", cross_signing.upload(&alice.id)).await.expect_ok();
    let mut body = dehydrated(&alice, &key, ID);
    let ssk = &cross_signing.self_signing;
    body["device_keys"] = ssk.sign(body["device_keys"].take(), &alice.id, &ssk.public());
    assert_eq!(put(&alice, body.clone()).await.expect_ok(), json!({"device_id": ID}));
    put(&alice, body.clone()).await.expect_ok();

    let mut expected = body["device_keys"].clone();
    expected["unsigned"] = json!({"device_display_name": "Dehydrated"});
    assert_eq!(bob.keys_of(&alice.id).await["device_keys"][&alice.id], json!({ ID: expected }));
    let claims = json!({"one_time_keys": {alice.id.as_str(): {ID: "signed_curve25519"}}});
    let claimed = bob.post("keys/claim", claims).await.expect_ok();
    assert!(claimed["one_time_keys"][&alice.id][ID]["signed_curve25519:F"].is_object(), "{claimed}");
    for number in 0..3 {
        let messages = json!({"messages": {alice.id.as_str(): {ID: {"number": number}}}});
        bob.put(&format!("sendToDevice/m.room.encrypted/{number}"), messages).await.expect_ok();
    }

    server.kill_and_restart().await;
    let found = alice.get(PATH).await.expect_ok();
    assert_eq!(found, json!({"device_id": ID, "device_data": body["device_data"]}));
    // Twice, since whoever fails half-way begins again.
    for _ in 0..2 {
        let page = events(&alice, ID, None).await.expect_ok();
        let numbers: Vec<_> = page["events"].as_array().unwrap().iter().map(|it| &it["content"]["number"]).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(page["events"][0]["sender"], *bob.id);
        let end = events(&alice, ID, page["next_batch"].as_str()).await.expect_ok();
        assert_eq!(end["events"], json!([]));
        assert!(end["next_batch"].is_null());
    }
    events(&alice, ID, Some("nonsense")).await.expect_error(400, "M_INVALID_PARAM");
    events(&alice, &alice.device_id, None).await.expect_error(403, "M_FORBIDDEN");
    events(&bob, ID, None).await.expect_error(403, "M_FORBIDDEN");

    assert_eq!(alice.delete(PATH).await.expect_ok(), json!({"device_id": ID}));
    alice.get(PATH).await.expect_error(404, "M_NOT_FOUND");
    events(&alice, ID, None).await.expect_error(403, "M_FORBIDDEN");
    assert_eq!(bob.keys_of(&alice.id).await["device_keys"][&alice.id], json!({}));
    assert_eq!(alice.get("devices").await.expect_ok()["devices"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn there_is_one_and_it_is_no_device_that_somebody_uses() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let (one, two) = (Key::new(1), Key::new(2));
    put(&alice, dehydrated(&alice, &one, "ONE")).await.expect_ok();
    let (a, b) = (put(&alice, dehydrated(&alice, &two, "TWO")), put(&alice, dehydrated(&alice, &two, "THREE")));
    let (a, b) = tokio::join!(a, b);
    a.expect_ok();
    b.expect_ok();
    let devices = alice.get("devices").await.expect_ok();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 2, "{devices}");
    let here = alice.get(PATH).await.expect_ok()["device_id"].as_str().unwrap().to_owned();

    // Neither does a session become one, nor does somebody log in as one.
    put(&alice, dehydrated(&alice, &one, &alice.device_id)).await.expect_error(403, "M_FORBIDDEN");
    let login = json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": alice.id},
        "password": alice.password, "device_id": here});
    server.stranger().post("login", login).await.expect_error(403, "M_FORBIDDEN");
    // One that is deleted like any other device is gone.
    let auth = json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": alice.id},
        "password": alice.password});
    alice.post("delete_devices", json!({"devices": [here], "auth": auth})).await.expect_ok();
    alice.get(PATH).await.expect_error(404, "M_NOT_FOUND");
    put(&alice, dehydrated(&alice, &one, &here)).await.expect_ok();
}

#[tokio::test]
async fn what_is_not_a_device_is_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let key = Key::new(1);
    let with = |field: &str, value: Value| {
        let mut body = dehydrated(&alice, &key, ID);
        body[field] = value;
        body
    };
    let forged = Key::new(2).device_keys(&alice.id, ID);
    let mut forged_name = forged.clone();
    forged_name["keys"] = key.device_keys(&alice.id, ID)["keys"].take();
    let large = json!({"algorithm": "m.dehydration.v2", "device_pickle": "x".repeat(70_000)});
    let cases = [
        (with("device_keys", forged_name), 400, "M_INVALID_SIGNATURE"),
        (with("device_keys", key.device_keys(&alice.id, "OTHER")), 400, "M_INVALID_PARAM"),
        (with("device_keys", Value::Null), 400, "M_BAD_JSON"),
        (with("device_data", json!({"device_pickle": "no algorithm"})), 400, "M_BAD_JSON"),
        (with("device_data", json!("a text")), 400, "M_BAD_JSON"),
        (with("device_data", large), 413, "M_TOO_LARGE"),
        (with("initial_device_display_name", "x".repeat(101).into()), 400, "M_INVALID_PARAM"),
        (json!({"device_id": ID}), 400, "M_BAD_JSON"),
    ];
    for (body, status, errcode) in cases {
        put(&alice, body).await.expect_error(status, errcode);
    }
    alice.get(PATH).await.expect_error(404, "M_NOT_FOUND");
    assert_eq!(alice.get("devices").await.expect_ok()["devices"].as_array().unwrap().len(), 1);
}
