//! The keys by which people vouch for devices and for each other
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#cross-signing)).

use ruma::{
    SigningKeyAlgorithm, UserId,
    encryption::{self, KeyUsage},
};
use serde_json::value::RawValue;

use super::{
    check_size,
    signed::{Signed, ed25519_key},
};
use crate::error::{Error, Kind, Result};

/// A cross-signing key that was found to be in order; its signatures are not verified yet.
#[derive(Clone, Debug)]
pub struct CrossSigningKey {
    /// The key and its signatures.
    pub signed: Signed,
    /// The key in base64, which is also its name.
    pub ed25519: Box<str>,
}

impl CrossSigningKey {
    /// Checks what `user` uploads as a key for `usage`.
    ///
    /// # Errors
    ///
    /// [`Kind::BadJson`] if it has another shape; [`Kind::TooLarge`]; [`Kind::InvalidParam`] if it is of somebody else or for
    /// something else, or is no ed25519 key under its own name.
    pub fn check(json: &RawValue, user: &UserId, usage: &KeyUsage) -> Result<Self> {
        check_size(json)?;
        let signed = Signed::parse(json)?;
        let key: encryption::CrossSigningKey = serde_json::from_str(json.get())
            .map_err(|cause| Kind::BadJson.with(format!("A cross-signing key has another shape: {cause}.")))?;
        if key.user_id != user {
            return Err(Error::invalid("This is the cross-signing key of somebody else."));
        }
        if key.usage != [usage.clone()] {
            return Err(Error::invalid(format!("The usage of this key is [\"{usage}\"] and nothing else.")));
        }
        let mut keys = key.keys.iter();
        match (keys.next(), keys.next()) {
            (Some((id, key)), None)
                if id.algorithm() == SigningKeyAlgorithm::Ed25519
                    && id.key_name().as_str() == key
                    && ed25519_key(key).is_some() =>
            {
                Ok(Self { ed25519: key.as_str().into(), signed })
            }
            _ => Err(Error::invalid("A cross-signing key is one ed25519 key in unpadded base64 under its own name.")),
        }
    }

    /// Checks that `master`, a key of the same `user` in base64, signed this key.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidSignature`] if it did not.
    pub fn require_signature(&self, user: &UserId, master: &str) -> Result<()> {
        match self.signed.is_signed_by(user, master, master) {
            true => Ok(()),
            false => {
                Err(Kind::InvalidSignature.with("The user-signing and self-signing keys are signed by the master key."))
            }
        }
    }
}
