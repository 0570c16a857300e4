//! What a client on one connection knows, as far as the next answer depends on it.
//!
//! Everything large in it is a persistent map, so that each answer has a version of its own at the cost of what changed.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{
    OwnedRoomId, OwnedUserId,
    api::client::sync::sync_events::v5::request::{AccountData, Receipts, Typing},
    events::room::member::MembershipState,
};

use super::{
    config::RoomConfig,
    lists::ToldList,
    overview::Overview,
    request::{RoomDetails, SlidingBody},
};
use crate::{rooms::Counts, storage::Position, sync::SyncToken};

/// What the client knows after an answer.
#[derive(Clone, Default)]
pub(super) struct Told {
    /// The name of the answer; empty before the first.
    pub pos: String,
    /// Up to where the rooms that are not behind were told; nothing before the first answer.
    pub token: Option<SyncToken>,
    /// The rooms that were told.
    pub rooms: imbl::HashMap<OwnedRoomId, ToldRoom>,
    /// The user's rooms in order, for connections with lists.
    pub overview: Option<Arc<Overview>>,
    /// The lists by name.
    pub lists: BTreeMap<String, ToldList>,
    /// What was asked for besides.
    pub settings: Settings,
    /// Whether the global account data was told.
    pub account_data: bool,
    /// Up to where changes of device lists were told, if they ever were.
    pub device_lists: Option<Position>,
    /// Up to where changes of thread subscriptions were told, if they ever were.
    pub thread_subscriptions: Option<Position>,
}

/// What decides over what is told of rooms, besides the lists.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Settings {
    pub subscriptions: Arc<BTreeMap<OwnedRoomId, RoomDetails>>,
    pub account_data: AccountData,
    pub receipts: Receipts,
    pub typing: Typing,
}

/// What the client knows of a room.
#[derive(Clone, Debug)]
pub(super) struct ToldRoom {
    /// Up to where, if something happened since that was not told.
    pub behind: Option<Position>,
    /// The user's membership.
    pub membership: MembershipState,
    /// With what config it was told.
    pub config: Arc<RoomConfig>,
    /// How many of the newest events are known without a gap.
    pub depth: usize,
    /// The members who were told because the timeline speaks of them.
    pub members: imbl::HashSet<OwnedUserId>,
    /// Whether it is known as a direct chat.
    pub is_dm: bool,
    /// How much of it is unread.
    pub unread: Counts,
    /// Whether its receipts are known.
    pub receipts: bool,
    /// Whether its account data is known.
    pub account_data: bool,
    /// Whether it is known who types.
    pub typing: bool,
    /// Whether somebody did, when that was last told.
    pub somebody_types: bool,
}

impl Settings {
    /// Those of a request.
    pub fn of(body: &SlidingBody) -> Self {
        Self {
            subscriptions: Arc::new(body.room_subscriptions.clone()),
            account_data: body.extensions.account_data.clone(),
            receipts: body.extensions.receipts.clone(),
            typing: body.extensions.typing.clone(),
        }
    }
}

impl ToldRoom {
    /// A room of which nothing is known yet.
    pub fn unknown(membership: MembershipState, config: Arc<RoomConfig>) -> Self {
        Self {
            behind: None,
            membership,
            config,
            depth: 0,
            members: imbl::HashSet::new(),
            is_dm: false,
            unread: Counts::default(),
            receipts: false,
            account_data: false,
            typing: false,
            somebody_types: false,
        }
    }
}
