//! A JSON object and its signatures ([spec](https://spec.matrix.org/v1.19/appendices/#signing-json)).

use std::collections::BTreeMap;

use ruma::{
    OwnedUserId, SigningKeyAlgorithm, UserId,
    canonical_json::CanonicalJsonObject,
    serde::{Base64, base64::Standard},
    signatures,
};
use serde_json::{Value, json, value::RawValue};

use crate::error::{Error, Kind, Result};

/// What stands before the name of an ed25519 key in its id.
const ALGORITHM: &str = "ed25519:";

/// An object that was taken apart into what is signed and the signatures, of which none has been verified yet.
#[derive(Clone, Debug)]
pub struct Signed {
    bare: Box<str>,
    signatures: Signatures,
}

/// Signatures by signer and by the id of the signer's key.
pub type Signatures = BTreeMap<OwnedUserId, BTreeMap<String, String>>;

impl Signed {
    /// Takes an object apart. What is `unsigned` in it is dropped.
    ///
    /// # Errors
    ///
    /// [`Kind::BadJson`] if it is no object that could have been signed, or if its signatures have another shape.
    pub fn parse(json: &RawValue) -> Result<Self> {
        let mut object: CanonicalJsonObject = serde_json::from_str(json.get())
            .map_err(|cause| Kind::BadJson.with(format!("A key is not an object in canonical JSON: {cause}.")))?;
        object.remove("unsigned");
        let signatures = match object.remove("signatures") {
            None => BTreeMap::new(),
            Some(signatures) => serde_json::from_value(signatures.into())
                .map_err(|cause| Kind::BadJson.with(format!("The signatures of a key have another shape: {cause}.")))?,
        };
        let bare = serde_json::to_string(&object).map_err(Error::internal)?.into();
        Ok(Self { bare, signatures })
    }

    /// What is signed, as canonical JSON.
    pub fn bare(&self) -> &str {
        &self.bare
    }

    /// Whether there is no signature at all, not even one that could be wrong.
    pub fn is_unsigned(&self) -> bool {
        self.signatures.values().all(BTreeMap::is_empty)
    }

    /// The signatures that are said to be by ed25519 keys of `user`, each with the name of the key.
    pub fn signatures_of(&self, user: &UserId) -> impl Iterator<Item = (&str, &str)> {
        let signatures = self.signatures.get(user).into_iter().flatten();
        signatures.filter_map(|(id, signature)| Some((id.strip_prefix(ALGORITHM)?, signature.as_str())))
    }

    /// Whether `user` signed this with the key that has this name and is `public_key` in base64.
    pub fn is_signed_by(&self, user: &UserId, key_name: &str, public_key: &str) -> bool {
        self.signatures_of(user).any(|(name, signature)| name == key_name && self.verifies(signature, public_key))
    }

    /// Whether `signature` is one of this object by `public_key`, both in base64.
    pub fn verifies(&self, signature: &str, public_key: &str) -> bool {
        let (Ok(signature), Some(key)) = (Base64::<Standard>::parse(signature), ed25519_key(public_key)) else {
            return false;
        };
        let (algorithm, text) = (SigningKeyAlgorithm::Ed25519, self.bare.as_bytes());
        signatures::verify_canonical_json_bytes(&algorithm, &key, signature.as_bytes(), text).is_ok()
    }
}

/// The id of the ed25519 key with this name.
pub fn key_id(name: &str) -> String {
    format!("{ALGORITHM}{name}")
}

/// Puts an object together again: what was signed, these signatures, and the name of the device if it has one.
///
/// # Errors
///
/// Fails if `bare` is not what [`Signed::bare`] gave.
pub fn complete(bare: &str, signatures: &Signatures, device_display_name: Option<&str>) -> Result<Box<RawValue>> {
    let mut json = bare.strip_suffix('}').map(ToOwned::to_owned);
    let json = json.as_mut().ok_or_else(|| Error::internal("a stored key is no object"))?;
    let mut add = |field: &str, value: Value| {
        // Every key has a field of its own, so that there is always something before the comma.
        json.push_str(&format!(",\"{field}\":{value}"));
    };
    if !signatures.is_empty() {
        add("signatures", json!(signatures));
    }
    if let Some(name) = device_display_name {
        add("unsigned", json!({ "device_display_name": name }));
    }
    RawValue::from_string(format!("{json}}}")).map_err(Error::internal)
}

/// The bytes of an ed25519 key in unpadded base64.
pub(super) fn ed25519_key(text: &str) -> Option<[u8; 32]> {
    let key = Base64::<Standard, [u8; 32]>::parse(text).ok()?;
    (key.encode() == text).then(|| key.into_inner())
}
