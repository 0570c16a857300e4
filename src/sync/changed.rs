//! Finds what changed for one user since a position, at a cost that grows with the changes and not with the rooms.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{
    OwnedRoomId, OwnedUserId, UserId,
    events::{GlobalAccountDataEventType, room::member::MembershipState},
};

use crate::{
    error::Result,
    matrix::invite_filter,
    rooms::Rooms,
    storage::Snapshot,
    streams::{Change, Log, Position},
    users::ThreadSubscriptions,
};

/// How many rows of the whole server's log a sync reads before it looks at its user's rooms one by one instead. Reading a
/// row costs about as much as asking one room whether anything happened in it.
const ROWS_READ: usize = 512;

/// Where a sync has to look.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Rooms of the log that the user is not joined to, so that each is asked about once.
    elsewhere: BTreeSet<OwnedRoomId>,
    /// The rooms in which something happened that may concern the user.
    pub rooms: BTreeSet<OwnedRoomId>,
    /// The types of account data that changed, global under `None`.
    pub account_data: BTreeMap<Option<OwnedRoomId>, BTreeSet<String>>,
    /// The rooms about whose threads the user decided, which may change what counts as unread there.
    pub followed: BTreeSet<OwnedRoomId>,
    /// The users whose devices or keys changed, whether or not the user has to do with them.
    pub device_lists: BTreeSet<OwnedUserId>,
    /// The users whose keys the user signed.
    pub signed: BTreeSet<OwnedUserId>,
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
            changed.note_all(rooms, snapshot, user, since, rows).await?;
            return changed.with_invitations(rooms, snapshot, user).await;
        }
        let rows = Log::of_user_since(snapshot, user, since).await?;
        changed.note_all(rooms, snapshot, user, since, rows).await?;
        changed.rooms.extend(rooms.joined_and_changed(snapshot, user, since).await?);
        changed.device_lists = Log::device_lists_since(snapshot, since).await?;
        changed.with_invitations(rooms, snapshot, user).await
    }

    /// Whether the user changed whose invitations they want to hear of.
    pub fn who_may_invite(&self) -> bool {
        let ignored = GlobalAccountDataEventType::IgnoredUserList.to_string();
        let deciding = [&*ignored, invite_filter::PERMISSION, invite_filter::UNSTABLE_PERMISSION, invite_filter::LISTS];
        let global = self.account_data.get(&None);
        global.is_some_and(|kinds| deciding.iter().any(|kind| kinds.contains(*kind)))
    }

    /// Takes note of the rooms that the user is invited to, if what is told of them may be other than before.
    async fn with_invitations(mut self, rooms: &Rooms, snapshot: &Snapshot, user: &UserId) -> Result<Self> {
        if self.who_may_invite() {
            let all = rooms.of_user(snapshot, user).await?.into_iter();
            let invitations = all.filter(|(_, row)| row.value.membership == MembershipState::Invite);
            self.rooms.extend(invitations.map(|(room_id, _)| room_id));
        }
        Ok(self)
    }

    /// Takes note of those of the rooms that the user is in.
    pub async fn note_rooms(
        &mut self,
        rooms: &Rooms,
        snapshot: &Snapshot,
        user: &UserId,
        noted: Vec<OwnedRoomId>,
    ) -> Result<()> {
        for room in noted {
            if !self.rooms.contains(&room) && rooms.is_joined(snapshot, &room, user).await? {
                self.rooms.insert(room);
            }
        }
        Ok(())
    }

    /// Takes note of those of the changes after `since` that concern the user.
    async fn note_all(
        &mut self,
        rooms: &Rooms,
        snapshot: &Snapshot,
        user: &UserId,
        since: Position,
        changes: Vec<(Position, Change)>,
    ) -> Result<()> {
        let mut decided = false;
        for (_, change) in changes {
            decided |= matches!(&change, Change::ThreadSubscription { user: owner } if *owner == *user);
            self.note(rooms, snapshot, user, change).await?;
        }
        if decided {
            self.followed = ThreadSubscriptions::rooms_since(snapshot, user, since).await?;
            self.rooms.extend(self.followed.iter().cloned());
        }
        Ok(())
    }

    /// Takes note of a change if it concerns the user.
    async fn note(&mut self, rooms: &Rooms, snapshot: &Snapshot, user: &UserId, change: Change) -> Result<()> {
        match change {
            Change::Event { room, member } => {
                if member.as_deref() == Some(user) {
                    self.rooms.insert(room);
                } else {
                    self.note_room(rooms, snapshot, user, room).await?;
                }
            }
            Change::Receipt { room, user: reader, private } => {
                if *reader == *user {
                    self.rooms.insert(room);
                } else if !private {
                    self.note_room(rooms, snapshot, user, room).await?;
                }
            }
            Change::AccountData { user: owner, room, kind } if *owner == *user => {
                self.rooms.extend(room.clone());
                self.account_data.entry(room).or_default().insert(kind);
            }
            Change::Forgotten { room, user: owner } if *owner == *user => drop(self.rooms.insert(room)),
            Change::DeviceList { user } => drop(self.device_lists.insert(user)),
            Change::Signed { user: signer, owner } if *signer == *user => drop(self.signed.insert(owner)),
            _ => {}
        }
        Ok(())
    }

    /// Takes note of a room in which something happened that concerns its members, if the user is one of them.
    async fn note_room(&mut self, rooms: &Rooms, snapshot: &Snapshot, user: &UserId, room: OwnedRoomId) -> Result<()> {
        if self.rooms.contains(&room) || self.elsewhere.contains(&room) {
            return Ok(());
        }
        match rooms.is_joined(snapshot, &room, user).await? {
            true => self.rooms.insert(room),
            false => self.elsewhere.insert(room),
        };
        Ok(())
    }
}
