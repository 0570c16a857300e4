//! A loaded room: a lock that orders its writers and a snapshot that readers take without one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ruma::{OwnedRoomId, RoomVersionId, room_version_rules::RoomVersionRules};
use tokio::sync::Mutex;

use super::state::RoomState;

/// One room of this server, shared by everyone who works with it.
#[derive(Debug)]
pub struct Room {
    /// The room's id.
    pub id: OwnedRoomId,
    /// The version it was created with.
    pub version: RoomVersionId,
    /// The rules of that version.
    pub rules: &'static RoomVersionRules,
    /// The state after the newest *queued* event. It runs ahead of `current` while commits are under way, so that the next
    /// message can be drafted without waiting for the disk. `None` after a failed commit: the next writer loads it again.
    pub(super) head: Arc<Mutex<Option<RoomState>>>,
    /// The state after the newest *visible* event.
    current: ArcSwap<RoomState>,
}

impl Room {
    /// A room whose newest event left `state`.
    pub(super) fn new(
        id: OwnedRoomId,
        version: RoomVersionId,
        rules: &'static RoomVersionRules,
        state: RoomState,
    ) -> Self {
        Self {
            id,
            version,
            rules,
            head: Arc::new(Mutex::new(Some(state.clone()))),
            current: ArcSwap::from_pointee(state),
        }
    }

    /// The state that every reader may rely on: all of it is durable.
    pub fn current(&self) -> Arc<RoomState> {
        self.current.load_full()
    }

    /// Makes `state` what readers see. Called by the storage writer in commit order.
    pub(super) fn publish(&self, state: RoomState) {
        self.current.store(Arc::new(state));
    }
}
