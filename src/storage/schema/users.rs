//! The tables of what belongs to one person: the account, its devices and their tokens, its profile and its settings.

use std::{fmt, net::IpAddr};

use ruma::{
    OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedUserId, api::client::push::Pusher, profile::UserProfile,
    push::Ruleset,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::storage::{Family, Json, Position, Stamped, Table, TableInfo};

/// Every account there ever was on this server; a row is never removed, so that no id is given twice.
pub const ACCOUNTS: Table<(OwnedUserId,), Account> = Table::new(20, "accounts", Family::Rows);

/// The tokens that let their holders register, in the clear because administrators list them; they open no account.
pub const REGISTRATION_TOKENS: Table<(String,), RegistrationToken> =
    Table::new(21, "registration_tokens", Family::Rows);

/// The devices of each user, which are also their sessions.
pub const DEVICES: Table<(OwnedUserId, OwnedDeviceId), Device> = Table::new(22, "devices", Family::Rows);

/// When each device was last seen; apart from `devices` because it is written in bulk and late.
pub const DEVICES_SEEN: Table<(OwnedUserId, OwnedDeviceId), DeviceSeen> = Table::new(23, "devices_seen", Family::Rows);

/// What program each device ran when it was last seen, as it names itself; apart since it came later.
pub const DEVICE_AGENTS: Table<(OwnedUserId, OwnedDeviceId), String> = Table::new(50, "device_agents", Family::Rows);

/// Whose access token has this SHA-256 hash.
pub const ACCESS_TOKENS: Table<([u8; 32],), SessionToken> = Table::new(24, "access_tokens", Family::Rows);

/// Whose refresh token has this SHA-256 hash.
pub const REFRESH_TOKENS: Table<([u8; 32],), SessionToken> = Table::new(25, "refresh_tokens", Family::Rows);

/// The tokens for one `m.login.token` login by the time they expire at and their hash, so that old ones go in one range.
pub const LOGIN_TOKENS: Table<(u64, [u8; 32]), OwnedUserId> = Table::new(26, "login_tokens", Family::Rows);

/// The tokens that prove who somebody is to other services, by the time they expire at and their hash.
pub const OPENID_TOKENS: Table<(u64, [u8; 32]), OwnedUserId> = Table::new(27, "openid_tokens", Family::Rows);

/// The profile of each user, whole, because it is small and its size is limited as a whole.
pub const PROFILES: Table<(OwnedUserId,), UserProfile, Json> = Table::new(28, "profiles", Family::Rows);

/// The account data of each user by room (`None` is global) and type, tags among it; push rules have their own table.
pub const ACCOUNT_DATA: Table<(OwnedUserId, Option<OwnedRoomId>, String), Box<RawValue>, Json> =
    Table::new(29, "account_data", Family::Rows);

/// The push rules of the users who changed theirs; everybody else has the default ones.
pub const PUSH_RULES: Table<(OwnedUserId,), Ruleset, Json> = Table::new(30, "push_rules", Family::Rows);

/// The filters that each user's clients uploaded, as they were sent, by an id made from their content.
pub const FILTERS: Table<(OwnedUserId, String), Box<RawValue>, Json> = Table::new(31, "filters", Family::Rows);

/// The users of whom something changed that their rooms may not show yet, stamped with the position of the last such change.
pub const ROOMS_BEHIND: Table<(OwnedUserId,), Stamped<()>> = Table::new(32, "rooms_behind", Family::Rows);

/// Where each user's devices want to be told of what happens, by device, so that a device takes its pushers along when it
/// goes; then by app id and pushkey.
pub const PUSHERS: Table<(OwnedUserId, OwnedDeviceId, String, String), Pusher, Json> =
    Table::new(33, "pushers", Family::Rows);

/// On which device of which user a pusher is, by app id and pushkey. An entry may outlive its pusher.
pub const PUSHER_OWNERS: Table<(String, String, OwnedUserId), OwnedDeviceId> =
    Table::new(34, "pusher_owners", Family::Rows);

/// When each pusher was last set, in milliseconds since the Unix epoch, stamped with the position from which on it is told of
/// events; with the key of its pusher.
pub const PUSHERS_SET: Table<(OwnedUserId, OwnedDeviceId, String, String), Stamped<u64>> =
    Table::new(40, "pushers_set", Family::Rows);
/// The device ids that no new device of a user may have, because something else goes by that name.
pub const RESERVED_DEVICE_IDS: Table<(OwnedUserId, OwnedDeviceId), ()> =
    Table::new(45, "reserved_device_ids", Family::Rows);

/// What each user last decided about each thread, stamped with the position at which they did.
pub const THREAD_SUBSCRIPTIONS: Table<(OwnedUserId, OwnedRoomId, OwnedEventId), Stamped<ThreadSubscription>> =
    Table::new(41, "thread_subscriptions", Family::Rows);

/// The same threads by that position, so that clients are told of what is news to them.
pub const THREAD_SUBSCRIPTION_CHANGES: Table<(OwnedUserId, Position), (OwnedRoomId, OwnedEventId)> =
    Table::new(42, "thread_subscription_changes", Family::Rows);

/// Who asked to be forgotten when their account ended, stamped with the position of that: whoever came into a room later reads
/// nothing of what they said.
pub const ERASURES: Table<(OwnedUserId,), Stamped<()>> = Table::new(51, "erasures", Family::Rows);

/// When each user last decided about any thread of a room, so that what follows from these decisions is known to be of before.
pub const THREADS_DECIDED: Table<(OwnedUserId, OwnedRoomId), Stamped<()>> =
    Table::new(85, "threads_decided", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[
    ACCOUNTS.info(),
    REGISTRATION_TOKENS.info(),
    DEVICES.info(),
    DEVICES_SEEN.info(),
    DEVICE_AGENTS.info(),
    ACCESS_TOKENS.info(),
    REFRESH_TOKENS.info(),
    LOGIN_TOKENS.info(),
    OPENID_TOKENS.info(),
    PROFILES.info(),
    ACCOUNT_DATA.info(),
    PUSH_RULES.info(),
    FILTERS.info(),
    ROOMS_BEHIND.info(),
    PUSHERS.info(),
    PUSHER_OWNERS.info(),
    PUSHERS_SET.info(),
    RESERVED_DEVICE_IDS.info(),
    THREAD_SUBSCRIPTIONS.info(),
    THREAD_SUBSCRIPTION_CHANGES.info(),
    ERASURES.info(),
    THREADS_DECIDED.info(),
];

/// What a user decided about a thread (MSC4306).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ThreadSubscription {
    /// The user wants to hear of it.
    Manual,
    /// The user's client took it that they want to.
    Automatic,
    /// The user does not want to hear of it any more.
    None,
}

/// An account of this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What the password is checked against; without it nobody logs in by password.
    pub password_hash: Option<PasswordHash>,
    /// What the user may do on the server as a whole.
    pub role: Role,
    /// Whether the account can be used.
    pub standing: Standing,
    /// When the account was made, in milliseconds since the Unix epoch.
    pub created_at: u64,
}

/// A password's hash as a PHC string, which names its algorithm, cost and salt.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes `phc` to be a PHC string.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// What a user may do on the server as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// What everybody may do.
    #[default]
    User,
    /// Administration too.
    Administrator,
    /// Nothing: it is the server itself that speaks in this name, and nobody can log in to it.
    Server,
    /// Less than everybody: it came without a password, and looks around as the specification lets guests.
    Guest,
}

/// Whether an account can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It can.
    Active,
    /// Not until an administrator unlocks it; its sessions wait.
    Locked,
    /// Never again.
    Deactivated {
        /// Whether the user asked for what they wrote to be hidden from those who come later.
        erased: bool,
    },
}

/// What a registration token allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationToken {
    /// How many accounts it can make in all; `None` is any number.
    pub uses_allowed: Option<u32>,
    /// How many accounts it made.
    pub uses: u32,
    /// When it stops working, in milliseconds since the Unix epoch; `None` is never.
    pub expires_at: Option<u64>,
    /// What the accounts it makes may do.
    pub role: Role,
}

/// A device: a session of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The name that the user or the client gave it.
    pub display_name: Option<String>,
    /// The tokens that the client uses.
    pub tokens: DeviceTokens,
    /// The tokens that a refresh gave out and that the client has not used yet; the first use makes them `tokens`.
    pub refreshed: Option<DeviceTokens>,
}

/// The tokens of a device, as hashes, to find them when the device goes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceTokens {
    /// The hash of the access token.
    pub access: [u8; 32],
    /// The hash of the refresh token, for a client that refreshes.
    pub refresh: Option<[u8; 32]>,
}

impl DeviceTokens {
    /// What stands in the place of tokens where a device has none: nothing is known that has this hash.
    pub const NONE: Self = Self { access: [0; 32], refresh: None };
}

impl fmt::Debug for DeviceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceTokens(…)")
    }
}

/// When and from where a device was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSeen {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The client's address.
    pub address: IpAddr,
}

/// Whom a token of a session stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionToken {
    /// The user.
    pub user_id: OwnedUserId,
    /// The user's device.
    pub device_id: OwnedDeviceId,
    /// When the token stops working, in milliseconds since the Unix epoch; `None` is never.
    pub expires_at: Option<u64>,
}
