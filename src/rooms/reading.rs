//! The start of every request that reads a room: one moment, the room, and what its reader may see of it.

use std::sync::Arc;

use ruma::{DeviceId, RoomId, UserId};

use super::{
    Recipient, Room, Rooms, Viewer,
    membership::{as_not_in_room, not_in_room},
};
use crate::{error::Result, storage::Snapshot};

/// Who reads.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The user.
    pub user: &'a UserId,
    /// The device that asks.
    pub device: &'a DeviceId,
}

/// A room as one reader finds it at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The moment.
    pub snapshot: Snapshot,
    /// The room.
    pub room: Arc<Room>,
    /// What the reader may see.
    pub viewer: Viewer,
}

impl Reading {
    /// The reader's device, for which events are rendered.
    pub(super) fn recipient<'a>(&'a self, reader: Reader<'a>) -> Recipient<'a> {
        Recipient { viewer: &self.viewer, device: reader.device }
    }
}

impl Rooms {
    /// Starts to read a room.
    ///
    /// # Errors
    ///
    /// `Kind::Forbidden` if the user may see nothing of the room at all, and also if there is no such room.
    pub async fn read(&self, room_id: &RoomId, user: &UserId) -> Result<Reading> {
        let room = self.room(room_id).await.map_err(as_not_in_room)?;
        let snapshot = self.shared.store.snapshot();
        let viewer = self.viewer(&snapshot, room_id, user).await?;
        match viewer.visible_stretches().is_empty() {
            false => Ok(Reading { snapshot, room, viewer }),
            true => Err(not_in_room()),
        }
    }
}
