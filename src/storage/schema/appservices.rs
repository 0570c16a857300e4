//! The tables of what waits for application services.

use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::storage::{Family, Position, Table, TableInfo};

/// Which messages in the inboxes of devices each application service has yet to hear of, by its id, so that nobody has to look
/// through the inboxes of all of its users.
pub const APPSERVICE_INBOX: Table<(String, Position, OwnedUserId, OwnedDeviceId), ()> =
    Table::new(53, "appservice_inbox", Family::Rows);

/// The rooms that application services list for their networks, by the id of the instance (`<service>|<network>`).
pub const NETWORK_DIRECTORY: Table<(String, OwnedRoomId), ()> = Table::new(54, "network_directory", Family::Rows);

/// How far each application service is, by its id, so that a restart or a service that is down loses nothing.
pub const APPSERVICE_PROGRESS: Table<(String,), AppserviceProgress> =
    Table::new(171, "appservice_progress", Family::Rows);

/// The transaction that each application service is being told, by its id: kept before it is sent, so that it is the same one
/// however often it has to be sent.
pub const APPSERVICE_TRANSACTIONS: Table<(String,), AppserviceTransaction> =
    Table::new(172, "appservice_transactions", Family::Rows);

/// Since when each application service of which something is kept is not registered any more, by its id, in milliseconds since the
/// Unix epoch: a file that is back soon was moved, and one that stays away is gone.
pub const APPSERVICES_GONE: Table<(String,), u64> = Table::new(173, "appservices_gone", Family::Rows);

/// The rooms of which each application service, by its id, was told last that somebody types: after a restart of this server nobody
/// does, which the service has to hear.
pub const APPSERVICE_TYPING: Table<(String, OwnedRoomId), ()> = Table::new(174, "appservice_typing", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[
    APPSERVICE_INBOX.info(),
    NETWORK_DIRECTORY.info(),
    APPSERVICE_PROGRESS.info(),
    APPSERVICE_TRANSACTIONS.info(),
    APPSERVICES_GONE.info(),
    APPSERVICE_TYPING.info(),
];

/// How far an application service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppserviceProgress {
    /// What the ids of its transactions begin with, which tells them from those of an earlier database.
    pub series: String,
    /// How many transactions it was told.
    pub transactions: u64,
    /// The position up to which everything was told or need not be.
    pub done: Position,
}

/// What an application service is being told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppserviceTransaction {
    /// The whole body of the request.
    pub body: String,
    /// How far the service is once it has taken it.
    pub then: AppserviceProgress,
    /// The messages to devices in it.
    pub inbox: Vec<(Position, OwnedUserId, OwnedDeviceId)>,
}
