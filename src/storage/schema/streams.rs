//! The tables of the change log.

use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::storage::{Family, Position, Table, TableInfo};

/// What happened at each position: what every follower reads.
pub const LOG: Table<(Position,), Change> = Table::new(10, "log", Family::Log);

/// The rows of the log that concern one user in person, so that a client which was away for long need not read all others.
pub const USER_LOG: Table<(OwnedUserId, Position), Change> = Table::new(11, "user_log", Family::Log);

/// The rows of the log that concern everybody who shares a room with a user, whose devices changed: nobody's own rows and no
/// room's timeline lead to them.
pub const DEVICE_LIST_LOG: Table<(Position, OwnedUserId), ()> = Table::new(12, "device_list_log", Family::Log);

/// The rows of the log that say that somebody's profile changed or that there is somebody new, so that who knows everybody's
/// names learns of new ones without reading every message's row.
pub const PROFILE_LOG: Table<(Position, OwnedUserId), ()> = Table::new(190, "profile_log", Family::Log);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[LOG.info(), USER_LOG.info(), DEVICE_LIST_LOG.info(), PROFILE_LOG.info()];

/// What happened at a position, and in which room or to which user.
///
/// A row says where to look and carries no content, so that a follower always reads the current truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// An event was appended to the room's timeline; `member` is the user whose membership it sets, if it does.
    Event {
        /// The room whose timeline grew.
        room: OwnedRoomId,
        /// The user whose membership changed with it.
        member: Option<OwnedUserId>,
    },
    /// A user read up to some event; `private` receipts concern nobody but that user.
    Receipt {
        /// The room that was read.
        room: OwnedRoomId,
        /// The reader.
        user: OwnedUserId,
        /// Whether only the reader's own devices hear of it.
        private: bool,
    },
    /// Account data of a user changed.
    AccountData {
        /// Whose account data it is.
        user: OwnedUserId,
        /// The room it belongs to; `None` for global account data.
        room: Option<OwnedRoomId>,
        /// The type of the account data, such as `m.direct`.
        kind: String,
    },
    /// A user's profile changed.
    Profile {
        /// Whose profile it is.
        user: OwnedUserId,
    },
    /// The devices or device keys of a user changed.
    DeviceList {
        /// Whose devices they are.
        user: OwnedUserId,
    },
    /// A user forgot a room that they had left.
    Forgotten {
        /// The forgotten room.
        room: OwnedRoomId,
        /// Who forgot it.
        user: OwnedUserId,
    },
    /// Where a user's devices want to be told of what happens changed.
    Pushers {
        /// Whose pushers they are.
        user: OwnedUserId,
    },
    /// A user signed a key in a way that only this user may see.
    Signed {
        /// Who signed.
        user: OwnedUserId,
        /// Whose key it is.
        owner: OwnedUserId,
    },
    /// A user subscribed to a thread or unsubscribed from one.
    ThreadSubscription {
        /// Whose subscription it is.
        user: OwnedUserId,
    },
}
