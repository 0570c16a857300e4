//! The tables of what leaves the server: how far each follower of the log has come.

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::storage::{Family, Position, Table, TableInfo};

/// How far each pusher is, by its user, app id and pushkey, so that a restart or a gateway that was down loses nothing.
pub const PUSH_PROGRESS: Table<(OwnedUserId, String, String), PushProgress> =
    Table::new(170, "push_progress", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[PUSH_PROGRESS.info()];

/// How far a pusher is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushProgress {
    /// The position from which on the pusher is told of events. One that was removed and made anew has another, so that
    /// what is kept of the earlier one does not count for it.
    pub since: Position,
    /// The position up to which everything was told or need not be.
    pub done: Position,
    /// The number on the badge that the gateway was last told.
    pub badge: u64,
    /// Since when the gateway cannot be told, if it cannot.
    pub failing: Option<PushFailing>,
}

/// A gateway that could not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushFailing {
    /// The first failure, in milliseconds since the Unix epoch.
    pub since: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again, in milliseconds since the Unix epoch.
    pub next_attempt: u64,
}
