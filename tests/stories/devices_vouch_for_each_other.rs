//! People vouch for their own devices and for each other, and nobody learns more of that than they should.

use serde_json::{Value, json};

use crate::support::{CrossSigning, Key, Server, User};

fn id_of(key: &Key) -> String {
    format!("ed25519:{}", key.public())
}

/// The answer to `steps` in which `user` gives their password, added to `body`.
fn with_password(user: &User, mut body: Value, steps: &Value) -> Value {
    body["auth"] = json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user.id},
        "password": user.password,
        "session": steps["session"],
    });
    body
}

async fn publish(user: &User, keys: &CrossSigning) {
    user.post("keys/device_signing/upload", keys.upload(&user.id)).await.expect_ok();
}

/// The failures of an upload of signatures.
async fn sign(user: &User, signed: Value) -> Value {
    user.post("keys/signatures/upload", signed).await.expect_ok()["failures"].take()
}

#[tokio::test]
async fn the_first_keys_need_no_password_and_others_do() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let (keys, others) = (CrossSigning::new(10), CrossSigning::new(20));
    publish(&alice, &keys).await;
    publish(&alice, &keys).await;
    server.kill_and_restart().await;
    publish(&alice, &keys).await;

    let steps = alice.post("keys/device_signing/upload", others.upload(&alice.id)).await.expect_status(401);
    assert_eq!(steps["flows"], json!([{"stages": ["m.login.password"]}]));
    // The password that was asked for these keys opens the way for no others.
    let third = with_password(&alice, CrossSigning::new(30).upload(&alice.id), &steps);
    alice.post("keys/device_signing/upload", third).await.expect_error(403, "M_FORBIDDEN");
    let found = alice.keys_of(&alice.id).await;
    assert_eq!(found["master_keys"][&alice.id]["keys"], json!({ id_of(&keys.master): keys.master.public() }));

    let body = with_password(&alice, others.upload(&alice.id), &steps);
    alice.post("keys/device_signing/upload", body.clone()).await.expect_ok();
    alice.post("keys/device_signing/upload", body).await.expect_ok();
    let found = alice.keys_of(&alice.id).await;
    for (kind, key) in [
        ("master_keys", &others.master),
        ("self_signing_keys", &others.self_signing),
        ("user_signing_keys", &others.user_signing),
    ] {
        assert_eq!(found[kind][&alice.id]["keys"], json!({ id_of(key): key.public() }), "{kind}");
    }
}

#[tokio::test]
async fn a_master_key_alone_comes_first_and_takes_the_others_along() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let (keys, others) = (CrossSigning::new(10), CrossSigning::new(20));
    let mut without_master = keys.upload(&alice.id);
    without_master.as_object_mut().unwrap().remove("master_key");
    let refused = alice.post("keys/device_signing/upload", without_master.clone()).await;
    refused.expect_error(400, "M_MISSING_PARAM");
    let master = json!({"master_key": keys.master.cross_signing(&alice.id, "master")});
    alice.post("keys/device_signing/upload", master).await.expect_ok();
    // Joining a master key that is there takes the password.
    let steps = alice.post("keys/device_signing/upload", without_master.clone()).await.expect_status(401);
    let body = with_password(&alice, without_master, &steps);
    alice.post("keys/device_signing/upload", body).await.expect_ok();
    assert!(alice.keys_of(&alice.id).await["user_signing_keys"][&alice.id].is_object());

    let master = json!({"master_key": others.master.cross_signing(&alice.id, "master")});
    let steps = alice.post("keys/device_signing/upload", master.clone()).await.expect_status(401);
    alice.post("keys/device_signing/upload", with_password(&alice, master, &steps)).await.expect_ok();
    let found = alice.keys_of(&alice.id).await;
    assert_eq!((&found["self_signing_keys"], &found["user_signing_keys"]), (&json!({}), &json!({})));
}

#[tokio::test]
async fn forged_and_misshapen_keys_are_refused() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let device = Key::new(1);
    alice.publish(&device).await;
    let (keys, others) = (CrossSigning::new(10), CrossSigning::new(20));
    let valid = || keys.upload(&alice.id);
    let with = |field: &str, value: Value| {
        let mut body = valid();
        body[field] = value;
        body
    };
    let forged = others.upload(&alice.id)["self_signing_key"].take();
    let unsigned = keys.self_signing.cross_signing(&alice.id, "self_signing");
    let wrong_usage = keys.master.sign(unsigned.clone(), &alice.id, &keys.master.public());
    let by_device = Key::new(2).sign(valid()["master_key"].take(), &alice.id, &alice.device_id);
    let same = keys.master.sign(keys.master.cross_signing(&alice.id, "self_signing"), &alice.id, &keys.master.public());
    let cases = [
        (with("self_signing_key", forged), "M_INVALID_SIGNATURE"),
        (with("self_signing_key", unsigned), "M_INVALID_SIGNATURE"),
        (with("user_signing_key", wrong_usage), "M_INVALID_PARAM"),
        (with("self_signing_key", same), "M_INVALID_PARAM"),
        (with("master_key", by_device), "M_INVALID_SIGNATURE"),
        (with("master_key", keys.master.cross_signing(&bob.id, "master")), "M_INVALID_PARAM"),
        (with("master_key", json!({"user_id": alice.id, "usage": ["master"], "keys": {}})), "M_INVALID_PARAM"),
        (
            with("master_key", json!({"user_id": alice.id, "usage": ["master"], "keys": {"ed25519:AA": "AA"}})),
            "M_INVALID_PARAM",
        ),
        (with("master_key", json!("a text")), "M_BAD_JSON"),
        (with("master_key", json!({"user_id": alice.id})), "M_BAD_JSON"),
    ];
    for (body, errcode) in cases {
        alice.post("keys/device_signing/upload", body).await.expect_error(400, errcode);
    }
    assert_eq!(bob.keys_of(&alice.id).await["master_keys"], json!({}));
    // A master key that the device signed is vouched for by it.
    let signed = device.sign(valid()["master_key"].take(), &alice.id, &alice.device_id);
    alice.post("keys/device_signing/upload", with("master_key", signed.clone())).await.expect_ok();
    assert_eq!(bob.keys_of(&alice.id).await["master_keys"][&alice.id], signed);
}

#[tokio::test]
async fn no_device_goes_by_the_name_of_a_key() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let keys = CrossSigning::new(10);
    let login = |device: String| {
        json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": alice.id},
            "password": alice.password, "device_id": device})
    };
    server.stranger().post("login", login(keys.self_signing.public())).await.expect_ok();
    alice.post("keys/device_signing/upload", keys.upload(&alice.id)).await.expect_error(403, "M_FORBIDDEN");
    let keys = CrossSigning::new(20);
    publish(&alice, &keys).await;
    server.stranger().post("login", login(keys.master.public())).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_device_is_vouched_for_by_its_user() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
    bob.join(&room).await;
    let (device, keys) = (Key::new(1), CrossSigning::new(10));
    alice.publish(&device).await;
    publish(&alice, &keys).await;
    let since = bob.sync().await.next_batch().to_owned();

    let device_keys = device.device_keys(&alice.id, &alice.device_id);
    let signed = keys.self_signing.sign(device_keys.clone(), &alice.id, &keys.self_signing.public());
    let master = keys.master.cross_signing(&alice.id, "master");
    let signed_master = device.sign(master, &alice.id, &alice.device_id);
    let both = json!({alice.id.as_str(): {
        alice.device_id.as_str(): signed, keys.master.public(): signed_master,
    }});
    assert_eq!(sign(&alice, both.clone()).await, json!({}));
    assert_eq!(sign(&alice, both).await, json!({}));
    let sync = bob.sync_since(&since).await;
    assert_eq!(sync.0["device_lists"], json!({"changed": [alice.id], "left": []}));
    let found = bob.keys_of(&alice.id).await;
    let signatures = &found["device_keys"][&alice.id][&alice.device_id]["signatures"];
    assert_eq!(*signatures, signed["signatures"]);
    assert_eq!(found["master_keys"][&alice.id], signed_master);
    // The upload of the same keys again loses nothing.
    alice.publish(&device).await;
    let again = bob.keys_of(&alice.id).await;
    assert_eq!(again["device_keys"], found["device_keys"]);
    // A new self-signing key has to vouch anew.
    let others = CrossSigning::new(20);
    let steps = alice.post("keys/device_signing/upload", others.upload(&alice.id)).await.expect_status(401);
    let body = with_password(&alice, others.upload(&alice.id), &steps);
    alice.post("keys/device_signing/upload", body).await.expect_ok();
    let found = bob.keys_of(&alice.id).await;
    let signatures = &found["device_keys"][&alice.id][&alice.device_id]["signatures"];
    assert_eq!(*signatures, device_keys["signatures"]);
}

#[tokio::test]
async fn who_vouches_for_whom_is_known_to_nobody_else() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let carol = server.register("carol").await;
    let phone = alice.log_in_again().await;
    let (of_alice, of_bob) = (CrossSigning::new(10), CrossSigning::new(20));
    publish(&alice, &of_alice).await;
    publish(&bob, &of_bob).await;
    let since = phone.sync().await.next_batch().to_owned();

    let master = of_bob.master.cross_signing(&bob.id, "master");
    let signed = of_alice.user_signing.sign(master.clone(), &alice.id, &of_alice.user_signing.public());
    let upload = json!({bob.id.as_str(): {of_bob.master.public(): signed}});
    let waiting =
        phone.sync_until(&since, "the signature", |sync| sync.0["device_lists"]["changed"] == json!([bob.id]));
    let (_, failures) = tokio::join!(waiting, sign(&alice, upload));
    assert_eq!(failures, json!({}));
    assert_eq!(phone.keys_of(&bob.id).await["master_keys"][&bob.id], signed);
    for other in [&bob, &carol] {
        assert_eq!(other.keys_of(&bob.id).await["master_keys"][&bob.id], master);
        assert!(other.keys_of(&alice.id).await["user_signing_keys"][&alice.id].is_null());
    }
    assert!(alice.keys_of(&alice.id).await["user_signing_keys"][&alice.id].is_object());
}

#[tokio::test]
async fn each_signature_that_is_not_one_is_refused_by_itself() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let (device, keys, of_bob) = (Key::new(1), CrossSigning::new(10), CrossSigning::new(20));
    alice.publish(&device).await;
    bob.publish(&Key::new(2)).await;
    publish(&alice, &keys).await;
    publish(&bob, &of_bob).await;
    let own = device.device_keys(&alice.id, &alice.device_id);
    let ssk = keys.self_signing.public();
    let refused = async |user: &User, owner: &User, name: &str, object: Value, errcode: &str| {
        let failures = sign(user, json!({owner.id.as_str(): {name: object}})).await;
        assert_eq!(failures[&owner.id][name]["errcode"], errcode, "{failures}");
    };
    let forged = Key::new(99).sign(own.clone(), &alice.id, &ssk);
    refused(&alice, &alice, &alice.device_id, forged.clone(), "M_INVALID_SIGNATURE").await;
    let mut changed = own.clone();
    changed["algorithms"] = json!([]);
    let changed = keys.self_signing.sign(changed, &alice.id, &ssk);
    refused(&alice, &alice, &alice.device_id, changed, "M_INVALID_SIGNATURE").await;
    // Only the self-signing key vouches for devices.
    let by_master = keys.master.sign(device.device_keys(&alice.id, &alice.device_id), &alice.id, &keys.master.public());
    let mut by_master_only = by_master.clone();
    by_master_only["signatures"][&alice.id].as_object_mut().unwrap().remove(&format!("ed25519:{}", alice.device_id));
    refused(&alice, &alice, &alice.device_id, by_master_only, "M_INVALID_SIGNATURE").await;
    refused(&alice, &alice, "NO_DEVICE", own.clone(), "M_NOT_FOUND").await;
    refused(&alice, &alice, &alice.device_id, json!("a text"), "M_BAD_JSON").await;
    refused(&alice, &alice, &alice.device_id, json!({"signatures": [1]}), "M_BAD_JSON").await;
    // Nobody vouches for the devices of others, or for their other keys.
    let bobs = Key::new(2).device_keys(&bob.id, &bob.device_id);
    let bobs = keys.user_signing.sign(bobs, &alice.id, &keys.user_signing.public());
    refused(&alice, &bob, &bob.device_id, bobs, "M_NOT_FOUND").await;
    let other = of_bob.upload(&bob.id)["self_signing_key"].take();
    refused(&alice, &bob, &of_bob.self_signing.public(), other, "M_NOT_FOUND").await;
    // In the name of somebody else.
    let master = of_bob.master.cross_signing(&bob.id, "master");
    let as_alice = keys.user_signing.sign(master.clone(), &alice.id, &keys.user_signing.public());
    refused(&bob, &bob, &of_bob.master.public(), as_alice, "M_INVALID_SIGNATURE").await;
    let by_other_key = keys.master.sign(master, &alice.id, &keys.master.public());
    refused(&alice, &bob, &of_bob.master.public(), by_other_key, "M_INVALID_SIGNATURE").await;

    // One that is in order is taken although another one is not.
    let good = keys.self_signing.sign(own, &alice.id, &ssk);
    let both = json!({alice.id.as_str(): {alice.device_id.as_str(): good, "NO_DEVICE": forged}});
    let failures = sign(&alice, both).await;
    assert_eq!(failures[&alice.id].as_object().unwrap().keys().collect::<Vec<_>>(), ["NO_DEVICE"]);
    let found = bob.keys_of(&alice.id).await;
    assert_eq!(found["device_keys"][&alice.id][&alice.device_id]["signatures"], good["signatures"]);
    alice.post("keys/signatures/upload", json!({"nobody": {}})).await.expect_error(400, "M_BAD_JSON");
    alice.post("keys/signatures/upload", json!({alice.id.as_str(): []})).await.expect_error(400, "M_BAD_JSON");
}
