//! The tables of end-to-end encryption: the public keys of devices and people, and who vouches for them.

use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    storage::{Encoder, Family, KeyPart, Position, Stamped, Table, TableInfo},
};

/// The identity keys of each device that has any.
pub const DEVICE_KEYS: Table<(OwnedUserId, OwnedDeviceId), PublicKey> = Table::new(130, "device_keys", Family::Rows);

/// The one-time keys that are left of each device, as canonical JSON, by algorithm, the position at which they were uploaded
/// and their name: the first one of an algorithm is given out next.
pub const ONE_TIME_KEYS: Table<(OwnedUserId, OwnedDeviceId, String, Position, String), Box<str>> =
    Table::new(131, "one_time_keys", Family::Rows);

/// Every one-time key that each device ever uploaded, by algorithm and name, so that one that comes again, perhaps after it was
/// given out, is known.
pub const ONE_TIME_KEY_NAMES: Table<(OwnedUserId, OwnedDeviceId, String, String), OneTimeKeyName> =
    Table::new(132, "one_time_key_names", Family::Rows);

/// What is given out when a device's one-time keys of an algorithm are used up.
pub const FALLBACK_KEYS: Table<(OwnedUserId, OwnedDeviceId, String), FallbackKey> =
    Table::new(133, "fallback_keys", Family::Rows);

/// When the one-time and fallback keys of each device last changed: whoever changes them expects this row, and what is counted
/// is remembered under it.
pub const KEY_STOCKS: Table<(OwnedUserId, OwnedDeviceId), Stamped<()>> = Table::new(134, "key_stocks", Family::Rows);

/// The cross-signing keys of each user.
pub const CROSS_SIGNING_KEYS: Table<(OwnedUserId, KeyUsage), PublicKey> =
    Table::new(135, "cross_signing_keys", Family::Rows);

/// The signatures of keys: whose key it is, its name (a device id or the public key of a master key), who signed it, and with
/// which key; so that a reader finds those that they may see without a look at the others. All have been verified.
pub const KEY_SIGNATURES: Table<(OwnedUserId, String, OwnedUserId, String), String> =
    Table::new(136, "key_signatures", Family::Rows);

/// What a client needs to bring a dehydrated device back to life, as JSON.
pub const DEHYDRATED_DEVICES: Table<(OwnedUserId, OwnedDeviceId), Box<str>> =
    Table::new(137, "dehydrated_devices", Family::Rows);

/// Which device of a user is the dehydrated one, so that there is never a second. An entry may outlive its device.
pub const DEHYDRATED_DEVICE_IDS: Table<(OwnedUserId,), OwnedDeviceId> =
    Table::new(138, "dehydrated_device_ids", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[
    DEVICE_KEYS.info(),
    ONE_TIME_KEYS.info(),
    ONE_TIME_KEY_NAMES.info(),
    FALLBACK_KEYS.info(),
    KEY_STOCKS.info(),
    CROSS_SIGNING_KEYS.info(),
    KEY_SIGNATURES.info(),
    DEHYDRATED_DEVICES.info(),
    DEHYDRATED_DEVICE_IDS.info(),
];

/// A key, or the keys of a device, as the owner published them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// What is signed: canonical JSON without `signatures` and `unsigned`.
    pub json: Box<str>,
    /// The ed25519 key in it, in base64, that verifies what the owner signs with it.
    pub ed25519: Box<str>,
}

/// What is remembered of a one-time key, whether or not it is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeKeyName {
    /// The SHA-256 hash of its canonical JSON.
    pub digest: [u8; 32],
    /// Whether somebody got it.
    pub given_out: bool,
}

/// A fallback key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallbackKey {
    /// Its name.
    pub name: String,
    /// The key as canonical JSON.
    pub json: Box<str>,
    /// Whether somebody got it.
    pub used: bool,
}

/// What a cross-signing key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyUsage {
    /// It is the user's identity, and signs the other two.
    Master,
    /// It signs the user's own devices.
    SelfSigning,
    /// It signs the master keys of others.
    UserSigning,
}

impl KeyPart for KeyUsage {
    fn encode_part(&self, out: &mut Encoder) {
        (*self as u8).encode_part(out);
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        match u8::decode_part(input)? {
            0 => Ok(Self::Master),
            1 => Ok(Self::SelfSigning),
            2 => Ok(Self::UserSigning),
            usage => Err(Error::internal(format_args!("there is no usage {usage} of keys"))),
        }
    }
}
