//! Which keys are in order, and which signatures count.

use proptest::prelude::*;
use ruma::{DeviceId, OneTimeKeyId, UserId, device_id, encryption::KeyUsage, user_id};
use serde_json::{Value, json, value::to_raw_value};

use super::{test_key::TestKey, *};
use crate::error::Kind;

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

fn phone() -> &'static DeviceId {
    device_id!("PHONE")
}

/// The keys of Alice's phone, not signed.
fn unsigned_keys(key: &TestKey) -> Value {
    json!({
        "user_id": alice(), "device_id": phone(), "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { "ed25519:PHONE": key.public(), "curve25519:PHONE": "3C5BFWi2Y8MaVvjM8M22DBmh24PmgR0nPvJOIArzgyI" },
    })
}

fn kind_of<T: std::fmt::Debug>(outcome: Result<T>) -> Kind {
    outcome.expect_err("this should be refused").kind
}

fn check_device(keys: &Value) -> Result<DeviceKeys> {
    DeviceKeys::check(&to_raw_value(keys).unwrap(), alice(), phone())
}

#[test]
fn keys_that_their_device_signed_are_in_order() {
    let key = TestKey::new(1);
    let mut keys = key.sign(unsigned_keys(&key), alice(), "PHONE");
    keys["unsigned"] = json!({ "device_display_name": "not signed" });
    let checked = check_device(&keys).unwrap();
    assert_eq!(*checked.ed25519, *key.public());
    assert!(!checked.signed.bare().contains("signatures") && !checked.signed.bare().contains("unsigned"));
}

#[test]
fn keys_that_nobody_signed_are_for_clients_to_judge() {
    let key = TestKey::new(1);
    for none in [json!({}), json!({ alice().as_str(): {} })] {
        let mut keys = unsigned_keys(&key);
        keys["signatures"] = none;
        let checked = DeviceKeys::check(&to_raw_value(&keys).unwrap(), alice(), phone()).unwrap();
        assert!(checked.signed.is_unsigned());
    }
}

#[test]
fn keys_that_are_not_in_order_are_refused_with_the_reason() {
    let (key, other) = (TestKey::new(1), TestKey::new(2));
    let signed = || key.sign(unsigned_keys(&key), alice(), "PHONE");
    let changed = |change: fn(&mut Value)| {
        let mut keys = unsigned_keys(&key);
        change(&mut keys);
        key.sign(keys, alice(), "PHONE")
    };
    let mut tampered = signed();
    tampered["algorithms"] = json!(["m.other"]);
    let mut short = signed();
    short["signatures"][alice().as_str()]["ed25519:PHONE"] = json!("AAAA");
    let mut nonsense = signed();
    nonsense["signatures"] = json!({ "@alice:example.org": { "ed25519:PHONE": 1 } });
    let cases = [
        (unsigned_keys(&key), Kind::BadJson),
        (other.sign(unsigned_keys(&key), alice(), "PHONE"), Kind::InvalidSignature),
        (key.sign(unsigned_keys(&key), alice(), "OTHER"), Kind::InvalidSignature),
        (key.sign(unsigned_keys(&key), user_id!("@bob:example.org"), "PHONE"), Kind::InvalidSignature),
        (tampered, Kind::InvalidSignature),
        (short, Kind::InvalidSignature),
        (nonsense, Kind::BadJson),
        (changed(|keys| keys["user_id"] = json!("@bob:example.org")), Kind::InvalidParam),
        (changed(|keys| keys["device_id"] = json!("TABLET")), Kind::InvalidParam),
        (changed(|keys| keys["keys"]["curve25519:TABLET"] = json!("x")), Kind::InvalidParam),
        (changed(|keys| keys["keys"]["ed25519:PHONE"] = json!("x")), Kind::InvalidParam),
        (changed(|keys| drop(keys["keys"].as_object_mut().unwrap().remove("ed25519:PHONE"))), Kind::InvalidParam),
        (changed(|keys| drop(keys.as_object_mut().unwrap().remove("algorithms"))), Kind::BadJson),
        (changed(|keys| keys["keys"] = json!([])), Kind::BadJson),
        (json!({ "user_id": alice(), "device_id": phone() }), Kind::BadJson),
        (json!("keys"), Kind::BadJson),
        (json!({ "number": 1.5 }), Kind::BadJson),
        (changed(|keys| keys["more"] = json!("x".repeat(20_000))), Kind::TooLarge),
    ];
    for (keys, kind) in cases {
        assert_eq!(kind_of(check_device(&keys)), kind, "{keys}");
    }
}

#[test]
fn an_object_that_is_nested_without_end_is_refused() {
    let deep = format!("{}{}", "{\"a\":".repeat(3_000), "1".to_owned() + &"}".repeat(3_000));
    let deep = serde_json::value::RawValue::from_string(deep).unwrap();
    assert_eq!(kind_of(Signed::parse(&deep)), Kind::BadJson);
}

#[test]
fn one_time_keys_have_the_shape_of_their_algorithm() {
    let check =
        |id: &str, key: Value| OneTimeKey::check(<&OneTimeKeyId>::try_from(id).unwrap(), &to_raw_value(&key).unwrap());
    let object = || json!({ "key": "abc", "signatures": { alice().as_str(): { "ed25519:PHONE": "def" } } });
    let key = check("signed_curve25519:AAAA+/", object()).unwrap();
    assert_eq!((&*key.algorithm, &*key.name), ("signed_curve25519", "AAAA+/"));
    assert_eq!(*key.json, serde_json::to_string(&object()).unwrap());
    assert_eq!(*check("curve25519:A", json!("abc")).unwrap().json, *"\"abc\"");
    let cases = [
        ("signed_curve25519:A", json!("abc"), Kind::BadJson),
        ("signed_curve25519:A", json!({ "key": "abc" }), Kind::BadJson),
        ("signed_curve25519:A", json!({ "key": 1, "signatures": {} }), Kind::BadJson),
        ("signed_curve25519:A", json!({ "key": "abc", "signatures": { "alice": {} } }), Kind::BadJson),
        ("curve25519:A", json!(7), Kind::BadJson),
        ("curve25519:A", json!("x".repeat(20_000)), Kind::TooLarge),
    ];
    for (id, key, kind) in cases {
        assert_eq!(kind_of(check(id, key.clone())), kind, "{id}: {key}");
    }
    assert_eq!(kind_of(check(&format!("curve25519:{}", "A".repeat(250)), json!("abc"))), Kind::InvalidParam);
}

#[test]
fn cross_signing_keys_are_one_key_for_one_use() {
    let (master, other) = (TestKey::new(1), TestKey::new(2));
    let key = |key: &TestKey, usage: &str| json!({ "user_id": alice(), "usage": [usage], "keys": { key_id(&key.public()): key.public() } });
    let check = |key: &Value, usage: KeyUsage| CrossSigningKey::check(&to_raw_value(key).unwrap(), alice(), &usage);
    assert_eq!(*check(&key(&master, "master"), KeyUsage::Master).unwrap().ed25519, *master.public());

    let signed = master.sign(key(&other, "self_signing"), alice(), &master.public());
    let signed = check(&signed, KeyUsage::SelfSigning).unwrap();
    signed.require_signature(alice(), &master.public()).unwrap();
    assert_eq!(kind_of(signed.require_signature(alice(), &other.public())), Kind::InvalidSignature);
    let forged = other.sign(key(&other, "self_signing"), alice(), &master.public());
    let forged = check(&forged, KeyUsage::SelfSigning).unwrap();
    assert_eq!(kind_of(forged.require_signature(alice(), &master.public())), Kind::InvalidSignature);

    let mut two = key(&master, "master");
    two["keys"][key_id(&other.public())] = other.public().into();
    let mut several = key(&master, "master");
    several["usage"] = json!(["master", "self_signing"]);
    let mut bobs = key(&master, "master");
    bobs["user_id"] = json!("@bob:example.org");
    let padded = json!({ "user_id": alice(), "usage": ["master"], "keys": { "ed25519:AAAA": "AAAA" } });
    let misnamed =
        json!({ "user_id": alice(), "usage": ["master"], "keys": { key_id(&other.public()): master.public() } });
    for wrong in [key(&master, "self_signing"), two, several, bobs, padded, misnamed] {
        assert_eq!(kind_of(check(&wrong, KeyUsage::Master)), Kind::InvalidParam, "{wrong}");
    }
    assert_eq!(kind_of(check(&json!({ "user_id": alice() }), KeyUsage::Master)), Kind::BadJson);
}

proptest! {
    #[test]
    fn what_was_taken_apart_comes_together_again(name: Option<String>, extra: String, signature: String) {
        let (key, text) = (TestKey::new(1), json!({ "a": 1, "extra": extra }));
        let mut whole = key.sign(text.clone(), alice(), "PHONE");
        whole["signatures"]["@bob:example.org"] = json!({ "ed25519:B": signature });
        let signed = Signed::parse(&to_raw_value(&whole).unwrap()).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(signed.bare()).unwrap(), text);
        let signatures = serde_json::from_value(whole["signatures"].clone()).unwrap();
        let again = complete(signed.bare(), &signatures, name.as_deref()).unwrap();
        if let Some(name) = name {
            whole["unsigned"] = json!({ "device_display_name": name });
        }
        prop_assert_eq!(serde_json::from_str::<Value>(again.get()).unwrap(), whole);
        prop_assert!(signed.is_signed_by(alice(), "PHONE", &key.public()));
    }

    #[test]
    fn no_text_passes_for_a_signature(signature: String, public_key: String) {
        let signed = Signed::parse(&to_raw_value(&json!({ "a": 1 })).unwrap()).unwrap();
        let key = TestKey::new(1);
        prop_assert!(!signed.verifies(&signature, &key.public()));
        prop_assert!(!signed.verifies(&signature, &public_key));
    }
}
