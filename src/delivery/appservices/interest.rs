//! Which rooms an application service hears of: those in its namespaces, and those that its users are in.

use std::{collections::HashMap, sync::Arc};

use ruma::{OwnedRoomId, OwnedUserId, UserId};

use crate::{
    appservices::Appservice,
    error::Result,
    rooms::{Room, Rooms},
    storage::{Order, Position, Snapshot},
};

/// How many rooms are remembered; one takes about two hundred bytes.
const REMEMBERED: usize = 20_000;

/// What is known of rooms on the way through the log: for each one of the service's users who is joined, if there is one.
///
/// It is right at the position up to which the log was read, because every change of a membership passes by.
#[derive(Default)]
pub(super) struct Interest {
    witnesses: HashMap<OwnedRoomId, Option<OwnedUserId>>,
}

/// Where in the log, and whose membership changed there.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The position.
    pub position: Position,
    /// The user whose membership changed.
    pub member: Option<&'a UserId>,
}

impl Interest {
    /// Whether the service hears of what happens in the room at this place.
    pub async fn in_room(
        &mut self,
        rooms: &Rooms,
        snapshot: &Snapshot,
        service: &Appservice,
        room: &Arc<Room>,
        place: Place<'_>,
    ) -> Result<bool> {
        if self.has_user_in(rooms, service, room, place).await? || service.has_room(&room.id) {
            return Ok(true);
        }
        if !service.asks_for_aliases() {
            return Ok(false);
        }
        let aliases = rooms.all_aliases(snapshot, &room.id).await?;
        Ok(aliases.iter().any(|alias| service.has_alias(alias)))
    }

    /// Whether one of the service's users is joined.
    pub async fn has_user_in(
        &mut self,
        rooms: &Rooms,
        service: &Appservice,
        room: &Arc<Room>,
        place: Place<'_>,
    ) -> Result<bool> {
        let moved = place.member.filter(|member| service.has_user(member));
        let known = self.witnesses.get(&room.id).filter(|witness| match (witness, moved) {
            (_, None) => true,
            (Some(witness), Some(moved)) => *witness != *moved,
            (None, Some(_)) => false,
        });
        if let Some(witness) = known {
            return Ok(witness.is_some());
        }
        let state = rooms.state_at(room, Order::Live(place.position)).await?;
        let witness = state.joined.iter().find(|user| service.has_user(user)).cloned();
        if self.witnesses.len() >= REMEMBERED {
            self.witnesses.clear();
        }
        let there = witness.is_some();
        self.witnesses.insert(room.id.clone(), witness);
        Ok(there)
    }
}
