//! The tables of the backups of room keys.

use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::storage::{Family, Json, Stamped, Table, TableInfo};

/// The backups of each user by version, stamped with the position at which their keys last changed, which is their etag.
pub const KEY_BACKUPS: Table<(OwnedUserId, u64), Stamped<KeyBackup>> = Table::new(142, "key_backups", Family::Rows);

/// The newest version that each user ever had, so that no version is given twice and a deleted one is told from none.
pub const KEY_BACKUP_VERSIONS: Table<(OwnedUserId,), u64> = Table::new(143, "key_backup_versions", Family::Rows);

/// The keys in each backup by version, room and session, as the client encrypted them.
pub const BACKED_UP_KEYS: Table<(OwnedUserId, u64, OwnedRoomId, String), Box<RawValue>, Json> =
    Table::new(144, "backed_up_keys", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[KEY_BACKUPS.info(), KEY_BACKUP_VERSIONS.info(), BACKED_UP_KEYS.info()];

/// A version of a user's backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBackup {
    /// How the keys are encrypted, by its name.
    pub algorithm: String,
    /// What the algorithm needs to be known, as the JSON object that the client sent.
    pub auth_data: String,
    /// How many keys there are, which every change of the keys brings up to date in the same commit.
    pub count: u64,
}
