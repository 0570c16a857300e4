//! The tables of what administrators do about people, and of what people report to them.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::storage::{Family, Table, TableInfo};

/// Who is suspended, with the time since when; apart from the accounts, since an account may be locked as well.
pub const SUSPENSIONS: Table<(OwnedUserId,), u64> = Table::new(46, "suspensions", Family::Rows);

/// What was reported and not resolved yet, by the kind of what it is about and a number that counts the reports of that kind.
pub const REPORTS: Table<(u8, u64), Report> = Table::new(47, "reports", Family::Rows);

/// The reports of each user, so that nobody has more than a bounded number of them open.
pub const REPORTS_BY_USER: Table<(OwnedUserId, u8, u64), ()> = Table::new(48, "reports_by_user", Family::Rows);

/// The number that the last report of each kind got, so that none is given twice, resolved or not.
pub const LAST_REPORTS: Table<(u8,), u64> = Table::new(49, "last_reports", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] =
    &[SUSPENSIONS.info(), REPORTS.info(), REPORTS_BY_USER.info(), LAST_REPORTS.info()];

/// What a user told the administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who reported it.
    pub reporter: OwnedUserId,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Why.
    pub reason: Option<String>,
    /// What it is about.
    pub subject: ReportedSubject,
}

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportedSubject {
    /// Something that was said or done in a room.
    Event {
        /// The room.
        room: OwnedRoomId,
        /// The event.
        event: OwnedEventId,
        /// Who sent it.
        sender: OwnedUserId,
        /// The event as JSON, as it was when it was reported: what is reported is often taken back soon after.
        json: String,
    },
    /// A whole room.
    Room(OwnedRoomId),
    /// A person.
    User(OwnedUserId),
}
