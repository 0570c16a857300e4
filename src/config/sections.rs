//! The sections that are a handful of values each, with their defaults.

use std::time::Duration;

use ruma::{OwnedMxcUri, OwnedUserId, RoomVersionId, serde::Base64};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{secret::Secret, units};

/// `[registration]`: who may create an account.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// Who may register from a client.
    pub mode: RegistrationMode,
    /// Whether they have to prove an e-mail address.
    pub email: RegistrationEmail,
    /// The secret with which tools register accounts in any mode; `None` turns that way off.
    pub shared_secret: Option<Secret>,
    /// Whether people may look around as guests, without registering.
    pub guests: bool,
    /// The picture of people who are new, until they choose one of their own.
    #[serde(deserialize_with = "super::server_notices::picture")]
    pub avatar_url: Option<OwnedMxcUri>,
    /// How long a guest may be away before the account ends.
    #[serde(deserialize_with = "units::duration")]
    pub guests_expire_after: Duration,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            mode: RegistrationMode::default(),
            email: RegistrationEmail::default(),
            shared_secret: None,
            guests: false,
            avatar_url: None,
            guests_expire_after: Duration::from_secs(30 * 24 * 3_600),
        }
    }
}

/// Who may register from a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationMode {
    /// Nobody: accounts come from `commonroom user create`.
    Closed,
    /// Whoever has a registration token.
    #[default]
    Token,
    /// Everybody who reaches the server.
    Open,
}

/// Whether people who register prove an e-mail address, which their account then has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationEmail {
    /// They are not asked for one.
    #[default]
    Off,
    /// They may.
    Optional,
    /// They must.
    Required,
}

/// `[rooms]`: what new rooms get when their creator does not say.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rooms {
    /// The room version of new rooms.
    #[serde(deserialize_with = "room_version")]
    pub default_version: RoomVersionId,
    /// Who may read what was said before they came.
    pub default_history_visibility: HistoryVisibility,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { default_version: RoomVersionId::V12, default_history_visibility: HistoryVisibility::Joined }
    }
}

/// Who may read the past of a new private room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HistoryVisibility {
    /// Members see only what was sent while they were in the room.
    Joined,
    /// The preset that the client asked for decides, as the Matrix specification says.
    Preset,
}

/// `[passwords]`: what a password must be and how it is hashed with Argon2id.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Passwords {
    /// The fewest characters a new password may have.
    pub minimum_length: usize,
    /// The memory of one hash, in KiB; at least 8 per lane.
    pub memory_kib: u32,
    /// How often that memory is passed over; at least 1.
    pub iterations: u32,
    /// How many lanes it has; at least 1.
    pub parallelism: u32,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { minimum_length: 8, memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

impl Passwords {
    /// What Argon2 would refuse, with the key that it begins with.
    pub(super) fn problem(&self) -> Option<&'static str> {
        if self.iterations == 0 {
            return Some("iterations must be at least 1");
        }
        if !(1..=0xff_ffff).contains(&self.parallelism) {
            return Some("parallelism must be at least 1");
        }
        (self.memory_kib < 8 * self.parallelism).then_some("memory_kib must be at least 8 times parallelism")
    }
}

/// `[sessions]`: the tokens of clients that refresh them; others keep theirs until they log out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// How long an access token lives before its client must refresh it.
    #[serde(deserialize_with = "units::duration")]
    pub access_token_lifetime: Duration,
    /// How long a client may stay away before it must log in again.
    #[serde(deserialize_with = "units::duration")]
    pub refresh_token_lifetime: Duration,
}

impl Default for Sessions {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self { access_token_lifetime: hour, refresh_token_lifetime: 24 * 90 * hour }
    }
}

/// `[presence]`: who is online.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Presence {
    /// Whether people see who is online at all.
    pub enabled: bool,
    /// How long after the last thing a person did they are shown as away.
    #[serde(deserialize_with = "units::duration")]
    pub away_after: Duration,
    /// How long after a person's last client stopped asking for news they are shown as offline.
    #[serde(deserialize_with = "units::duration")]
    pub offline_after: Duration,
}

impl Default for Presence {
    fn default() -> Self {
        Self { enabled: true, away_after: Duration::from_secs(300), offline_after: Duration::from_secs(60) }
    }
}

/// `[push]`: how phones are told of what happens.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Push {
    /// What the number on an app's icon counts.
    pub badge: Badge,
    /// Whether push gateways may be reached without TLS.
    pub allow_http: bool,
}

/// What the number on an app's icon counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Badge {
    /// Unread messages that the user is notified of.
    #[default]
    Messages,
    /// Rooms with such messages.
    Rooms,
}

/// `[storage]`: how the database writes and caches.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// When a write counts as done.
    pub durability: Durability,
    /// How often relaxed writes are forced to disk: at most this much is lost when the machine fails.
    #[serde(deserialize_with = "units::duration")]
    pub relaxed_interval: Duration,
    /// The memory that keeps recently read data, in bytes.
    #[serde(deserialize_with = "units::bytes")]
    pub block_cache: u64,
}

impl Default for Storage {
    fn default() -> Self {
        let relaxed_interval = Duration::from_millis(100);
        Self { durability: Durability::Fsync, relaxed_interval, block_cache: 32 << 20 }
    }
}

/// When a write counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When it is on the disk.
    Fsync,
    /// When the operating system has it.
    Relaxed,
}

/// `[log]`: what the log on standard output looks like.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, or directives per module such as `info,commonroom::sync=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Human, level: "info".to_owned() }
    }
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines to read.
    Human,
    /// One JSON object a line.
    Json,
}

/// `[well_known]`: what the server says about itself under `/.well-known/matrix`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WellKnown {
    /// The URL under which clients reach this server, without a slash at its end.
    #[serde(deserialize_with = "base_url")]
    pub client: Option<String>,
    /// A page with help for users.
    pub support_page: Option<String>,
    /// Who to turn to.
    pub support_contacts: Vec<SupportContact>,
    /// The public key of the policy server that this domain's name stands for.
    #[serde(deserialize_with = "ed25519_key")]
    pub policy_server_key: Option<Base64>,
}

/// Somebody to turn to; at least one of the two ways to reach them is there.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "ContactKeys")]
pub struct SupportContact {
    /// `m.role.admin`, `m.role.security` or a namespaced role.
    pub role: String,
    /// An email address to reach them.
    pub email_address: Option<String>,
    /// A Matrix user id to reach them, which may be on another server.
    pub matrix_id: Option<OwnedUserId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContactKeys {
    role: String,
    email_address: Option<String>,
    matrix_id: Option<OwnedUserId>,
}

impl TryFrom<ContactKeys> for SupportContact {
    type Error = &'static str;

    fn try_from(keys: ContactKeys) -> Result<Self, Self::Error> {
        if keys.email_address.is_none() && keys.matrix_id.is_none() {
            return Err("a contact needs an email_address or a matrix_id");
        }
        Ok(Self { role: keys.role, email_address: keys.email_address, matrix_id: keys.matrix_id })
    }
}

fn room_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RoomVersionId, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.parse::<u8>() {
        Ok(3..=12) => RoomVersionId::try_from(text).map_err(D::Error::custom),
        _ => Err(D::Error::custom(format!("\"{text}\" is not a room version of this server: \"3\" to \"12\" are"))),
    }
}

pub(super) fn base_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    base_url_of(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

/// A URL without a slash at its end; what is wrong with it if it is none.
pub(super) fn base_url_of(text: &str) -> Result<String, String> {
    match text.starts_with("https://") || text.starts_with("http://") {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err(format!(
            "\"{text}\" is not a URL: write the one clients reach this server under, such as \"https://matrix.example.org\""
        )),
    }
}

fn ed25519_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Base64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let key = Base64::parse(&text).ok().filter(|key: &Base64| key.as_bytes().len() == 32);
    key.map(Some).ok_or_else(|| D::Error::custom(format!("\"{text}\" is not an ed25519 key in unpadded base64")))
}
