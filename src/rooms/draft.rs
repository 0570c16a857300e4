//! Turns what a user wants to say into a signed event that fits the room at this moment.

use std::collections::BTreeMap;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedUserId, UserId,
    events::{StateEventType, TimelineEventType},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Room, RoomState, Rooms};
use crate::{
    error::{Error, Result},
    matrix::{
        auth_rules,
        draft::{Draft, seal_checked},
        event::Event,
    },
    storage::schema::rooms::EventOrigin,
};

/// An event as its sender means it, before it has a place in a room.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Who says it.
    pub sender: OwnedUserId,
    /// The event's type.
    pub kind: TimelineEventType,
    /// The state key, if it is a state event.
    pub state_key: Option<String>,
    /// The content as JSON.
    pub content: Box<RawValue>,
    /// The event that it redacts, for room versions that say so outside the content.
    pub redacts: Option<OwnedEventId>,
    /// The device's request behind it.
    pub origin: Option<EventOrigin>,
    /// The time that an application service wants the event to bear.
    pub timestamp: Option<MilliSecondsSinceUnixEpoch>,
}

impl Intent {
    /// A message event.
    pub fn message(sender: &UserId, kind: impl Into<TimelineEventType>, content: Box<RawValue>) -> Self {
        let (sender, kind) = (sender.to_owned(), kind.into());
        Self { sender, kind, state_key: None, content, redacts: None, origin: None, timestamp: None }
    }

    /// A state event with any serialisable content.
    ///
    /// # Errors
    ///
    /// Fails if the content is not representable as JSON.
    pub fn state(sender: &UserId, kind: StateEventType, state_key: &str, content: &impl Serialize) -> Result<Self> {
        let content = to_raw_value(content).map_err(Error::internal)?;
        let kind = TimelineEventType::from(kind.to_string());
        Ok(Self { state_key: Some(state_key.to_owned()), ..Self::message(sender, kind, content) })
    }
}

impl Rooms {
    /// Builds and signs the event that follows `state` in `room`.
    pub(super) fn draft(&self, room: &Room, state: &RoomState, intent: &Intent) -> Result<(Event, Box<str>)> {
        let mut draft = Draft {
            room_id: Some(room.id.clone()),
            prev_events: state.heads.clone(),
            depth: state.depth + 1,
            ..self.unattached(intent)
        };
        let types = auth_rules::auth_types(room.rules, &draft)?;
        let auth_events = types.iter().filter_map(|(kind, key)| state.get(kind, key));
        draft.references.clone_from(&state.head_hashes);
        for event in auth_events {
            draft.auth_events.push(event.id.clone());
            draft.references.extend(event.reference_hash.iter().map(|hash| (event.id.clone(), hash.clone())));
        }
        seal_checked(draft, room.rules, &self.shared.settings.server_name, &self.shared.key)
    }

    /// The part of a draft that does not depend on the room's state; all of it for the event that creates a room.
    pub(super) fn unattached(&self, intent: &Intent) -> Draft {
        Draft {
            room_id: None,
            sender: intent.sender.clone(),
            kind: intent.kind.clone(),
            state_key: intent.state_key.clone(),
            content: intent.content.clone(),
            redacts: intent.redacts.clone(),
            prev_events: Vec::new(),
            auth_events: Vec::new(),
            references: BTreeMap::new(),
            depth: 1,
            origin_server_ts: intent.timestamp.unwrap_or_else(|| self.shared.clock.now()),
        }
    }
}
