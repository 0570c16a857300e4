//! Finds what changed for one user since a position, at a cost that grows with the changes and not with the rooms.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedRoomId, UserId};

use crate::{
    error::Result,
    rooms::Rooms,
    storage::Snapshot,
    streams::{Change, Log, Position},
};

/// How many rows of the whole server's log a sync reads before it looks at its user's rooms one by one instead. Reading a
/// row costs about as much as asking one room whether anything happened in it.
const ROWS_READ: usize = 512;

/// Where a sync has to look.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// The rooms in which something happened that may concern the user.
    pub rooms: BTreeSet<OwnedRoomId>,
    /// The types of account data that changed, global under `None`.
    pub account_data: BTreeMap<Option<OwnedRoomId>, BTreeSet<String>>,
}

impl Changed {
    /// What changed for `user` after `since`.
    pub async fn since(rooms: &Rooms, snapshot: &Snapshot, user: &UserId, since: Position) -> Result<Self> {
        let mut changed = Self::default();
        if snapshot.position() <= since {
            return Ok(changed);
        }
        let rows = Log::since(snapshot, since, ROWS_READ).await?;
        if rows.len() < ROWS_READ {
            for (_, change) in rows {
                changed.note(rooms, snapshot, user, change).await?;
            }
            return Ok(changed);
        }
        for (_, change) in Log::of_user_since(snapshot, user, since).await? {
            changed.note(rooms, snapshot, user, change).await?;
        }
        changed.rooms.extend(rooms.joined_and_changed(snapshot, user, since).await?);
        Ok(changed)
    }

    /// Takes note of a change if it concerns the user.
    async fn note(&mut self, rooms: &Rooms, snapshot: &Snapshot, user: &UserId, change: Change) -> Result<()> {
        match change {
            Change::Event { room, member } => {
                let own = member.as_deref() == Some(user);
                if !self.rooms.contains(&room) && (own || rooms.is_joined(snapshot, &room, user).await?) {
                    self.rooms.insert(room);
                }
            }
            Change::Receipt { room, user: reader, private } => {
                let own = *reader == *user;
                let concerned = own || !private && rooms.is_joined(snapshot, &room, user).await?;
                if concerned {
                    self.rooms.insert(room);
                }
            }
            Change::AccountData { user: owner, room, kind } if *owner == *user => {
                self.rooms.extend(room.clone());
                self.account_data.entry(room).or_default().insert(kind);
            }
            _ => {}
        }
        Ok(())
    }
}
