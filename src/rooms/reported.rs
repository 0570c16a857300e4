//! What of rooms can be reported, and what an administrator is shown of it.

use ruma::{EventId, OwnedRoomAliasId, RoomId, UserId, events::StateEventType};
use serde::Deserialize;

use super::{
    Rooms,
    timeline::{as_no_such_event, no_such_event},
};
use crate::{
    error::{Kind, Result},
    matrix::client_event::{self, Unsigned},
    users::ReportedSubject,
};

/// How a room is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomNames {
    /// Its name.
    pub name: Option<String>,
    /// Its canonical alias.
    pub alias: Option<OwnedRoomAliasId>,
}

impl Rooms {
    /// An event as a member of its room reports it.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if the reporter is not joined to the room or does not see such an event there.
    pub async fn reported_event(
        &self,
        room_id: &RoomId,
        reporter: &UserId,
        event_id: &EventId,
    ) -> Result<ReportedSubject> {
        let reading = self.read(room_id, reporter).await.map_err(as_no_such_event)?;
        if reading.viewer.joined_at().is_none() {
            return Err(no_such_event());
        }
        let found = self.event(&reading.snapshot, &reading.room, event_id).await?;
        // Who ignores the sender may have read it elsewhere, or before.
        let found = found.filter(|found| reading.viewer.may_see_place(found.order)).ok_or_else(no_such_event)?;
        let json = client_event::timeline(&found.event, &Unsigned::default());
        Ok(ReportedSubject::Event {
            room: room_id.to_owned(),
            event: event_id.to_owned(),
            sender: found.event.sender.clone(),
            json: json.json().get().to_owned(),
        })
    }

    /// Whether there is such a room here.
    pub async fn exists(&self, room_id: &RoomId) -> Result<bool> {
        match self.room(room_id).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How a room is called now, for administrators; nothing if there is no such room.
    pub async fn names(&self, room_id: &RoomId) -> Result<RoomNames> {
        #[derive(Deserialize)]
        struct Name {
            name: String,
        }

        #[derive(Deserialize)]
        struct Alias {
            alias: OwnedRoomAliasId,
        }

        if !self.exists(room_id).await? {
            return Ok(RoomNames::default());
        }
        let state = self.room(room_id).await?.current();
        let name: Option<Name> = state.content(&StateEventType::RoomName, "");
        let alias: Option<Alias> = state.content(&StateEventType::RoomCanonicalAlias, "");
        Ok(RoomNames { name: name.map(|content| content.name), alias: alias.map(|content| content.alias) })
    }
}
