//! A room gives way to one of another version
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-upgrades)).
//!
//! First the new room is made, with everything that is in it; nothing leads to it yet. Then one commit closes the old room,
//! names the new one in it and moves the aliases and the place in the directory. A crash in between leaves a room that only
//! its creator is in, and the next attempt makes another one.

use std::{collections::BTreeSet, sync::Arc};

use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId, events::StateEventType};
use serde_json::json;

use super::{
    Intent, Room, Rooms, Writer,
    aliases::without_aliases,
    upgrade_levels::quiet,
    upgrade_plan::{Replacement, Wish},
};
use crate::{
    error::{Kind, Result},
    matrix::room_version,
    storage::{
        Direction, KeyRange,
        schema::rooms::{ALIASES, Alias, DIRECTORY, ROOM_ALIASES},
        until_settled,
    },
};

/// How many events one commit adds to the new room.
const EVENTS_AT_ONCE: usize = 200;

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
        let rules = room_version::rules(&version)?;
        let old = self.room_of_member(room_id, user).await?;
        // Whoever may not close the old room is told before anything happens.
        self.write(&old).await?.add(tombstone(user, room_id)?)?;
        let aliases = self.aliases_of(&old).await?.into_iter().map(|(alias, _)| alias).collect();
        let wish = Wish { user, version, rules, additional_creators, aliases };
        let replacement = Replacement::new(&old, &old.current(), wish)?;
        let mut attempts = 0..;
        let new = until_settled(|| self.found(&replacement.plan, attempts.next().unwrap_or_default())).await?;
        let mut outcome = self.furnish(&new, &replacement.rest).await;
        if outcome.is_ok() {
            outcome = self.hand_over(&old, &new, user).await;
        }
        if let Err(error) = outcome {
            // Nothing leads to the new room, so that its only member had better not see it.
            let abandoned = self.room(&new).await?;
            self.leave_whatever_it_is(&abandoned, user, None).await?;
            return Err(error);
        }
        Ok(new)
    }

    /// Adds state to a room that was just made, some events at a time.
    async fn furnish(&self, room_id: &RoomId, intents: &[Intent]) -> Result<()> {
        let room = self.room(room_id).await?;
        for some in intents.chunks(EVENTS_AT_ONCE) {
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

    /// Closes the old room and lets everything that leads to it lead to the new one.
    async fn hand_over(&self, old: &Arc<Room>, new: &RoomId, user: &UserId) -> Result<()> {
        until_settled(|| async {
            let aliases = self.aliases_of(old).await?;
            let is_published = DIRECTORY.exists(&self.shared.store.snapshot(), (&old.id,)).await?;
            let mut writer = self.write(old).await?;
            writer.add(tombstone(user, new)?)?;
            let moving: BTreeSet<OwnedRoomAliasId> = aliases.iter().map(|(alias, _)| alias.clone()).collect();
            let advertised = without_aliases(writer.state(), user, &moving)?;
            add_if_allowed(&mut writer, advertised)?;
            let levels = quiet(writer.state());
            let levels = levels.map(|levels| Intent::state(user, StateEventType::RoomPowerLevels, "", &levels));
            add_if_allowed(&mut writer, levels.transpose()?)?;
            for (alias, row) in &aliases {
                ALIASES.expect(writer.batch(), (alias,), Some(row));
                ALIASES.put(writer.batch(), (alias,), &Alias { room_id: new.to_owned(), ..row.clone() });
                ROOM_ALIASES.delete(writer.batch(), (&old.id, alias));
                ROOM_ALIASES.put(writer.batch(), (new, alias), &());
            }
            if is_published {
                DIRECTORY.delete(writer.batch(), (&old.id,));
                DIRECTORY.put(writer.batch(), (new,), &());
            }
            writer.commit().await.map(drop)
        })
        .await
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
