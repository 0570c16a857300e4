//! The tables of rooms: their timelines, their state now and at any moment of the past, and who belongs to them.

use ruma::{
    OwnedDeviceId, OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedTransactionId, OwnedUserId, RoomVersionId,
    TransactionId, events::room::member::MembershipState,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    storage::{Codec, Compact, Encoder, Family, KeyPart, Order, Position, Stamped, Table, TableInfo},
};

/// Every room the server knows, with the point at which its next event attaches.
pub const ROOMS: Table<(OwnedRoomId,), RoomRow> = Table::new(60, "rooms", Family::Rows);

/// The events of each room in timeline order: the one place where an event's JSON is kept.
pub const TIMELINE: Table<(OwnedRoomId, Order), TimelineRow, TimelineRow> =
    Table::new(61, "timeline", Family::Timeline);

/// Where to find an event of which only the id is known.
pub const EVENT_PLACES: Table<(OwnedEventId,), EventPlace, EventPlace> = Table::new(62, "event_places", Family::Rows);

/// The current state of each room by type and state key, to load a room with one scan.
pub const STATE: Table<(OwnedRoomId, String, String), OwnedEventId> = Table::new(63, "state", Family::Rows);

/// Every change of state by room, type, state key and the place from which it holds: the state at P is the newest row at or
/// below P.
pub const STATE_HISTORY: Table<(OwnedRoomId, String, String, Order), StateVersion> =
    Table::new(64, "state_history", Family::Rows);

/// The rooms of each user with the user's membership now, stamped with the position of the last change.
pub const MEMBERSHIPS: Table<(OwnedUserId, OwnedRoomId), Stamped<Membership>> =
    Table::new(65, "memberships", Family::Rows);

/// Which event a device's request made, so that the same request sent again makes no second one. The third part is the
/// request's path without the transaction id.
pub const TRANSACTIONS: Table<(OwnedUserId, OwnedDeviceId, String, OwnedTransactionId), OwnedEventId> =
    Table::new(66, "transactions", Family::Rows);

/// The places in each room's timeline where the state changed, to find the changes of an interval without reading it all.
pub const STATE_CHANGES: Table<(OwnedRoomId, Order), StatePlace> = Table::new(67, "state_changes", Family::Rows);

/// How far each reader has read in each room: a place for each kind of receipt and each thread (the empty text for none, `main`,
/// or the id of a root), stamped with the position at which the receipt came.
pub const RECEIPTS: Table<(OwnedRoomId, OwnedUserId, ReceiptKind, String), Stamped<Order>> =
    Table::new(70, "receipts", Family::Rows);

/// The receipts of each room in the order in which they came, so that a sync reads only those that are news.
pub const RECEIPTS_BY_POSITION: Table<(OwnedRoomId, Position), Receipt> =
    Table::new(71, "receipts_by_position", Family::Rows);

/// The places of the events that relate to another one, with the root of the thread that they name themselves: only these can
/// be in threads, so that what is unread there is found without reading everything else again.
pub const RELATED: Table<(OwnedRoomId, Order), Option<OwnedEventId>> = Table::new(72, "related", Family::Rows);

/// Which room a local alias points to.
pub const ALIASES: Table<(OwnedRoomAliasId,), Alias> = Table::new(80, "aliases", Family::Rows);

/// The local aliases of each room.
pub const ROOM_ALIASES: Table<(OwnedRoomId, OwnedRoomAliasId), ()> = Table::new(81, "room_aliases", Family::Rows);

/// The rooms that are published in the directory.
pub const DIRECTORY: Table<(OwnedRoomId,), ()> = Table::new(82, "directory", Family::Rows);

/// The room in which the server itself speaks to each user.
pub const NOTICE_ROOMS: Table<(OwnedUserId,), OwnedRoomId> = Table::new(83, "notice_rooms", Family::Rows);

/// The events of each room by the time that they bear and then by their place, to jump to a date: times go back and forth in a
/// timeline, so that it cannot be searched itself.
pub const EVENT_TIMES: Table<(OwnedRoomId, u64, Order), ()> = Table::new(84, "event_times", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[
    ROOMS.info(),
    TIMELINE.info(),
    EVENT_PLACES.info(),
    STATE.info(),
    STATE_HISTORY.info(),
    MEMBERSHIPS.info(),
    TRANSACTIONS.info(),
    STATE_CHANGES.info(),
    RECEIPTS.info(),
    RECEIPTS_BY_POSITION.info(),
    RELATED.info(),
    ALIASES.info(),
    ROOM_ALIASES.info(),
    DIRECTORY.info(),
    NOTICE_ROOMS.info(),
    EVENT_TIMES.info(),
];

/// A room as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRow {
    /// The rules the room was created with.
    pub version: RoomVersionId,
    /// The events that nothing follows yet: the `prev_events` of the next event.
    pub heads: Vec<OwnedEventId>,
    /// The greatest depth among the heads.
    pub depth: u64,
}

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineRow {
    /// What the server knows of the event besides its JSON.
    pub header: EventHeader,
    /// The event as canonical JSON, redacted if it was redacted.
    pub json: Box<str>,
}

/// What the server knows of an event besides its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHeader {
    /// The event's id.
    pub event_id: OwnedEventId,
    /// The request that made it, for the one device that may see its transaction id.
    pub origin: Option<EventOrigin>,
    /// For a state event: the state that it replaced.
    pub replaces: Option<ReplacedState>,
    /// The redaction that emptied it.
    pub redacted_by: Option<OwnedEventId>,
}

/// The request of a local device that made an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventOrigin {
    /// The sender's device.
    pub device_id: OwnedDeviceId,
    /// The transaction id that the device gave.
    pub transaction_id: OwnedTransactionId,
}

impl EventOrigin {
    /// The origin of an event that waited under this id before it was sent (MSC4140). No device has the empty id, so that
    /// this is told from the request of a device, and the id can make one event only.
    pub fn delayed(delay_id: &str) -> Self {
        Self { device_id: "".into(), transaction_id: delay_id.into() }
    }

    /// The id under which the event waited before it was sent, if it did.
    pub fn delay_id(&self) -> Option<&TransactionId> {
        self.device_id.as_str().is_empty().then_some(&*self.transaction_id)
    }
}

/// The state that a state event replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedState {
    /// The replaced event.
    pub event_id: OwnedEventId,
    /// Its content as JSON, emptied when that event is redacted.
    pub content: Box<str>,
}

/// The place of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPlace {
    /// The event's room.
    pub room_id: OwnedRoomId,
    /// Its place in the room's timeline.
    pub order: Order,
}

/// Which piece of a room's state an event set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StatePlace {
    /// The event's type.
    pub kind: String,
    /// Its state key.
    pub state_key: String,
}

/// One version of one piece of a room's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateVersion {
    /// The state event.
    pub event_id: OwnedEventId,
    /// The one word that decisions about visibility ask for (`membership`, `history_visibility`), so that they need not
    /// read the event.
    pub word: Option<Box<str>>,
}

/// A user's relation to a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The membership now.
    pub membership: MembershipState,
    /// The event that set it.
    pub event_id: OwnedEventId,
    /// Whether the user has asked to forget the room since leaving it.
    pub forgotten: bool,
}

/// Who learns of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReceiptKind {
    /// Everybody in the room: `m.read`.
    Public,
    /// Only the reader's own devices: `m.read.private`.
    Private,
}

/// Up to which event somebody has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Who has read.
    pub reader: OwnedUserId,
    /// Who learns of it.
    pub kind: ReceiptKind,
    /// The thread that was read, written as in the key of [`RECEIPTS`].
    pub thread: String,
    /// The last event that was read.
    pub event_id: OwnedEventId,
    /// The place of that event.
    pub order: Order,
    /// When the receipt came, in milliseconds since the Unix epoch.
    pub received_at: u64,
}

/// Where an alias points, and who may take it away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The user who made the alias.
    pub creator: OwnedUserId,
}

impl KeyPart for ReceiptKind {
    fn encode_part(&self, out: &mut Encoder) {
        (*self as u8).encode_part(out);
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        match u8::decode_part(input)? {
            0 => Ok(Self::Public),
            1 => Ok(Self::Private),
            kind => Err(Error::internal(format_args!("there is no kind {kind} of receipts"))),
        }
    }
}

/// The length of the header, the header, and the JSON as it is, so that reading an event copies its text once.
impl Codec<TimelineRow> for TimelineRow {
    fn encode(row: &TimelineRow, out: &mut Encoder) -> Result<()> {
        let mut header = Encoder::with_capacity(128);
        Compact::encode(&row.header, &mut header)?;
        let length = u32::try_from(header.len()).map_err(Error::internal)?;
        out.extend(&length.to_be_bytes());
        out.extend(header.bytes());
        out.extend(row.json.as_bytes());
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<TimelineRow> {
        let damaged = || Error::internal("a row of the timeline is cut short");
        let (length, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let (header, json) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(damaged)?;
        let json = std::str::from_utf8(json).map_err(Error::internal)?;
        Ok(TimelineRow { header: Compact::decode(header)?, json: json.into() })
    }
}

/// The order in its key form, where the commit's position can be filled in, and the room.
impl Codec<EventPlace> for EventPlace {
    fn encode(place: &EventPlace, out: &mut Encoder) -> Result<()> {
        place.order.encode_part(out);
        out.extend(place.room_id.as_bytes());
        Ok(())
    }

    fn decode(mut bytes: &[u8]) -> Result<EventPlace> {
        let order = Order::decode_part(&mut bytes)?;
        let room_id = std::str::from_utf8(bytes).map_err(Error::internal)?;
        Ok(EventPlace { room_id: room_id.try_into().map_err(Error::internal)?, order })
    }
}
