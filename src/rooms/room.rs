//! A loaded room: a lock that orders its writers and a snapshot that readers take without one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use arc_swap::ArcSwap;
use ruma::{OwnedRoomId, RoomVersionId, events::StateEventType, room_version_rules::RoomVersionRules};
use tokio::sync::{Mutex, watch};

use super::state::RoomState;
use crate::{
    error::{Error, Result},
    matrix::power_levels::PowerLevels,
    storage::Position,
};

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
    /// How many batches are on their way: queued, and not in `current` yet.
    under_way: AtomicUsize,
    /// Tells those who listen to the room, whether or not they are in it, that there is something new.
    news: watch::Sender<()>,
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
            under_way: AtomicUsize::new(0),
            news: watch::Sender::new(()),
        }
    }

    /// The state that every reader may rely on: all of it is durable.
    pub fn current(&self) -> Arc<RoomState> {
        self.current.load_full()
    }

    /// The current state, if it holds all of the room's events up to `position`, which the caller has seen in a snapshot before:
    /// a batch is visible in snapshots a moment before its state is current.
    pub(super) fn current_as_of(&self, position: Position) -> Option<Arc<RoomState>> {
        // Asked first: whatever was on its way before this and is not any more is in the state that is taken after it.
        let under_way = self.under_way.load(Ordering::SeqCst);
        let current = self.current();
        (under_way == 0 || position <= current.position).then_some(current)
    }

    /// Whether it is certain that nothing was said in the room after `since`, up to a moment `until` that has been.
    pub fn is_quiet_between(&self, since: Position, until: Position) -> bool {
        self.current_as_of(until).is_some_and(|current| current.position <= since)
    }

    /// Takes note of a batch that is about to be queued, until what is returned is dropped.
    pub(super) fn on_its_way(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(self.clone())
    }

    /// Who has how much power in this room while `state` holds.
    ///
    /// # Errors
    ///
    /// Fails if the room has no create event, which cannot be.
    pub fn power_levels(&self, state: &RoomState) -> Result<PowerLevels> {
        let create = state.get(&StateEventType::RoomCreate, "");
        let create = create.ok_or_else(|| Error::internal(format_args!("room {} was never created", self.id)))?;
        let levels = state.get(&StateEventType::RoomPowerLevels, "");
        Ok(PowerLevels::read(self.rules, create, levels.map(|event| &**event)))
    }

    /// Makes `state` what readers see. Called by the storage writer in commit order.
    pub(super) fn publish(&self, state: RoomState) {
        self.current.store(Arc::new(state));
        self.news.send_replace(());
    }

    /// What tells of every event from now on, to whoever holds on to the room meanwhile.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }
}

/// A batch that is on its way, to be dropped when its state is current or it has failed.
pub(super) struct UnderWay(Arc<Room>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
