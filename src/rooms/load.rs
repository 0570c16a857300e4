//! Brings rooms from storage into memory, once, however many ask at the same time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use quick_cache::sync::Cache;
use ruma::{OwnedEventId, OwnedRoomId, RoomId, room_version_rules::RoomVersionRules};

use super::{Room, RoomState, Rooms};
use crate::{
    error::{Error, Kind, Result},
    matrix::{event::Event, room_version},
    storage::{
        Batch, Direction, KeyRange, Order, Position, Snapshot,
        schema::rooms::{EVENT_PLACES, ROOMS, RoomRow, STATE, TIMELINE},
    },
};

/// How many rooms stay in memory after their last use.
const ROOMS_KEPT: usize = 5_000;

/// The rooms in memory.
#[derive(Debug)]
pub(super) struct LoadedRooms {
    /// Keeps the recently used ones alive, and lets only one load of a room run at a time.
    recent: Cache<OwnedRoomId, Arc<Room>>,
    /// Finds a room that was dropped from `recent` while someone still works with it: a second copy of a room would
    /// have a second lock.
    alive: Mutex<HashMap<OwnedRoomId, Weak<Room>>>,
}

impl Default for LoadedRooms {
    fn default() -> Self {
        Self { recent: Cache::new(ROOMS_KEPT), alive: Mutex::default() }
    }
}

impl LoadedRooms {
    /// A room that is in memory although it may have left the cache.
    fn find(&self, id: &RoomId) -> Option<Arc<Room>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).get(id)?.upgrade()
    }

    /// Remembers a room, unless it is in memory already; gives the one copy that everybody is to use. Forgets the rooms
    /// that nobody holds any more when their entries pile up.
    fn remember(&self, room: Arc<Room>) -> Arc<Room> {
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = alive.get(&room.id).and_then(Weak::upgrade) {
            return room;
        }
        if alive.len() >= 2 * ROOMS_KEPT {
            alive.retain(|_, room| room.strong_count() > 0);
        }
        alive.insert(room.id.clone(), Arc::downgrade(&room));
        room
    }

    /// Takes in a room that became visible just now.
    pub(super) fn insert(&self, room: Arc<Room>) {
        let room = self.remember(room);
        self.recent.insert(room.id.clone(), room);
    }
}

impl Rooms {
    /// The room with this id.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if this server does not know the room.
    pub async fn room(&self, id: &RoomId) -> Result<Arc<Room>> {
        let loaded = &self.shared.loaded;
        if let Some(room) = loaded.recent.get(id) {
            return Ok(room);
        }
        loaded.recent.get_or_insert_async(id, self.load(id)).await
    }

    /// The room, if it is in memory.
    pub(super) fn loaded(&self, id: &RoomId) -> Option<Arc<Room>> {
        self.shared.loaded.recent.get(id)
    }

    async fn load(&self, id: &RoomId) -> Result<Arc<Room>> {
        if let Some(room) = self.shared.loaded.find(id) {
            return Ok(room);
        }
        let snapshot = self.shared.store.snapshot();
        let row = ROOMS.get(&snapshot, (id,)).await?;
        let row = row.ok_or_else(|| Error::not_found("This server does not know that room."))?;
        let rules = room_version::rules(&row.version)?;
        let version = row.version.clone();
        let state = load_state(&snapshot, id, rules, row).await?;
        let room = Arc::new(Room::new(id.to_owned(), version, rules, state));
        Ok(self.shared.loaded.remember(room))
    }

    /// The state of a room after everything that was queued for it, read from storage. The caller holds the room's lock, so
    /// that nothing more is queued meanwhile.
    pub(super) async fn reload_head(&self, room: &Room) -> Result<RoomState> {
        self.shared.store.commit(Batch::new()).await?;
        let snapshot = self.shared.store.snapshot();
        let row = ROOMS.get(&snapshot, (&room.id,)).await?;
        let row = row.ok_or_else(|| Kind::Conflict.with("The room was not created after all; try again."))?;
        load_state(&snapshot, &room.id, room.rules, row).await
    }
}

/// Reads the current state of a room.
async fn load_state(snapshot: &Snapshot, id: &RoomId, rules: &RoomVersionRules, row: RoomRow) -> Result<RoomState> {
    let current = STATE.scan(snapshot, KeyRange::prefix((id,)), Direction::Forward, usize::MAX).await?;
    let orders = orders(snapshot, id, current.iter().map(|(_, event_id)| event_id)).await?;
    let mut state = RoomState::attached_to(row.heads, row.depth);
    // The newest change of the state is always in force.
    state.changed = newest(&orders);
    state.position = newest(&self::orders(snapshot, id, state.heads.iter()).await?);
    if rules.event_format.require_event_id {
        state.head_hashes = hashes(snapshot, id, rules, &state.heads).await?;
    }
    for event in TIMELINE.get_many(snapshot, orders.into_iter().map(|order| (id, order))).await? {
        let event = event.ok_or_else(|| damaged(id))?;
        let header = event.header;
        let event = Event::parse(header.event_id, id.to_owned(), &event.json, rules)?;
        state.set_stored(Arc::new(event), header.redacted_by);
    }
    Ok(state)
}

/// The places of events that are in the room.
async fn orders<'e>(
    snapshot: &Snapshot,
    id: &RoomId,
    events: impl Iterator<Item = &'e OwnedEventId>,
) -> Result<Vec<Order>> {
    let places = EVENT_PLACES.get_many(snapshot, events.map(|event_id| (event_id,))).await?;
    let orders = places.into_iter().map(|place| place.map(|place| place.order));
    orders.collect::<Option<_>>().ok_or_else(|| damaged(id))
}

/// The position of the newest of these; backfilled history is older than all that has one.
fn newest(orders: &[Order]) -> Position {
    match orders.iter().max() {
        Some(Order::Live(position)) => *position,
        Some(Order::Backfilled(_)) | None => Position::ZERO,
    }
}

/// The reference hashes of events of a room.
async fn hashes(
    snapshot: &Snapshot,
    id: &RoomId,
    rules: &RoomVersionRules,
    events: &[OwnedEventId],
) -> Result<BTreeMap<OwnedEventId, Box<str>>> {
    let mut hashes = BTreeMap::new();
    for event_id in events {
        let place = EVENT_PLACES.get(snapshot, (event_id,)).await?.ok_or_else(|| damaged(id))?;
        let row = TIMELINE.get(snapshot, (id, place.order)).await?.ok_or_else(|| damaged(id))?;
        let event = Event::parse(event_id.clone(), id.to_owned(), &row.json, rules)?;
        hashes.extend(event.reference_hash.map(|hash| (event_id.clone(), hash)));
    }
    Ok(hashes)
}

/// The error of a state row whose event is not there.
fn damaged(id: &RoomId) -> Error {
    Error::internal(format_args!("the state of room {id} names an event that is not in its timeline"))
}
