//! What a client asks for in a sliding sync, as its JSON has it, and the limits of that.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, UInt, UserId, api::client::sync::sync_events::v5::request::Extensions};
use serde::Deserialize;

use super::config::RoomConfig;
use crate::error::{Error, Result};

/// The most lists and the most subscriptions of one request, as MSC4186 has it.
const MAXIMUM_RULES: usize = 100;

/// The most ranges of one list.
const MAXIMUM_RANGES: usize = 100;

/// The most pieces of state that one rule names.
const MAXIMUM_REQUIRED_STATE: usize = 500;

/// The longest name of a connection or a list, in bytes.
const MAXIMUM_NAME: usize = 255;

/// The body of a request.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SlidingBody {
    /// Where the connection stands; nothing at its start.
    pub pos: Option<String>,
    /// Which of the device's connections this is.
    #[serde(default)]
    pub conn_id: String,
    /// What the answer repeats.
    pub txn_id: Option<String>,
    /// How many milliseconds the client is willing to wait for news.
    pub timeout: Option<UInt>,
    /// How the user wants to appear to others.
    pub set_presence: Option<String>,
    /// Rules that pick rooms by their place among the user's rooms, the most recently active one first.
    #[serde(default)]
    pub lists: BTreeMap<String, List>,
    /// Rules that name rooms.
    #[serde(default)]
    pub room_subscriptions: BTreeMap<OwnedRoomId, RoomDetails>,
    /// What the client wants besides rooms.
    #[serde(default)]
    pub extensions: Extensions,
}

/// What is told of each room that a rule picks.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct RoomDetails {
    /// The state that the client wants to know, as pairs of type and state key.
    #[serde(default)]
    required_state: Vec<(String, String)>,
    /// The most events of the timeline.
    timeline_limit: UInt,
}

/// A rule that picks rooms by their place.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct List {
    /// The places, both ends included; all places if there is neither this nor `range`.
    ranges: Option<Vec<(UInt, UInt)>>,
    /// As `ranges`, for a single one.
    range: Option<(UInt, UInt)>,
    /// Which rooms have places in this list.
    #[serde(default)]
    pub filters: Filters,
    #[serde(flatten)]
    details: RoomDetails,
}

/// Which of the user's rooms a list is made of: those that pass everything that is set.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Filters {
    /// Direct chats by `m.direct`, or all others.
    pub is_dm: Option<bool>,
    /// Encrypted rooms, or all others.
    pub is_encrypted: Option<bool>,
    /// Invitations, or all others.
    #[serde(alias = "is_invited")]
    pub is_invite: Option<bool>,
    /// Rooms of these types; `null` is a room without one.
    pub room_types: Option<Vec<Option<String>>>,
    /// No rooms of these types.
    pub not_room_types: Option<Vec<Option<String>>>,
    /// Rooms with any of these tags.
    pub tags: Option<Vec<String>>,
    /// Rooms with none of these tags.
    pub not_tags: Option<Vec<String>>,
    /// Rooms that any of these spaces names as its children.
    pub spaces: Option<Vec<OwnedRoomId>>,
}

impl SlidingBody {
    /// Checks what can be too much.
    ///
    /// # Errors
    ///
    /// `InvalidParam` for more rules, longer names or more pieces of state than the server takes, and for ranges that end
    /// before they start.
    pub fn check(&self) -> Result<()> {
        if self.lists.len() > MAXIMUM_RULES || self.room_subscriptions.len() > MAXIMUM_RULES {
            return Err(Error::invalid("A request has at most 100 lists and 100 room subscriptions."));
        }
        let names = self.lists.keys().chain([&self.conn_id]).chain(&self.txn_id);
        if names.into_iter().any(|name| name.len() > MAXIMUM_NAME) {
            return Err(Error::invalid("The names of lists, of connections and of requests have at most 255 bytes."));
        }
        self.lists.values().try_for_each(List::check)?;
        self.room_subscriptions.values().try_for_each(RoomDetails::check)
    }
}

impl RoomDetails {
    fn check(&self) -> Result<()> {
        match self.required_state.len() > MAXIMUM_REQUIRED_STATE {
            true => Err(Error::invalid("The required state of a rule has at most 500 entries.")),
            false => Ok(()),
        }
    }

    /// As it holds for `reader`.
    pub(super) fn config(&self, reader: &UserId) -> RoomConfig {
        RoomConfig::new(self.timeline_limit, &self.required_state, reader)
    }
}

impl List {
    fn check(&self) -> Result<()> {
        let ranges = self.ranges.iter().flatten();
        if self.ranges.as_ref().is_some_and(|ranges| ranges.len() > MAXIMUM_RANGES) {
            return Err(Error::invalid("A list has at most 100 ranges."));
        }
        if ranges.chain(&self.range).any(|(start, end)| start > end) {
            return Err(Error::invalid("A range of a list must not end before it starts."));
        }
        self.details.check()
    }

    /// The places, both ends included.
    pub(super) fn ranges(&self) -> Vec<(usize, usize)> {
        let number = |number: UInt| usize::try_from(u64::from(number)).unwrap_or(usize::MAX);
        let ranges = self.ranges.iter().flatten().chain(&self.range);
        let ranges: Vec<_> = ranges.map(|(start, end)| (number(*start), number(*end))).collect();
        match self.ranges.is_none() && self.range.is_none() {
            true => vec![(0, usize::MAX)],
            false => ranges,
        }
    }

    /// What is told of its rooms.
    pub(super) fn details(&self) -> &RoomDetails {
        &self.details
    }
}
