//! The only place that writes to timelines: one batch for each append, with everything that follows from the events.

use std::{mem, sync::Arc};

use ruma::{
    EventId, OwnedUserId, RoomId, UserId,
    events::{StateEventType, TimelineEventType, relation::RelationType},
};
use tokio::sync::OwnedMutexGuard;

use super::{
    Intent, Room, RoomState, Rooms,
    authorise::authorise,
    relations::{self, Parent},
    typing,
};
use crate::{
    error::Result,
    matrix::{event::Event, history_visibility::visibility_of},
    storage::{
        Batch, Order, Position, Stamped,
        schema::rooms::{
            EVENT_PLACES, EVENT_TIMES, EventHeader, EventOrigin, EventPlace, MEMBERSHIPS, Membership, RELATED, ROOMS,
            ReplacedState, RoomRow, STATE, STATE_CHANGES, STATE_HISTORY, StatePlace, StateVersion, TIMELINE,
            TRANSACTIONS, TimelineRow,
        },
    },
    streams::{Change, Log},
};

/// The right to append to one room. It holds the room's lock until the batch is queued, but not while the disk works, so that
/// consecutive messages of a room share a commit.
pub struct Writer {
    rooms: Rooms,
    room: Arc<Room>,
    head: OwnedMutexGuard<Option<RoomState>>,
    /// The row that must still stand in [`ROOMS`] when this commits, or nothing for a room that is being created.
    before: Option<RoomRow>,
    state: RoomState,
    batch: Batch,
    /// How many positions are taken: one for each event that was added, and those of [`Writer::take_slot`].
    taken: u16,
    /// The slot of the newest state event.
    newest_state: Option<u16>,
    /// Users whose membership changes.
    members: Vec<OwnedUserId>,
    /// Users who are not typing any more.
    quiet: Vec<OwnedUserId>,
}

impl Rooms {
    /// Waits for the room's lock and starts to append to it.
    pub(crate) async fn write(&self, room: &Arc<Room>) -> Result<Writer> {
        let head = room.head.clone().lock_owned().await;
        let state = match head.as_ref() {
            Some(state) => state.clone(),
            None => self.reload_head(room).await?,
        };
        let before = (state.depth > 0).then(|| row(room, &state));
        Ok(Writer {
            rooms: self.clone(),
            room: room.clone(),
            head,
            before,
            state,
            batch: Batch::new(),
            taken: 0,
            newest_state: None,
            members: Vec::new(),
            quiet: Vec::new(),
        })
    }
}

impl Writer {
    /// The state after everything that was queued and added so far.
    pub fn state(&self) -> &RoomState {
        &self.state
    }

    /// The room that is written to.
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// The batch, for rows of the room's services that must hold exactly when the events do.
    pub fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// A slot of the batch for a change that is no event and comes with those that were added.
    pub(super) fn take_slot(&mut self) -> u16 {
        self.taken += 1;
        self.taken - 1
    }

    /// Drafts, authorises and adds an event.
    ///
    /// # Errors
    ///
    /// `Kind::Forbidden` if the sender may not, `Kind::TooLarge` and `Kind::BadJson` if the event cannot exist. The
    /// writer is as it was before.
    pub fn add(&mut self, intent: Intent) -> Result<Arc<Event>> {
        let (event, json) = self.rooms.draft(&self.room, &self.state, &intent)?;
        self.admit(event, json, intent.origin)
    }

    /// Adds an event that relates to `parent`, if it relates to one at all, and what follows from that for the parent.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::add`].
    pub(super) fn add_related(&mut self, intent: Intent, parent: Option<&Parent>) -> Result<Arc<Event>> {
        let event = self.add(intent)?;
        if let Some(parent) = parent {
            let order = Order::Live(Position::pending(self.taken - 1));
            relations::aggregate(&mut self.batch, order, &event, parent);
        }
        Ok(event)
    }

    /// Authorises and adds an event that is already sealed.
    pub(super) fn admit(&mut self, event: Event, json: Box<str>, origin: Option<EventOrigin>) -> Result<Arc<Event>> {
        authorise(&self.room, &self.state, &event)?;
        let event = Arc::new(event);
        let position = Position::pending(self.taken);
        let order = Order::Live(position);
        let room_id = self.room.id.clone();
        let replaces = self.stage_state(&event, order, position);
        let header = EventHeader { event_id: event.id.clone(), origin: origin.clone(), replaces, redacted_by: None };
        TIMELINE.put(&mut self.batch, (&room_id, order), &TimelineRow { header, json });
        EVENT_PLACES.put(&mut self.batch, (&event.id,), &EventPlace { room_id: room_id.clone(), order });
        EVENT_TIMES.put(&mut self.batch, (&room_id, u64::from(event.origin_server_ts.0), order), &());
        if let Some(relation) = event.relation() {
            let root = (relation.kind == RelationType::Thread).then(|| relation.event_id.to_owned());
            RELATED.put(&mut self.batch, (&room_id, order), &root);
            relations::stage(&mut self.batch, order, &event, &relation);
        }
        if let Some(origin) = origin {
            self.stage_transaction(&event, origin);
        }
        let member = member_of(&event);
        self.members.extend(member.clone());
        self.quiet.extend(typing::ended_by(&event).map(ToOwned::to_owned));
        Log::append(&mut self.batch, self.taken, &Change::Event { room: room_id, member });
        self.state.heads = vec![event.id.clone()];
        self.state.head_hashes = event.reference_hash.iter().map(|hash| (event.id.clone(), hash.clone())).collect();
        self.state.depth += 1;
        self.state.set(event.clone());
        self.taken += 1;
        Ok(event)
    }

    /// Writes the row of an event of this room again, which must still be as it was read. The event keeps its id and its
    /// place, so that nothing which points to it changes.
    pub(super) fn rewrite(&mut self, order: Order, before: &TimelineRow, after: &TimelineRow) {
        let key = (&self.room.id, order);
        TIMELINE.expect(&mut self.batch, key, Some(before));
        TIMELINE.put(&mut self.batch, key, after);
    }

    /// Shows a state event as `redaction` left it, if it still holds.
    pub(super) fn show_redacted(&mut self, event: Event, redaction: &EventId) {
        let holds = |(kind, state_key): (_, &str)| self.state.get(&kind, state_key).is_some_and(|it| it.id == event.id);
        if event.state_place().is_some_and(holds) {
            self.state.set_stored(Arc::new(event), Some(redaction.to_owned()));
        }
    }

    /// Queues everything that was added, lets the next writer in, and returns when it is durable and visible, with the
    /// position of the first event.
    ///
    /// # Errors
    ///
    /// `Kind::Conflict` if a precondition did not hold: nothing was written and the caller may start again.
    pub async fn commit(mut self) -> Result<Position> {
        self.finish(0);
        self.queue().await
    }

    /// The same for two rooms at once, so that what happens in both is durable and visible together or not at all.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::commit`].
    pub(super) async fn commit_with(mut self, mut other: Self) -> Result<Position> {
        self.finish(0);
        other.finish(self.batch.slot_count());
        self.batch.absorb(mem::take(&mut other.batch));
        *other.head = Some(other.state.clone());
        let committed = self.queue().await;
        if committed.is_err() {
            *other.head = None;
        }
        committed
    }

    /// Completes the batch, in which `slots` will come before those of this writer.
    fn finish(&mut self, slots: u16) {
        let room_id = &self.room.id;
        ROOMS.expect(&mut self.batch, (room_id,), self.before.as_ref());
        ROOMS.put(&mut self.batch, (room_id,), &row(&self.room, &self.state));
        self.batch.slots(self.taken.max(1));
        let publish = publish(self, slots);
        self.batch.on_visible(publish);
    }

    async fn queue(mut self) -> Result<Position> {
        let commit = self.rooms.shared.store.commit(self.batch);
        *self.head = Some(self.state);
        drop(self.head);
        let committed = commit.await;
        if committed.is_err() {
            *self.room.head.lock().await = None;
        }
        committed
    }

    /// Adds the rows of a state event and says what it replaces.
    fn stage_state(&mut self, event: &Event, order: Order, position: Position) -> Option<ReplacedState> {
        let state_key = event.state_key.as_deref()?;
        let kind = StateEventType::from(event.kind.to_string());
        self.newest_state = Some(self.taken);
        let room_id = &self.room.id;
        let id = &event.id;
        STATE.put(&mut self.batch, (room_id, event.kind.to_string(), state_key), id);
        let version = StateVersion { event_id: id.clone(), word: word(event) };
        STATE_HISTORY.put(&mut self.batch, (room_id, event.kind.to_string(), state_key, order), &version);
        let place = StatePlace { kind: event.kind.to_string(), state_key: state_key.to_owned() };
        STATE_CHANGES.put(&mut self.batch, (room_id, order), &place);
        if let (Some(user), Some(membership)) = (member_of(event), event.membership()) {
            let value = Membership { membership, event_id: id.clone(), forgotten: false };
            MEMBERSHIPS.put(&mut self.batch, (&user, room_id), &Stamped { at: position, value });
        }
        let replaced = self.state.get(&kind, state_key)?;
        Some(ReplacedState { event_id: replaced.id.clone(), content: replaced.content.get().into() })
    }

    /// Ties the event to the request that made it, so that the same request makes it only once.
    fn stage_transaction(&mut self, event: &Event, origin: EventOrigin) {
        let scope = transaction_scope(&self.room.id, &event.kind, event.redacts.as_deref());
        let key = (&event.sender, &origin.device_id, scope.as_str(), &origin.transaction_id);
        TRANSACTIONS.expect(&mut self.batch, key, None);
        TRANSACTIONS.put(&mut self.batch, key, &event.id);
    }
}

/// What to do when the writer's events become visible, `slots` behind the position of the batch: show readers the new state, let them find a new room, and wake those
/// it concerns.
fn publish(writer: &Writer, slots: u16) -> impl FnOnce(Position) + Send + 'static {
    let room = writer.room.clone();
    let under_way = room.on_its_way();
    let mut state = writer.state.clone();
    let (members, quiet) = (writer.members.clone(), writer.quiet.clone());
    let (notifier, typing) = (writer.rooms.shared.notifier.clone(), writer.rooms.shared.typing.clone());
    let newborn = writer.before.is_none().then(|| writer.rooms.clone());
    let last = slots + writer.taken.max(1) - 1;
    let newest_state = writer.newest_state.map(|slot| slots + slot);
    move |position| {
        state.position = Position::from(position.get() + u64::from(last));
        // What was current until now may have been published after this batch was made.
        let changed = newest_state.map(|slot| Position::from(position.get() + u64::from(slot)));
        state.changed = changed.unwrap_or_else(|| room.current().changed);
        let audience = state.joined.clone();
        room.publish(state);
        drop(under_way);
        for user in &quiet {
            typing.stop(&room.id, user);
        }
        if let Some(rooms) = newborn {
            // Before anyone is woken: a second copy of the room would have a lock of its own.
            rooms.shared.loaded.insert(room);
        }
        notifier.wake_all(&audience);
        members.iter().for_each(|user| notifier.wake(user));
    }
}

/// The row of a room whose newest event left `state`.
fn row(room: &Room, state: &RoomState) -> RoomRow {
    RoomRow { version: room.version.clone(), heads: state.heads.clone(), depth: state.depth }
}

/// The user whose membership an event sets.
fn member_of(event: &Event) -> Option<OwnedUserId> {
    let state_key = event.state_key.as_deref()?;
    (event.kind == TimelineEventType::RoomMember).then(|| UserId::parse(state_key).ok()).flatten()
}

/// The word of a state event that decisions about visibility ask for.
fn word(event: &Event) -> Option<Box<str>> {
    match event.kind {
        TimelineEventType::RoomMember => event.membership().map(|membership| membership.as_str().into()),
        TimelineEventType::RoomHistoryVisibility => Some(visibility_of(Some(event)).as_str().into()),
        _ => None,
    }
}

/// What a transaction id is unique within, besides the device: the request's path.
pub(super) fn transaction_scope(room_id: &RoomId, kind: &TimelineEventType, redacts: Option<&EventId>) -> String {
    match redacts {
        Some(redacts) => format!("{room_id}/{kind}/{redacts}"),
        None => format!("{room_id}/{kind}"),
    }
}
