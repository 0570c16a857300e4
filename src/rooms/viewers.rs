//! The readers of rooms: what decides over what they may see, remembered for members for as long as it holds.

use std::{collections::BTreeSet, sync::Arc};

use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState};

use super::{RoomState, Rooms, Viewer, visibility::Changes};
use crate::{
    error::Result,
    storage::{Position, Snapshot},
};

/// How many members' changes are remembered, of one or two hundred bytes each.
const REMEMBERED: usize = 50_000;

/// What members of rooms went through; the memory may be lost at any time.
pub(super) struct KnownChanges(Cache<(OwnedUserId, OwnedRoomId), Known>);

#[derive(Clone)]
struct Known {
    changes: Arc<Changes>,
    /// The moment as of which they were read.
    at: Position,
}

impl Default for KnownChanges {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Rooms {
    /// What decides over what `user` may see in a room as of `snapshot`.
    pub async fn viewer(&self, snapshot: &Snapshot, room_id: &RoomId, user: &UserId) -> Result<Viewer> {
        let ignored = Arc::new(self.ignored_by(snapshot, user).await?);
        self.viewer_ignoring(snapshot, room_id, user, ignored).await
    }

    /// As [`Rooms::viewer`], for somebody of whom it is known already whom they ignore.
    pub async fn viewer_ignoring(
        &self,
        snapshot: &Snapshot,
        room_id: &RoomId,
        user: &UserId,
        ignored: Arc<BTreeSet<OwnedUserId>>,
    ) -> Result<Viewer> {
        let Some(current) = self.state_as_of(snapshot, room_id) else {
            let changes = Changes::load(snapshot, room_id, user).await?;
            return Ok(Viewer::new(user, Arc::new(changes), ignored));
        };
        let changes = self.changes(snapshot, room_id, user, &current).await?;
        Ok(Viewer::new(user, changes, ignored))
    }

    /// The state of a room as of `snapshot`, if memory has it.
    pub(super) fn state_as_of(&self, snapshot: &Snapshot, room_id: &RoomId) -> Option<Arc<RoomState>> {
        let current = self.loaded(room_id)?.current_as_of(snapshot.position())?;
        (current.changed <= snapshot.position()).then_some(current)
    }

    /// What `user` went through in a room whose state has not changed between `current` and `snapshot`.
    async fn changes(
        &self,
        snapshot: &Snapshot,
        room_id: &RoomId,
        user: &UserId,
        current: &RoomState,
    ) -> Result<Arc<Changes>> {
        let known = &self.shared.known_changes.0;
        let place = (user.to_owned(), room_id.to_owned());
        if let Some(known) = known.get(&place).filter(|known| current.changed <= known.at) {
            return Ok(known.changes);
        }
        let changes = Arc::new(Changes::load(snapshot, room_id, user).await?);
        // Others may forget the room, which is no change of its state.
        if changes.membership() == MembershipState::Join {
            known.insert(place, Known { changes: changes.clone(), at: snapshot.position() });
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests;
