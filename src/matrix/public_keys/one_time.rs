//! One-time and fallback keys ([spec](https://spec.matrix.org/v1.19/client-server-api/#one-time-and-fallback-keys)).

use std::collections::BTreeMap;

use ruma::{OneTimeKeyId, OwnedUserId, canonical_json::CanonicalJsonValue};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::check_size;
use crate::error::{Error, Kind, Result};

/// The longest id of a key, algorithm included, in bytes.
const MAXIMUM_ID: usize = 255;

/// A key of the right shape. Whether the device signed it is for those to verify who use it, and who know the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTimeKey {
    /// The algorithm, such as `signed_curve25519`.
    pub algorithm: String,
    /// The name that the device gave it.
    pub name: String,
    /// The key as canonical JSON: an object, or a text where the algorithm has no signatures.
    pub json: Box<str>,
}

/// What an object must have to be a key.
#[derive(Deserialize)]
struct KeyObject {
    #[serde(rename = "key")]
    _key: String,
    #[serde(rename = "signatures")]
    _signatures: BTreeMap<OwnedUserId, BTreeMap<String, String>>,
    #[serde(default, rename = "fallback")]
    _fallback: bool,
}

impl OneTimeKey {
    /// Checks a key that is uploaded under `id`.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidParam`] if the id is too long, [`Kind::TooLarge`] if the key is, [`Kind::BadJson`] if it has another shape.
    pub fn check(id: &OneTimeKeyId, json: &RawValue) -> Result<Self> {
        if id.as_str().len() > MAXIMUM_ID {
            return Err(Error::invalid("The id of a key has at most 255 bytes."));
        }
        check_size(json)?;
        let shape = |cause: serde_json::Error| Kind::BadJson.with(format!("The key {id} has another shape: {cause}."));
        let value: CanonicalJsonValue = serde_json::from_str(json.get()).map_err(shape)?;
        let algorithm = id.algorithm().to_string();
        match &value {
            CanonicalJsonValue::Object(_) => drop(serde_json::from_str::<KeyObject>(json.get()).map_err(shape)?),
            CanonicalJsonValue::String(_) if !algorithm.starts_with("signed_") => {}
            _ => return Err(Kind::BadJson.with(format!("The key {id} must be an object with a key and signatures."))),
        }
        let json = serde_json::to_string(&value).map_err(Error::internal)?.into();
        Ok(Self { algorithm, name: id.key_name().to_string(), json })
    }
}
