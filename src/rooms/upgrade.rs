//! A room gives way to one of another version
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-upgrades)).
//!
//! One commit makes the new room with everything that is in it, closes the old room and moves what leads to it, so that all of it
//! happens or nothing. Who asks again for what they have just done, as a client does that has lost the answer, is told of the room
//! that they made.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ruma::{
    EventId, OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId,
    events::{StateEventType, room::member::MembershipState},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Intent, Room, RoomState, Rooms, Writer, aliases::without_aliases, create::as_room_state,
    member_event::MemberContent, upgrade_levels::quiet, upgrade_plan::Wish,
};
use crate::{
    error::{Kind, Result},
    storage::{
        Direction, KeyRange,
        schema::rooms::{ALIASES, Alias, DIRECTORY, ROOM_ALIASES},
        until_settled,
    },
};

/// How many events the one commit adds to the new room at most. Where more people are banned than that, the others are banned
/// right after it.
const EVENTS_AT_ONCE: usize = 10_000;

/// How many events are signed before others get their turn, and how many each commit adds after the first.
const SIGNED_AT_ONCE: usize = 200;

/// How long the same request is taken for the same upgrade. Afterwards it asks for another room.
const SAME_REQUEST: Duration = Duration::from_secs(300);

/// What leads to a room.
struct WaysIn {
    aliases: Vec<(OwnedRoomAliasId, Alias)>,
    is_published: bool,
}

impl Rooms {
    /// Replaces a room by a new one of another version on behalf of a member, and returns the new one.
    ///
    /// # Errors
    ///
    /// [`Kind::UnsupportedRoomVersion`], [`Kind::Forbidden`] if the user is not in the room or may not replace it, and
    /// [`Kind::InvalidRoomState`] if the new version does not take the room's state.
    pub async fn upgrade(
        &self,
        room_id: &RoomId,
        user: &UserId,
        version: RoomVersionId,
        additional_creators: Vec<OwnedUserId>,
    ) -> Result<OwnedRoomId> {
        let wish = Wish::new(user, version, additional_creators)?;
        let old = self.room_of_member(room_id, user).await?;
        let mut attempts = 0..;
        until_settled(|| self.replace(&old, &wish, attempts.next().unwrap_or_default())).await
    }

    /// Makes the new room, whose time is `later` by that many milliseconds, and closes the old one.
    async fn replace(&self, old: &Arc<Room>, wish: &Wish<'_>, later: u64) -> Result<OwnedRoomId> {
        let (before, done) = self.done_before(old, wish).await?;
        if let Some(new) = done {
            return Ok(new);
        }
        let time = self.shared.clock.millis() + later;
        let (new, create) = match wish.rules.authorization.room_create_event_id_as_room_id {
            true => {
                let create = self.sealed_create(&wish.create(old, None)?, wish.rules, None, time)?;
                (create.0.room_id.clone(), Some(create))
            }
            false => (self.random_room_id()?, None),
        };
        let (ways_in, quieted) = (self.ways_in(old).await?, self.quieted(old).await?);
        let join = self.member_intent(wish.user, wish.user, MemberContent::new(MembershipState::Join)).await?;
        let carried = self.carried(wish.user, (&old.id, &new)).await?;

        let mut closing = self.write(old).await?;
        if tombstone_of(closing.state()) != before {
            drop(closing);
            self.until_visible().await?;
            return Err(Kind::Conflict.with("This room has just been upgraded."));
        }
        let state = closing.state().clone();
        // Whoever may not close the old room is told before anything happens.
        let tombstone = closing.add(tombstone(wish.user, &new)?)?;
        let create = match create {
            Some(create) => create,
            None => self.sealed_create(&wish.create(old, Some(&tombstone.id))?, wish.rules, Some(new.clone()), time)?,
        };
        let mut founding = self.begin_with(create, wish.version.clone(), wish.rules).await?;
        self.add_member(&mut founding, join)?;
        self.carry(&mut founding, wish.user, carried);
        let moving = ways_in.aliases.iter().map(|(alias, _)| alias.clone()).collect();
        let levels = match quieted {
            Some((id, levels)) if holds(&state, &StateEventType::RoomPowerLevels, &id) => Some(levels),
            _ => state.content(&StateEventType::RoomPowerLevels, ""),
        };
        let furniture = wish.state(old, (&state, levels), &moving)?;
        let (now, after) = furniture.split_at(furniture.len().min(EVENTS_AT_ONCE));
        for some in now.chunks(SIGNED_AT_ONCE) {
            some.iter().try_for_each(|intent| founding.add(intent.clone()).map(drop)).map_err(as_room_state)?;
            tokio::task::yield_now().await;
        }
        lead_on(&mut closing, wish.user, &ways_in, &moving, &new)?;
        closing.commit_with(founding).await?;
        self.furnish(&new, after).await?;
        Ok(new)
    }

    /// The event by which the room was replaced, and the room that the same request has made just before, if it has.
    async fn done_before(&self, old: &Room, wish: &Wish<'_>) -> Result<(Option<OwnedEventId>, Option<OwnedRoomId>)> {
        #[derive(Deserialize)]
        struct Content {
            replacement_room: OwnedRoomId,
        }

        let state = old.current();
        let Some(tombstone) = state.get(&StateEventType::RoomTombstone, "") else { return Ok((None, None)) };
        let before = Some(tombstone.id.clone());
        let age = self.shared.clock.millis().saturating_sub(tombstone.origin_server_ts.0.into());
        let is_recent = u128::from(age) < SAME_REQUEST.as_millis();
        let Some(Content { replacement_room }) =
            tombstone.content_as().ok().filter(|_| is_recent && tombstone.sender == *wish.user)
        else {
            return Ok((before, None));
        };
        match self.room(&replacement_room).await {
            Ok(new) if wish.is_met_by(&new, &new.current(), &old.id) => Ok((before, Some(replacement_room))),
            Err(error) if error.kind != Kind::NotFound => Err(error),
            _ => Ok((before, None)),
        }
    }

    /// The event by which an upgrade made the room quiet, if it has been, and the power levels that it had before.
    async fn quieted(&self, room: &Room) -> Result<Option<(OwnedEventId, Map<String, Value>)>> {
        let state = room.current();
        let Some(now) = state.get(&StateEventType::RoomPowerLevels, "") else { return Ok(None) };
        if tombstone_of(&state).is_none() {
            return Ok(None);
        }
        let stored = self.event(&self.shared.store.snapshot(), room, &now.id).await?;
        let replaced = stored.and_then(|stored| stored.header.replaces);
        let before = replaced.and_then(|replaced| serde_json::from_str::<Map<String, Value>>(&replaced.content).ok());
        let is_quieted = |before: &Map<_, _>| now.content_as::<Value>().ok() == quiet(before);
        Ok(before.filter(is_quieted).map(|before| (now.id.clone(), before)))
    }

    /// Adds state to a room that was just made, some events at a time.
    async fn furnish(&self, room_id: &RoomId, intents: &[Intent]) -> Result<()> {
        let room = self.room(room_id).await?;
        for some in intents.chunks(SIGNED_AT_ONCE) {
            until_settled(|| async {
                let mut writer = self.write(&room).await?;
                for intent in some {
                    writer.add(intent.clone())?;
                }
                writer.commit().await.map(drop)
            })
            .await?;
        }
        Ok(())
    }

    async fn ways_in(&self, room: &Room) -> Result<WaysIn> {
        let is_published = DIRECTORY.exists(&self.shared.store.snapshot(), (&room.id,)).await?;
        Ok(WaysIn { aliases: self.aliases_of(room).await?, is_published })
    }

    /// The local aliases of a room with their rows.
    async fn aliases_of(&self, room: &Room) -> Result<Vec<(OwnedRoomAliasId, Alias)>> {
        let snapshot = self.shared.store.snapshot();
        let range = KeyRange::prefix((&room.id,));
        let names = ROOM_ALIASES.scan(&snapshot, range, Direction::Forward, usize::MAX).await?;
        let rows = ALIASES.get_many(&snapshot, names.iter().map(|((_, alias), ())| (alias,))).await?;
        Ok(names.iter().zip(rows).filter_map(|(((_, alias), ()), row)| Some((alias.clone(), row?))).collect())
    }
}

/// Lets everything that leads to a room lead to the one that replaces it.
fn lead_on(
    closing: &mut Writer,
    user: &UserId,
    ways_in: &WaysIn,
    moving: &BTreeSet<OwnedRoomAliasId>,
    new: &RoomId,
) -> Result<()> {
    let old = closing.room().id.clone();
    let advertised = without_aliases(closing.state(), user, moving)?;
    add_if_allowed(closing, advertised)?;
    let levels = closing.state().content(&StateEventType::RoomPowerLevels, "");
    let levels = levels.and_then(|levels| quiet(&levels));
    let levels = levels.map(|levels| Intent::state(user, StateEventType::RoomPowerLevels, "", &levels));
    add_if_allowed(closing, levels.transpose()?)?;
    for (alias, row) in &ways_in.aliases {
        ALIASES.expect(closing.batch(), (alias,), Some(row));
        ALIASES.put(closing.batch(), (alias,), &Alias { room_id: new.to_owned(), ..row.clone() });
        ROOM_ALIASES.delete(closing.batch(), (&old, alias));
        ROOM_ALIASES.put(closing.batch(), (new, alias), &());
    }
    if ways_in.is_published {
        DIRECTORY.expect(closing.batch(), (&old,), Some(&()));
        DIRECTORY.delete(closing.batch(), (&old,));
        DIRECTORY.put(closing.batch(), (new,), &());
    }
    Ok(())
}

/// Whether an event is the one that holds for a piece of state.
fn holds(state: &RoomState, kind: &StateEventType, id: &EventId) -> bool {
    state.get(kind, "").is_some_and(|event| event.id == id)
}

/// The event by which a room was replaced.
fn tombstone_of(state: &RoomState) -> Option<OwnedEventId> {
    state.get(&StateEventType::RoomTombstone, "").map(|tombstone| tombstone.id.clone())
}

/// Adds an event, unless its sender may not send it.
fn add_if_allowed(writer: &mut Writer, intent: Option<Intent>) -> Result<()> {
    match intent.map(|intent| writer.add(intent)) {
        Some(Err(error)) if error.kind != Kind::Forbidden => Err(error),
        _ => Ok(()),
    }
}

/// The event that closes a room in favour of another one.
fn tombstone(user: &UserId, replacement: &RoomId) -> Result<Intent> {
    let content = json!({ "body": "This room has been replaced", "replacement_room": replacement });
    Intent::state(user, StateEventType::RoomTombstone, "", &content)
}
