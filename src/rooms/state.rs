//! A room's state as a persistent map: cheap to clone, so that readers keep the version they took while writers go on.

use std::{collections::BTreeMap, sync::Arc};

use imbl::{HashMap, OrdMap, OrdSet};
use ruma::{
    EventId, OwnedEventId, OwnedUserId, UserId,
    events::{StateEventType, room::member::MembershipState},
};

use crate::{matrix::event::Event, storage::Position};

/// The current state of a room after its newest event, and the point at which the next event attaches.
#[derive(Clone, Debug, Default)]
pub struct RoomState {
    /// The position of the newest event; zero before the first is durable.
    pub position: Position,
    /// The position of the newest state event, likewise.
    pub changed: Position,
    /// The `prev_events` of the next event.
    pub heads: Vec<OwnedEventId>,
    /// Their reference hashes, in rooms where the next event has to name these.
    pub head_hashes: BTreeMap<OwnedEventId, Box<str>>,
    /// The greatest depth among the heads.
    pub depth: u64,
    /// The users who are joined.
    pub joined: OrdSet<OwnedUserId>,
    /// The users who are invited.
    pub invited: OrdSet<OwnedUserId>,
    /// Which redaction emptied which state event; most rooms have none.
    redactions: HashMap<OwnedEventId, OwnedEventId>,
    /// Nested, so that a look-up needs no owned key and the members stand together, ordered by user id.
    events: HashMap<StateEventType, OrdMap<String, Arc<Event>>>,
}

impl RoomState {
    /// A state without events yet, whose next event follows `heads`.
    pub(super) fn attached_to(heads: Vec<OwnedEventId>, depth: u64) -> Self {
        Self { heads, depth, ..Self::default() }
    }

    /// The state event of this type and state key.
    pub fn get(&self, kind: &StateEventType, state_key: &str) -> Option<&Arc<Event>> {
        self.events.get(kind)?.get(state_key)
    }

    /// The state events of one type with their state keys, ordered by state key.
    pub fn of_kind(&self, kind: &StateEventType) -> impl Iterator<Item = (&String, &Arc<Event>)> {
        self.events.get(kind).into_iter().flatten()
    }

    /// Every state event.
    pub fn events(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.events.values().flat_map(OrdMap::values)
    }

    /// The membership of a user; `leave` if the room has never heard of them.
    pub fn membership(&self, user: &UserId) -> MembershipState {
        self.member(user).and_then(|event| event.membership()).unwrap_or(MembershipState::Leave)
    }

    /// The member event of a user.
    pub fn member(&self, user: &UserId) -> Option<&Arc<Event>> {
        self.get(&StateEventType::RoomMember, user.as_str())
    }

    /// Whether a user is joined.
    pub fn is_joined(&self, user: &UserId) -> bool {
        self.joined.contains(user)
    }

    /// The content of a state event as a type, or nothing if the event is absent or its content is of another shape.
    pub fn content<T: serde::de::DeserializeOwned>(&self, kind: &StateEventType, state_key: &str) -> Option<T> {
        self.get(kind, state_key)?.content_as().ok()
    }

    /// The redaction that emptied a state event.
    pub fn redaction_of(&self, event_id: &EventId) -> Option<&OwnedEventId> {
        self.redactions.get(event_id)
    }

    /// The redactions that emptied events of this state.
    pub fn redactions(&self) -> impl Iterator<Item = &OwnedEventId> {
        self.redactions.values()
    }

    /// Puts a state event in its place together with the redaction that emptied it, if one did.
    pub(super) fn set_stored(&mut self, event: Arc<Event>, redacted_by: Option<OwnedEventId>) {
        let id = event.id.clone();
        self.set(event);
        if let Some(redaction) = redacted_by {
            self.redactions.insert(id, redaction);
        }
    }

    /// Puts a state event in the place of the one with its type and state key. An event that is no state event changes nothing.
    pub fn set(&mut self, event: Arc<Event>) {
        let Some(state_key) = event.state_key.clone() else { return };
        let kind = StateEventType::from(event.kind.to_string());
        if kind == StateEventType::RoomMember {
            self.set_member(&state_key, event.membership());
        }
        let replaced = self.events.entry(kind).or_default().insert(state_key.into(), event);
        self.forget_redaction_of(replaced);
    }

    /// Takes out the state event of this type and state key, as if it had never been set.
    pub(super) fn remove(&mut self, kind: &StateEventType, state_key: &str) {
        if *kind == StateEventType::RoomMember {
            self.set_member(state_key, None);
        }
        let removed = self.events.get_mut(kind).and_then(|events| events.remove(state_key));
        self.forget_redaction_of(removed);
    }

    fn forget_redaction_of(&mut self, gone: Option<Arc<Event>>) {
        if let Some(gone) = gone {
            self.redactions.remove(&gone.id);
        }
    }

    /// Keeps the sets of joined and invited users true.
    fn set_member(&mut self, state_key: &str, membership: Option<MembershipState>) {
        let Ok(user) = UserId::parse(state_key) else { return };
        self.joined.remove(&user);
        self.invited.remove(&user);
        match membership {
            Some(MembershipState::Join) => drop(self.joined.insert(user)),
            Some(MembershipState::Invite) => drop(self.invited.insert(user)),
            _ => {}
        }
    }
}
