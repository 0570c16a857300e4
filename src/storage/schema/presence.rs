//! The tables of presence.

use ruma::OwnedUserId;

use crate::storage::{Family, Table, TableInfo};

/// What people last said about themselves, such as "in a meeting": the only part of presence that outlives the server.
pub const STATUS_MESSAGES: Table<(OwnedUserId,), String> = Table::new(120, "status_messages", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[STATUS_MESSAGES.info()];
