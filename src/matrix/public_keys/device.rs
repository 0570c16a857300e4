//! The identity keys of a device ([spec](https://spec.matrix.org/v1.19/client-server-api/#device-keys)).

use ruma::{DeviceId, DeviceKeyAlgorithm, UserId, encryption};
use serde_json::value::RawValue;

use super::{
    check_size,
    signed::{Signed, ed25519_key},
};
use crate::error::{Error, Kind, Result};

/// Identity keys that were found to be in order, and signed by the device if they are signed at all.
#[derive(Clone, Debug)]
pub struct DeviceKeys {
    /// The keys and their signatures, of which that of the device is verified where there are any.
    pub signed: Signed,
    /// The device's ed25519 key in base64.
    pub ed25519: Box<str>,
}

impl DeviceKeys {
    /// Checks what `user` uploads as the keys of `device`.
    ///
    /// # Errors
    ///
    /// [`Kind::BadJson`] if it has another shape; [`Kind::TooLarge`]; [`Kind::InvalidParam`] if the keys are of another device
    /// or the ed25519 key is none; [`Kind::InvalidSignature`] if they are signed and not by the device.
    pub fn check(json: &RawValue, user: &UserId, device: &DeviceId) -> Result<Self> {
        check_size(json)?;
        let signed = Signed::parse(json)?;
        let keys: encryption::DeviceKeys = serde_json::from_str(json.get())
            .map_err(|cause| Kind::BadJson.with(format!("The keys of a device have another shape: {cause}.")))?;
        if keys.user_id != user || keys.device_id != device {
            return Err(Error::invalid("These are the keys of another device than the one that uploads them."));
        }
        if keys.keys.keys().any(|id| id.key_name() != device) {
            return Err(Error::invalid("The ids of a device's keys end with the id of the device."));
        }
        let mut ed25519 = keys.keys.iter().filter(|(id, _)| id.algorithm() == DeviceKeyAlgorithm::Ed25519);
        let ed25519 = ed25519.next().map(|(_, key)| &**key).filter(|key| ed25519_key(key).is_some());
        let ed25519 = ed25519.ok_or_else(|| Error::invalid("A device has an ed25519 key in unpadded base64."))?;
        // What nobody signed claims nothing, and clients trust it for nothing; the specification leaves the look to them.
        if !signed.is_unsigned() && !signed.is_signed_by(user, device.as_str(), ed25519) {
            return Err(Kind::InvalidSignature.with("The keys of a device are signed by its own ed25519 key."));
        }
        Ok(Self { ed25519: ed25519.into(), signed })
    }
}
