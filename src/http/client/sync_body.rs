//! The answer to a sync as clients read it. ruma's types leave out what is empty; here every section is always there, since
//! some clients count on them.

use std::collections::BTreeMap;

use ruma::{
    OneTimeKeyAlgorithm, OwnedEventId, OwnedRoomId, OwnedUserId, UInt,
    api::client::sync::sync_events::{
        UnreadNotificationsCount,
        v3::{
            GlobalAccountData, InvitedRoom, JoinedRoom, KnockedRoom, LeftRoom, Presence, RoomSummary, Rooms, State,
            Timeline,
        },
    },
    events::{
        AnyRoomAccountDataEvent, AnySyncEphemeralRoomEvent, AnySyncStateEvent, AnySyncTimelineEvent, AnyToDeviceEvent,
    },
    serde::Raw,
};
use serde::Serialize;

use crate::sync::SyncAnswer;

/// The body of the answer.
#[derive(Serialize)]
pub struct Body {
    next_batch: String,
    rooms: RoomSections,
    presence: Presence,
    account_data: GlobalAccountData,
    to_device: Events<AnyToDeviceEvent>,
    device_lists: DeviceLists,
    device_one_time_keys_count: BTreeMap<OneTimeKeyAlgorithm, UInt>,
    device_unused_fallback_key_types: Vec<OneTimeKeyAlgorithm>,
}

/// A list of events, under the name that all of them have.
#[derive(Serialize)]
#[serde(bound = "")]
struct Events<T> {
    events: Vec<Raw<T>>,
}

/// Whose devices have to be asked for again, and whose need not be known any more.
#[derive(Serialize)]
struct DeviceLists {
    changed: Vec<OwnedUserId>,
    left: Vec<OwnedUserId>,
}

/// The rooms by membership; those that nothing is told of are left out.
#[derive(Serialize)]
struct RoomSections {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    join: BTreeMap<OwnedRoomId, Joined>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    invite: BTreeMap<OwnedRoomId, InvitedRoom>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    knock: BTreeMap<OwnedRoomId, KnockedRoom>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    leave: BTreeMap<OwnedRoomId, Left>,
}

/// A joined room.
#[derive(Serialize)]
struct Joined {
    summary: RoomSummary,
    #[serde(flatten)]
    state: StateSection,
    timeline: TimelineSection,
    ephemeral: Events<AnySyncEphemeralRoomEvent>,
    account_data: Events<AnyRoomAccountDataEvent>,
    unread_notifications: UnreadNotificationsCount,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unread_thread_notifications: BTreeMap<OwnedEventId, UnreadNotificationsCount>,
}

/// The newest events of a room.
#[derive(Serialize)]
struct TimelineSection {
    limited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<String>,
    events: Vec<Raw<AnySyncTimelineEvent>>,
}

/// A room that was left.
#[derive(Serialize)]
struct Left {
    #[serde(flatten)]
    state: StateSection,
    timeline: TimelineSection,
    account_data: Events<AnyRoomAccountDataEvent>,
}

/// The state, under the name of the end of the timeline at which it holds.
#[derive(Serialize)]
enum StateSection {
    #[serde(rename = "state")]
    Before(Events<AnySyncStateEvent>),
    #[serde(rename = "state_after")]
    After(Events<AnySyncStateEvent>),
    #[serde(rename = "org.matrix.msc4222.state_after")]
    UnstableAfter(Events<AnySyncStateEvent>),
}

impl StateSection {
    fn with_unstable_name(self) -> Self {
        match self {
            Self::After(events) => Self::UnstableAfter(events),
            other => other,
        }
    }
}

impl Body {
    /// For a client that asked by the names of before MSC4222 was part of the specification.
    #[must_use]
    pub fn with_unstable_names(mut self) -> Self {
        let RoomSections { join, leave, .. } = &mut self.rooms;
        let states =
            join.values_mut().map(|room| &mut room.state).chain(leave.values_mut().map(|room| &mut room.state));
        for state in states {
            let named = std::mem::replace(state, StateSection::Before(Events { events: Vec::new() }));
            *state = named.with_unstable_name();
        }
        self
    }
}

impl From<SyncAnswer> for Body {
    fn from(answer: SyncAnswer) -> Self {
        Self {
            next_batch: answer.next.to_string(),
            rooms: answer.rooms.into(),
            presence: answer.presence,
            account_data: answer.account_data,
            to_device: Events { events: answer.to_device },
            device_lists: DeviceLists { changed: answer.device_lists.changed, left: answer.device_lists.left },
            device_one_time_keys_count: answer.key_stock.one_time_key_counts.clone(),
            device_unused_fallback_key_types: answer.key_stock.unused_fallback_key_types.clone(),
        }
    }
}

impl From<Rooms> for RoomSections {
    fn from(rooms: Rooms) -> Self {
        Self {
            join: rooms.join.into_iter().map(|(room_id, room)| (room_id, room.into())).collect(),
            invite: rooms.invite,
            knock: rooms.knock,
            leave: rooms.leave.into_iter().map(|(room_id, room)| (room_id, room.into())).collect(),
        }
    }
}

impl From<JoinedRoom> for Joined {
    fn from(room: JoinedRoom) -> Self {
        Self {
            summary: room.summary,
            state: room.state.into(),
            timeline: room.timeline.into(),
            ephemeral: Events { events: room.ephemeral.events },
            account_data: Events { events: room.account_data.events },
            unread_notifications: room.unread_notifications,
            unread_thread_notifications: room.unread_thread_notifications,
        }
    }
}

impl From<LeftRoom> for Left {
    fn from(room: LeftRoom) -> Self {
        let account_data = Events { events: room.account_data.events };
        Self { state: room.state.into(), timeline: room.timeline.into(), account_data }
    }
}

impl From<Timeline> for TimelineSection {
    fn from(timeline: Timeline) -> Self {
        Self { limited: timeline.limited, prev_batch: timeline.prev_batch, events: timeline.events }
    }
}

impl From<State> for StateSection {
    fn from(state: State) -> Self {
        match state {
            State::After(state) => Self::After(Events { events: state.events }),
            State::Before(state) => Self::Before(Events { events: state.events }),
            // ruma leaves room for kinds that it does not have yet; this server makes none of them.
            _ => Self::Before(Events { events: Vec::new() }),
        }
    }
}
