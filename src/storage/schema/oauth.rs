//! The tables of the OAuth 2.0 API: clients, the codes on their way to them, and which sessions are theirs.

use std::fmt;

use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{
    matrix::oauth::{ClientMetadata, CodeChallenge},
    storage::{Family, Json, Table, TableInfo},
};

/// What clients said about themselves, by an id made from just that, so that equal ones are one.
pub const OAUTH_CLIENTS: Table<(String,), OAuthClient, Json> = Table::new(58, "oauth_clients", Family::Rows);

/// The sessions that began with a code, which end with their device.
pub const OAUTH_SESSIONS: Table<(OwnedUserId, OwnedDeviceId), OAuthSession> =
    Table::new(59, "oauth_sessions", Family::Rows);

/// The authorisation codes by the time they expire at and their hash; used ones stay a while, to notice a second use.
pub const OAUTH_CODES: Table<(u64, [u8; 32]), OAuthCode> = Table::new(43, "oauth_codes", Family::Rows);

/// The same sessions by their client, since a client stays for as long as it has one.
pub const OAUTH_CLIENT_SESSIONS: Table<(String, OwnedUserId, OwnedDeviceId), ()> =
    Table::new(44, "oauth_client_sessions", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] =
    &[OAUTH_CLIENTS.info(), OAUTH_SESSIONS.info(), OAUTH_CODES.info(), OAUTH_CLIENT_SESSIONS.info()];

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthClient {
    /// What it said about itself.
    pub metadata: ClientMetadata,
    /// When it last registered or got a session, in milliseconds since the Unix epoch.
    pub seen_at: u64,
}

/// A session that began with a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthSession {
    /// The client that has it.
    pub client_id: String,
    /// What was granted.
    pub scope: String,
    /// The hash of the code that it began with.
    pub code: [u8; 32],
}

/// What a person allowed a client, until the client comes for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthCode {
    /// Who allowed it.
    pub user_id: OwnedUserId,
    /// The client.
    pub client_id: String,
    /// The redirect URI of the request.
    pub redirect_uri: String,
    /// What the client has to prove.
    pub challenge: CodeChallenge,
    /// The device that the client gets tokens for.
    pub device_id: OwnedDeviceId,
    /// What was granted.
    pub scope: String,
    /// Whether the client has been for it.
    pub used: bool,
}

impl fmt::Debug for OAuthCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthCode").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}
