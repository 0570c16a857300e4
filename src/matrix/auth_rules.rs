//! May this event happen: the specification's authorisation rules, asked against the state of a room.
//!
//! Only `rooms/authorise.rs` calls this.

use std::{collections::HashMap, sync::Arc};

use ruma::{
    EventId,
    events::StateEventType,
    room_version_rules::RoomVersionRules,
    state_res::{auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules},
};

use super::{draft::Draft, event::Event};
use crate::error::{Error, Kind, Result};

/// Checks an event against the room's state before it: the rules about the event itself and its `auth_events`, and the
/// rules about the state.
///
/// `fetch_state` gives the state event of a type and state key. Everything that the event names in `auth_events` must
/// be part of that state, as it is for events made here.
///
/// # Errors
///
/// [`Kind::Forbidden`] with the rule that the event breaks.
pub fn check(
    rules: &RoomVersionRules,
    event: &Event,
    fetch_state: impl Fn(&StateEventType, &str) -> Option<Arc<Event>>,
) -> Result<()> {
    let rules = &rules.authorization;
    let places = auth_types_for_event(&event.kind, &event.sender, event.state_key.as_deref(), &event.content, rules)
        .map_err(Error::forbidden)?;
    // From version 12 on the create event is no auth event, but the rules still ask for it.
    let create = (StateEventType::RoomCreate, String::new());
    let state: HashMap<_, _> = places
        .into_iter()
        .chain([create])
        .filter_map(|(kind, key)| fetch_state(&kind, &key))
        .map(|event| (event.id.clone(), event))
        .collect();
    let fetch_event = |id: &EventId| state.get(id).cloned();

    check_state_independent_auth_rules(rules, event, fetch_event).map_err(Error::forbidden)?;
    check_state_dependent_auth_rules(rules, event, fetch_state).map_err(Error::forbidden)
}

/// The places in the room's state whose events belong in the draft's `auth_events`, where such events exist
/// (server-server API, "Auth events selection").
///
/// # Errors
///
/// [`Kind::BadJson`] when the draft is a member event without a state key or with content that is no membership.
pub fn auth_types(rules: &RoomVersionRules, draft: &Draft) -> Result<Vec<(StateEventType, String)>> {
    auth_types_for_event(&draft.kind, &draft.sender, draft.state_key.as_deref(), &draft.content, &rules.authorization)
        .map_err(|reason| Kind::BadJson.with(reason))
}
