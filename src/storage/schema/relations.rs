//! The tables of what relates to what: edits, threads, reactions and references, found from the event that they belong to.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    storage::{Codec, Encoder, Family, KeyPart, Order, Stamped, Table, TableInfo},
};

/// The places of the events that have something to be bundled with them, and of which type, so that one short scan beside a
/// page of a timeline tells whether there is anything at all. A row may outlive what it speaks of.
pub const PARENTS: Table<(OwnedRoomId, Order, String), ()> = Table::new(73, "parents", Family::Rows);

/// What relates to each event, by the type of the relation and in the order of the timeline; under the empty text all of it.
pub const RELATIONS: Table<(OwnedRoomId, OwnedEventId, String, Order), Relating> =
    Table::new(74, "relations", Family::Rows);

/// The valid edits of each event by the time that they bear and their id, so that the newest is the last.
pub const EDITS: Table<(OwnedRoomId, OwnedEventId, u64, OwnedEventId), Newest, Newest> =
    Table::new(75, "edits", Family::Rows);

/// The threads of each room by their roots, with the newest event of each.
pub const THREADS: Table<(OwnedRoomId, OwnedEventId), Newest, Newest> = Table::new(76, "threads", Family::Rows);

/// The roots of the threads of each room by the place of their newest event, with its sender, so that a page of them costs as
/// much as it holds. A row may outlive what it says; it holds if the thread says the same.
pub const THREADS_BY_NEWEST: Table<(OwnedRoomId, Order), (OwnedEventId, OwnedUserId)> =
    Table::new(86, "threads_by_newest", Family::Rows);

/// The threads in which somebody may have taken part; a row may outlive what they said there.
pub const THREAD_PARTICIPANTS: Table<(OwnedRoomId, OwnedUserId, OwnedEventId), ()> =
    Table::new(77, "thread_participants", Family::Rows);

/// When an event was last taken out of a thread, so that what is remembered of the thread is known to be of before.
pub const THREAD_CUTS: Table<(OwnedRoomId, OwnedEventId), Stamped<()>> = Table::new(78, "thread_cuts", Family::Rows);

/// The annotations of each event by their sender and the hash of their type and key, so that nobody says the same twice.
pub const ANNOTATIONS: Table<(OwnedRoomId, OwnedEventId, OwnedUserId, [u8; 32]), OwnedEventId> =
    Table::new(79, "annotations", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[
    PARENTS.info(),
    RELATIONS.info(),
    EDITS.info(),
    THREADS.info(),
    THREADS_BY_NEWEST.info(),
    THREAD_PARTICIPANTS.info(),
    THREAD_CUTS.info(),
    ANNOTATIONS.info(),
];

/// An event that relates to another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relating {
    /// The event.
    pub event_id: OwnedEventId,
    /// Its type.
    pub kind: String,
    /// Who sent it.
    pub sender: OwnedUserId,
}

/// Where the newest event of some kind stands, and who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its place in the room's timeline.
    pub order: Order,
    /// Its sender.
    pub sender: OwnedUserId,
}

/// The order in its key form, where the commit's position can be filled in, and the sender.
impl Codec<Newest> for Newest {
    fn encode(row: &Newest, out: &mut Encoder) -> Result<()> {
        row.order.encode_part(out);
        out.extend(row.sender.as_bytes());
        Ok(())
    }

    fn decode(mut bytes: &[u8]) -> Result<Newest> {
        let order = Order::decode_part(&mut bytes)?;
        let sender = std::str::from_utf8(bytes).map_err(Error::internal)?;
        Ok(Newest { order, sender: sender.try_into().map_err(Error::internal)? })
    }
}
