//! What relates to what: the index of relations, and what is made of it
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events)).
//!
//! The index is written in the commit of the event that relates, and taken back in the commit of its redaction. Whether somebody
//! may see an event is never in it; every reader asks their `Viewer`.

mod bundles;
mod edits;
mod filter;
mod listing;
mod thread_fold;
mod thread_list;

use ruma::{
    EventId, OwnedEventId, OwnedUserId, RoomId,
    events::{TimelineEventType, relation::RelationType},
};
use sha2::{Digest, Sha256};

pub(super) use self::{bundles::Bundle, thread_fold::ThreadMemos};
pub use self::{
    edits::Neighbours,
    listing::{Relations, RelationsRequest},
    thread_list::{ThreadPage, ThreadsRequest},
};
use super::{Intent, Room, RoomState, Rooms};
use crate::{
    error::{Kind, Result},
    matrix::event::{Event, Relation},
    storage::{
        Batch, Direction, KeyRange, Order, Position, Snapshot, Stamped,
        schema::relations::{
            ANNOTATIONS, EDITS, Newest, PARENTS, RELATIONS, Relating, THREAD_CUTS, THREAD_PARTICIPANTS, THREADS,
            THREADS_BY_NEWEST,
        },
    },
};

/// The name under which all relations of an event are found, whatever their types.
const ANY: &str = "";

/// The longest key of an annotation in bytes, so that nobody fills the index with them.
const LONGEST_KEY: usize = 4_096;

/// The event that another one relates to, as far as that matters.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    event_id: OwnedEventId,
    order: Order,
    sender: OwnedUserId,
    kind: TimelineEventType,
    is_state: bool,
    /// How it relates to another one itself.
    relation: Option<RelationType>,
    /// Where the newest event of its thread stands that can be read already, for an event that is to be in the thread.
    newest_in_thread: Option<Order>,
}

impl Rooms {
    /// The event of this room that an event which is to be sent relates to.
    ///
    /// # Errors
    ///
    /// [`Kind::Unknown`] for a thread that would start at an event which relates to another one itself;
    /// [`Kind::DuplicateAnnotation`] for an annotation that the sender has made before; [`Kind::InvalidParam`] for one whose key
    /// is too long.
    pub(super) async fn parent_of(&self, room: &Room, state: &RoomState, intent: &Intent) -> Result<Option<Parent>> {
        let Some(relation) = Relation::of(&intent.content) else { return Ok(None) };
        // Strangers learn nothing about the events of the room.
        if !state.is_joined(&intent.sender) {
            return Ok(None);
        }
        let snapshot = self.shared.store.snapshot();
        let Some(found) = self.event(&snapshot, room, relation.event_id).await? else { return Ok(None) };
        let newest = match relation.kind {
            RelationType::Thread => THREADS.get(&snapshot, (&room.id, relation.event_id)).await?,
            _ => None,
        };
        let parent = Parent {
            newest_in_thread: newest.map(|newest| newest.order),
            relation: found.event.relation().map(|relation| relation.kind),
            is_state: found.event.is_state(),
            event_id: found.event.id,
            order: found.order,
            sender: found.event.sender,
            kind: found.event.kind,
        };
        if relation.kind == RelationType::Thread
            && parent.relation.is_some()
            // What an event that the sender may not see relates to is not theirs to learn; it becomes no thread all the same.
            && self.viewer(&snapshot, &room.id, &intent.sender).await?.may_see_place(parent.order)
        {
            return Err(Kind::Unknown.with("A thread cannot start at an event that relates to another one itself."));
        }
        if let (RelationType::Annotation, Some(key)) = (&relation.kind, &relation.key) {
            if key.len() > LONGEST_KEY {
                return Err(Kind::InvalidParam.with("The key of an annotation has at most 4096 bytes."));
            }
            let place = (&room.id, relation.event_id, &intent.sender, annotation_hash(&intent.kind, key));
            if ANNOTATIONS.exists(&snapshot, place).await? {
                return Err(Kind::DuplicateAnnotation.with("You have annotated this event in this way before."));
            }
        }
        Ok(Some(parent))
    }
}

/// Adds to `batch` that an event relates to another one, whether or not that is known.
pub(super) fn stage(batch: &mut Batch, order: Order, event: &Event, relation: &Relation<'_>) {
    let row = Relating { event_id: event.id.clone(), kind: event.kind.to_string(), sender: event.sender.clone() };
    for kind in [ANY, relation.kind.as_ref()] {
        RELATIONS.put(batch, (&event.room_id, relation.event_id, kind, order), &row);
    }
}

/// Adds to `batch` what follows for `parent` from an event that relates to it.
pub(super) fn aggregate(batch: &mut Batch, order: Order, event: &Event, parent: &Parent) {
    let Some(relation) = event.relation() else { return };
    let room_id = &event.room_id;
    let newest = Newest { order, sender: event.sender.clone() };
    let bundled = match relation.kind {
        RelationType::Replacement => {
            let valid = event.may_replace(&parent.sender, &parent.kind)
                && parent.relation != Some(RelationType::Replacement)
                && !parent.is_state;
            if valid {
                EDITS.put(batch, edit_key(event, &parent.event_id), &newest);
            }
            valid
        }
        RelationType::Thread => {
            let valid = parent.relation.is_none() && !parent.is_state;
            if valid {
                THREADS.put(batch, (room_id, &parent.event_id), &newest);
                // Of what waits to be written before this nothing is known; such rows stay and hold no longer.
                if let Some(before) = parent.newest_in_thread {
                    THREADS_BY_NEWEST.delete(batch, (room_id, before));
                }
                THREADS_BY_NEWEST.put(batch, (room_id, order), &(parent.event_id.clone(), event.sender.clone()));
                for participant in [&event.sender, &parent.sender] {
                    THREAD_PARTICIPANTS.put(batch, (room_id, participant, &parent.event_id), &());
                }
            }
            valid
        }
        RelationType::Reference => !parent.is_state,
        RelationType::Annotation => {
            if let Some(key) = relation.key {
                let place = (room_id, &parent.event_id, &event.sender, annotation_hash(&event.kind, &key));
                ANNOTATIONS.expect(batch, place, None);
                ANNOTATIONS.put(batch, place, &event.id);
            }
            false
        }
        _ => false,
    };
    if bundled {
        PARENTS.put(batch, (room_id, parent.order, relation.kind.to_string()), &());
    }
}

/// Adds to `batch`, which redacts `event` at its first slot, that the event does not relate to another one any more.
pub(super) async fn unstage(snapshot: &Snapshot, batch: &mut Batch, order: Order, event: &Event) -> Result<()> {
    let Some(relation) = event.relation() else { return Ok(()) };
    let (room_id, parent) = (&event.room_id, relation.event_id);
    let kind = relation.kind.to_string();
    for kind in [ANY, &kind] {
        RELATIONS.delete(batch, (room_id, parent, kind, order));
    }
    match relation.kind {
        RelationType::Replacement => EDITS.delete(batch, edit_key(event, parent)),
        RelationType::Thread if THREADS.exists(snapshot, (room_id, parent)).await? => {
            THREAD_CUTS.put(batch, (room_id, parent), &Stamped { at: Position::pending(0), value: () });
            THREADS_BY_NEWEST.delete(batch, (room_id, order));
            let range = KeyRange::prefix((room_id, parent, kind.as_str()));
            let newest = RELATIONS.scan(snapshot, range, Direction::Reverse, 2).await?;
            match newest.into_iter().find(|((.., other), _)| *other != order) {
                Some(((.., order), Relating { sender, .. })) => {
                    THREADS_BY_NEWEST.put(batch, (room_id, order), &(parent.to_owned(), sender.clone()));
                    THREADS.put(batch, (room_id, parent), &Newest { order, sender });
                }
                None => THREADS.delete(batch, (room_id, parent)),
            }
        }
        RelationType::Annotation => {
            let Some(key) = relation.key else { return Ok(()) };
            let place = (room_id, parent, &event.sender, annotation_hash(&event.kind, &key));
            if ANNOTATIONS.get(snapshot, &place).await?.is_some_and(|id| id == event.id) {
                ANNOTATIONS.delete(batch, place);
            }
        }
        _ => {}
    }
    Ok(())
}

fn edit_key<'e>(edit: &'e Event, original: &'e EventId) -> (&'e RoomId, &'e EventId, u64, &'e EventId) {
    (&edit.room_id, original, edit.origin_server_ts.get().into(), &edit.id)
}

/// What two annotations of an event by the same sender have in common if they say the same.
fn annotation_hash(kind: &TimelineEventType, key: &str) -> [u8; 32] {
    // No type has a zero byte before the key that would make two different pairs look the same, as its length is in front.
    let kind = kind.to_string();
    let mut hash = Sha256::new();
    hash.update((kind.len() as u64).to_be_bytes());
    hash.update(kind);
    hash.update(key);
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
