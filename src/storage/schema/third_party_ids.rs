//! The tables of e-mail addresses: whose they are, and how people prove that they are theirs.

use std::fmt;

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::storage::{Family, Table, TableInfo};

/// The addresses of each user, by medium (`email`) and canonical address.
pub const THIRD_PARTY_IDS: Table<(OwnedUserId, String, String), ThirdPartyId> =
    Table::new(35, "third_party_ids", Family::Rows);

/// Whose each address is, so that it belongs to one account at most and people can be found by it.
pub const THIRD_PARTY_ID_OWNERS: Table<(String, String), OwnedUserId> =
    Table::new(36, "third_party_id_owners", Family::Rows);

/// What is being proved, by its public id.
pub const VALIDATIONS: Table<(String,), Validation> = Table::new(37, "validations", Family::Rows);

/// The validation that a client's request led to, by the hash of what it asked for, so that a repetition leads to the same.
pub const VALIDATION_REQUESTS: Table<([u8; 32],), String> = Table::new(38, "validation_requests", Family::Rows);

/// When each validation ends, in milliseconds since the Unix epoch, so that old ones are found without a look at all.
pub const VALIDATION_ENDS: Table<(u64, String), ()> = Table::new(39, "validation_ends", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[
    THIRD_PARTY_IDS.info(),
    THIRD_PARTY_ID_OWNERS.info(),
    VALIDATIONS.info(),
    VALIDATION_REQUESTS.info(),
    VALIDATION_ENDS.info(),
];

/// Since when an account has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThirdPartyId {
    /// When its owner proved that it is theirs, in milliseconds since the Unix epoch.
    pub validated_at: u64,
    /// When it was added to the account, in milliseconds since the Unix epoch.
    pub added_at: u64,
}

/// What an address is to be proved for: a proof for one thing is none for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Making an account that has it.
    Register,
    /// Adding it to an account.
    Add,
    /// Setting the password of the account that has it.
    ResetPassword,
}

/// A proof of an address that is under way or done.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// What it is for.
    pub purpose: Purpose,
    /// The canonical address.
    pub address: String,
    /// The hash of the request that it came from, which contains the client's secret.
    pub request: [u8; 32],
    /// The number of the client's last request for which a mail went out.
    pub send_attempt: Option<u64>,
    /// The hashes of the tokens that were mailed, the newest last.
    pub tokens: Vec<[u8; 32]>,
    /// How often somebody gave a wrong token.
    pub failures: u32,
    /// When the right one was given, in milliseconds since the Unix epoch.
    pub validated_at: Option<u64>,
    /// When it ends, in milliseconds since the Unix epoch.
    pub ends_at: u64,
    /// Where the person may be led afterwards.
    pub next_link: Option<String>,
}

impl fmt::Debug for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validation").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}
