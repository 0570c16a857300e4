//! The answer to a sliding sync. ruma's type of a room lacks what the proposal added later, so that rooms have one of ours.

use std::collections::BTreeMap;

use ruma::{
    OwnedMxcUri, OwnedRoomId, UInt,
    api::client::sync::sync_events::v5::response::{Extensions, Hero, List},
    events::{AnyStrippedStateEvent, AnySyncStateEvent, AnySyncTimelineEvent, room::member::MembershipState},
    serde::Raw,
};
use serde::Serialize;

/// The answer.
#[derive(Debug, Serialize)]
pub struct SlidingAnswer {
    /// Where the connection stands now.
    pub pos: String,
    /// What the request had there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<String>,
    /// How many rooms each list has.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, List>,
    /// What there is to tell of rooms.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rooms: BTreeMap<OwnedRoomId, RoomAnswer>,
    /// What there is to tell besides.
    pub extensions: Extensions,
}

/// What there is to tell of a room. What is left out is as it was, or is not there at all if this is the `initial` answer.
#[derive(Debug, Default, Serialize)]
pub struct RoomAnswer {
    /// Whether the client shall forget what it knew of the room.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub initial: bool,
    /// The user's membership.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipState>,
    /// The lists that pick the room.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<String>,
    /// The name that the room was given; nothing inside if it was taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Option<String>>,
    /// The picture that the room was given; nothing inside if it was taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Option<OwnedMxcUri>>,
    /// Those whose names stand for that of a room without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heroes: Option<Vec<Hero>>,
    /// Whether it is a direct chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_dm: Option<bool>,
    /// What one may know of the room from outside, for those who are invited or knock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite_state: Option<Vec<Raw<AnyStrippedStateEvent>>>,
    /// State that the client wants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_state: Vec<Raw<AnySyncStateEvent>>,
    /// The newest events, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Raw<AnySyncTimelineEvent>>,
    /// From where to ask for what came before the timeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
    /// Whether there is more between what the client knows and the timeline.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
    /// Whether the timeline reaches back behind what the client knows.
    #[serde(rename = "unstable_expanded_timeline", skip_serializing_if = "std::ops::Not::not")]
    pub expanded_timeline: bool,
    /// How many of the timeline's events happened since the answer before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_live: Option<UInt>,
    /// How many members there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined_count: Option<UInt>,
    /// How many people are invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited_count: Option<UInt>,
    /// How many unread events notify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_count: Option<UInt>,
    /// How many of these stand out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub highlight_count: Option<UInt>,
    /// Something that is the larger, the later somebody said something in the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bump_stamp: Option<UInt>,
}
