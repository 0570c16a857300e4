//! The only place that asks the protocol's authorisation rules about an event.

use ruma::events::{StateEventType, TimelineEventType};

use crate::{
    error::Result,
    matrix::{auth_rules, event::Event, owned_state, power_levels::PowerLevels, room_version},
};

use super::{Room, RoomState};

/// Whether the rules of the room's version let `event` follow `state`.
///
/// # Errors
///
/// [`Kind::Forbidden`](crate::error::Kind::Forbidden) with the rule that the event breaks.
pub(super) fn authorise(room: &Room, state: &RoomState, event: &Event) -> Result<()> {
    if room_version::has_owned_state(&room.version) && event.kind != TimelineEventType::RoomMember {
        let Some(create) = state.get(&StateEventType::RoomCreate, "") else {
            return auth_rules::check(room.rules, event, |_, _| None);
        };
        let levels = state.get(&StateEventType::RoomPowerLevels, "");
        owned_state::check(event, &PowerLevels::read(room.rules, create, levels.map(|event| &**event)))?;
        // The other rules know only state that is owned by its sender, and look at the state key for nothing else.
        let mut event = event.clone();
        if event.state_key.as_deref().is_some_and(|key| key.starts_with('@')) {
            event.state_key = Some(event.sender.as_str().into());
        }
        return auth_rules::check(room.rules, &event, |kind, state_key| state.get(kind, state_key).cloned());
    }
    auth_rules::check(room.rules, event, |kind, state_key| state.get(kind, state_key).cloned())
}
