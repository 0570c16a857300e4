//! Whether an event is wanted because of what relates to it (`related_by_senders`, `related_by_rel_types`).

use ruma::{EventId, OwnedRoomId};

use super::ANY;
use crate::{
    error::Result,
    matrix::relation_filter::RelationFilter,
    rooms::{Rooms, Viewer},
    storage::{Direction, KeyRange, Snapshot, schema::relations::RELATIONS},
};

/// How many relations are looked at at a time.
const CHUNK: usize = 64;

impl Rooms {
    /// Whether something that the reader may see relates to an event in the way that the filter wants.
    pub(in crate::rooms) async fn is_related(
        &self,
        snapshot: &Snapshot,
        room_id: &OwnedRoomId,
        event_id: &EventId,
        viewer: &Viewer,
        filter: &RelationFilter,
    ) -> Result<bool> {
        let any = [ANY.to_owned()];
        let kinds = filter.related_by_rel_types.as_deref().unwrap_or(&any);
        // The empty text is no type of a relation, even if somebody asks for it.
        for kind in kinds.iter().filter(|kind| filter.related_by_rel_types.is_none() || *kind != ANY) {
            let prefix = || (room_id, event_id, kind.as_str());
            let mut rest = KeyRange::prefix(prefix());
            loop {
                let rows = RELATIONS.scan(snapshot, rest, Direction::Forward, CHUNK).await?;
                let found = rows.iter().any(|((.., order), row)| {
                    viewer.may_see_place(*order)
                        && !viewer.ignored().contains(&row.sender)
                        && filter.related_by_senders.as_ref().is_none_or(|senders| senders.contains(&row.sender))
                });
                if found {
                    return Ok(true);
                }
                let Some(((.., last), _)) = rows.last().filter(|_| rows.len() == CHUNK) else { break };
                rest = KeyRange::prefix_after(prefix(), *last);
            }
        }
        Ok(false)
    }
}
