//! A key that signs as a client does, for tests.

use ed25519_dalek::Signer as _;
use ruma::{
    UserId,
    serde::{Base64, base64::Standard},
};
use serde_json::{Value, json, value::to_raw_value};

use super::{Signed, key_id};

/// An ed25519 key pair.
#[derive(Clone, Debug)]
pub struct TestKey(ed25519_dalek::SigningKey);

impl TestKey {
    /// The same key for the same seed.
    pub fn new(seed: u8) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    /// The public half in unpadded base64.
    pub fn public(&self) -> String {
        Base64::<Standard, _>::new(self.0.verifying_key().to_bytes()).encode()
    }

    /// The object with one more signature, by the key of `user` that is called `name`.
    pub fn sign(&self, mut object: Value, user: &UserId, name: &str) -> Value {
        let bare = Signed::parse(&to_raw_value(&object).unwrap()).unwrap();
        let signature = Base64::<Standard, _>::new(self.0.sign(bare.bare().as_bytes()).to_bytes()).encode();
        if object.get("signatures").is_none() {
            object["signatures"] = json!({});
        }
        object["signatures"][user.as_str()][key_id(name)] = signature.into();
        object
    }
}
