//! The tables of events that are to be sent later (MSC4140), and of what became of them.

use ruma::{OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedTransactionId, OwnedUserId};
use serde::{Deserialize, Serialize};

use super::rooms::EventOrigin;
use crate::storage::{Family, Table, TableInfo};

/// Every delayed event by its id: those that wait, and for some time those that do not wait any more.
pub const DELAYED_EVENTS: Table<(String,), DelayedEvent> = Table::new(95, "delayed_events", Family::Rows);

/// When something has to be done about a delayed event, in milliseconds since the Unix epoch, with its room: it is sent, or
/// forgotten if it does not wait any more. One timer reads this from its start.
pub const DELAYED_BY_TIME: Table<(u64, String), OwnedRoomId> = Table::new(96, "delayed_by_time", Family::Rows);

/// The delayed events of each user: first (`false`) those that wait, by the time they are sent at, then those that do not
/// wait any more, by the time at which that came.
pub const DELAYED_OF_USER: Table<(OwnedUserId, bool, u64, String), ()> =
    Table::new(97, "delayed_of_user", Family::Rows);

/// Which delayed event a device's request made, so that the same request sent again makes no second one. The third part is
/// the request's path without the transaction id.
pub const DELAYED_TRANSACTIONS: Table<(OwnedUserId, OwnedDeviceId, String, OwnedTransactionId), String> =
    Table::new(98, "delayed_transactions", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] =
    &[DELAYED_EVENTS.info(), DELAYED_BY_TIME.info(), DELAYED_OF_USER.info(), DELAYED_TRANSACTIONS.info()];

/// An event that is to be sent later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayedEvent {
    /// Who sends it.
    pub user: OwnedUserId,
    /// Where.
    pub room_id: OwnedRoomId,
    /// The event's type.
    pub kind: String,
    /// The state key, if it is a state event.
    pub state_key: Option<String>,
    /// The content as JSON.
    pub content: Box<str>,
    /// How long it waits, in milliseconds.
    pub delay: u64,
    /// When it began to wait, in milliseconds since the Unix epoch.
    pub scheduled_at: u64,
    /// The request that scheduled it, if it has a transaction id.
    pub request: Option<EventOrigin>,
    /// What became of it, once it does not wait any more.
    pub outcome: Option<DelayedOutcome>,
}

impl DelayedEvent {
    /// When it is sent, in milliseconds since the Unix epoch.
    pub fn due_at(&self) -> u64 {
        self.scheduled_at.saturating_add(self.delay)
    }
}

/// What became of a delayed event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayedOutcome {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// What.
    pub end: DelayedEnd,
}

/// The ways in which a delayed event stops to wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DelayedEnd {
    /// It was sent and is this event.
    Sent(OwnedEventId),
    /// Somebody who knew its id did not want it any more.
    Cancelled,
    /// It could not be sent.
    Failed {
        /// Why, in one word.
        why: DelayedFailure,
        /// Why, in a sentence.
        message: String,
    },
}

/// Why a delayed event could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DelayedFailure {
    /// The sender may not.
    Forbidden,
    /// The event has become too large.
    TooLarge,
    /// The content is not that of such an event.
    BadJson,
    /// A value is out of its range.
    InvalidParam,
    /// Something that the event names is not there.
    NotFound,
    /// It does not fit the state of the room.
    BadState,
    /// It names an alias that does not lead to the room.
    BadAlias,
    /// Something else.
    Other,
}
