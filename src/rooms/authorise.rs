//! The only place that asks the protocol's authorisation rules about an event.

use crate::{
    error::Result,
    matrix::{auth_rules, event::Event},
};

use super::{Room, RoomState};

/// Whether the rules of the room's version let `event` follow `state`.
///
/// # Errors
///
/// [`Kind::Forbidden`](crate::error::Kind::Forbidden) with the rule that the event breaks.
pub(super) fn authorise(room: &Room, state: &RoomState, event: &Event) -> Result<()> {
    auth_rules::check(room.rules, event, |kind, state_key| state.get(kind, state_key).cloned())
}
