//! The keys of a client, as far as a server sees them: public halves and signatures.

use ed25519_dalek::Signer as _;
use ruma::{
    canonical_json::CanonicalJsonObject,
    serde::{Base64, base64::Standard},
};
use serde_json::{Value, json};

use super::User;

/// A key that signs.
#[derive(Clone)]
pub struct Key(ed25519_dalek::SigningKey);

impl Key {
    /// The same key for the same number.
    pub fn new(number: u8) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&[number; 32]))
    }

    /// The public half.
    pub fn public(&self) -> String {
        Base64::<Standard, _>::new(self.0.verifying_key().to_bytes()).encode()
    }

    /// The object with one more signature, by the key of `user` that is called `name`.
    pub fn sign(&self, mut object: Value, user: &str, name: &str) -> Value {
        let mut bare: CanonicalJsonObject = serde_json::from_value(object.clone()).unwrap();
        bare.remove("signatures");
        bare.remove("unsigned");
        let text = serde_json::to_string(&bare).unwrap();
        let signature = Base64::<Standard, _>::new(self.0.sign(text.as_bytes()).to_bytes()).encode();
        if object.get("signatures").is_none() {
            object["signatures"] = json!({});
        }
        object["signatures"][user][format!("ed25519:{name}")] = signature.into();
        object
    }

    /// The identity keys of a device of `user` that has this key.
    pub fn device_keys(&self, user: &str, device: &str) -> Value {
        let keys = json!({
            "user_id": user,
            "device_id": device,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {
                format!("ed25519:{device}"): self.public(),
                format!("curve25519:{device}"): "3C5BFWi2Y8MaVvjM8M22DBmh24PmgR0nPvJOIArzgyI",
            },
        });
        self.sign(keys, user, device)
    }

    /// A one-time key that the device of `user` signed with this key; `text` is what tells it from others.
    pub fn one_time_key(&self, user: &User, text: &str) -> Value {
        self.sign(json!({"key": text}), &user.id, &user.device_id)
    }

    /// This key as the cross-signing key of `user` for some usage.
    pub fn cross_signing(&self, user: &str, usage: &str) -> Value {
        json!({"user_id": user, "usage": [usage], "keys": {format!("ed25519:{}", self.public()): self.public()}})
    }
}

/// The three keys by which a person vouches for devices and others.
pub struct CrossSigning {
    pub master: Key,
    pub self_signing: Key,
    pub user_signing: Key,
}

impl CrossSigning {
    /// The same keys for the same number.
    pub fn new(number: u8) -> Self {
        Self { master: Key::new(number), self_signing: Key::new(number + 1), user_signing: Key::new(number + 2) }
    }

    /// What `user` uploads to publish them.
    pub fn upload(&self, user: &str) -> Value {
        let by_master =
            |key: &Key, usage| self.master.sign(key.cross_signing(user, usage), user, &self.master.public());
        json!({
            "master_key": self.master.cross_signing(user, "master"),
            "self_signing_key": by_master(&self.self_signing, "self_signing"),
            "user_signing_key": by_master(&self.user_signing, "user_signing"),
        })
    }
}

impl User {
    /// Publishes the identity keys of this device.
    pub async fn publish(&self, key: &Key) {
        let body = json!({"device_keys": key.device_keys(&self.id, &self.device_id)});
        self.post("keys/upload", body).await.expect_ok();
    }

    /// What this person is told of the keys of somebody.
    pub async fn keys_of(&self, user: &str) -> Value {
        self.post("keys/query", json!({"device_keys": {user: []}})).await.expect_ok()
    }

    /// Claims a one-time key of a device and gives its id, if there was one.
    pub async fn claim(&self, other: &User) -> Option<String> {
        let wish = json!({"one_time_keys": {other.id.as_str(): {other.device_id.as_str(): "signed_curve25519"}}});
        let claimed = self.post("keys/claim", wish).await.expect_ok();
        let keys = claimed["one_time_keys"][&other.id][&other.device_id].as_object()?;
        keys.keys().next().cloned()
    }
}
