//! Which thread an event is in ([spec](https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts)).

use ruma::{EventId, OwnedEventId, events::relation::RelationType};

use super::{Room, Rooms};
use crate::{error::Result, matrix::event::Event, storage::Snapshot};

/// How many events are looked at on the way from an event to its thread, as the specification recommends.
const HOPS: usize = 3;

/// A part of a room's timeline that is read by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thread {
    /// Everything that is in no other thread, the roots of threads included.
    Main,
    /// What follows this event.
    Root(OwnedEventId),
}

impl Rooms {
    /// The thread that an event is in: the one it names itself, or the one of the event that it relates to.
    pub(super) async fn thread_of(&self, snapshot: &Snapshot, room: &Room, event: &Event) -> Result<Thread> {
        let mut lineage = self.lineage(snapshot, room, event).await?.into_iter();
        let root = lineage.find(|(kind, _)| *kind == RelationType::Thread);
        Ok(root.map_or(Thread::Main, |(_, root)| Thread::Root(root)))
    }

    /// Whether an event is the root of a thread, in the thread, or follows the root in any other way: whoever has read such an
    /// event in the thread may say so.
    pub(super) async fn follows(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        event: &Event,
        root: &EventId,
    ) -> Result<bool> {
        Ok(event.id == root || self.lineage(snapshot, room, event).await?.iter().any(|(_, id)| id == root))
    }

    /// The event that this one relates to, the one which that relates to, and so on, each with the kind of the relation.
    async fn lineage(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        event: &Event,
    ) -> Result<Vec<(RelationType, OwnedEventId)>> {
        let mut lineage = Vec::new();
        let mut next = related(event);
        while let Some((kind, id)) = next {
            // A root is in no thread itself, so that nothing more is to be found behind it.
            let ends = kind == RelationType::Thread || lineage.len() == HOPS;
            let parent = if ends { None } else { self.event(snapshot, room, &id).await? };
            next = parent.and_then(|parent| related(&parent.event));
            lineage.push((kind, id));
        }
        Ok(lineage)
    }
}

fn related(event: &Event) -> Option<(RelationType, OwnedEventId)> {
    event.relation().map(|relation| (relation.kind, relation.event_id.to_owned()))
}
