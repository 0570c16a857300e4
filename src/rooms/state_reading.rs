//! Reads the state of a room as its readers may see it: as it is, or as it was when they left.

use std::sync::Arc;

use ruma::{
    RoomId,
    api::client::state::get_state_event_for_key::v3::StateEventFormat,
    events::{AnyStateEvent, StateEventType},
    serde::Raw,
};
use serde_json::value::RawValue;

use super::{Reader, Reading, RoomState, Rooms, visibility::StateAccess};
use crate::{
    error::{Error, Result},
    storage::Order,
};

impl Rooms {
    /// The whole state of a room that a reader may ask for: the current one, or the one at their leave.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) for those who never were members, unless the world may read the
    /// room.
    pub async fn state(&self, room_id: &RoomId, reader: Reader<'_>) -> Result<Vec<Raw<AnyStateEvent>>> {
        let reading = self.read(room_id, reader.user).await?;
        let state = self.readable_state(&reading).await?;
        let renderer = self.state_renderer(&reading.snapshot, &reading.room, reading.recipient(reader), &state).await?;
        Ok(state.events().map(|event| renderer.state_of(&state, event)).collect())
    }

    /// One piece of the state that [`Rooms::state`] would give, in the format that is asked for.
    ///
    /// # Errors
    ///
    /// As [`Rooms::state`], and [`Kind::NotFound`](crate::error::Kind::NotFound) if it is not set.
    pub async fn state_event(
        &self,
        room_id: &RoomId,
        reader: Reader<'_>,
        (kind, state_key): (&StateEventType, &str),
        format: &StateEventFormat,
    ) -> Result<Box<RawValue>> {
        let reading = self.read(room_id, reader.user).await?;
        let state = self.readable_state(&reading).await?;
        let event = state.get(kind, state_key).ok_or_else(|| Error::not_found("The room has no such state."))?;
        match format {
            StateEventFormat::Event => {
                let renderer =
                    self.state_renderer(&reading.snapshot, &reading.room, reading.recipient(reader), &state).await?;
                Ok(renderer.state_of(&state, event).into_json())
            }
            _ => Ok(event.content.clone()),
        }
    }

    /// The state that the reader may ask for.
    pub(super) async fn readable_state(&self, reading: &Reading) -> Result<Arc<RoomState>> {
        let order = match reading.viewer.state_access()? {
            StateAccess::Current => Order::Live(reading.snapshot.position()),
            StateAccess::AtLeave(order) => order,
        };
        self.state_at(&reading.room, order).await
    }
}
