//! The edits of a message: which one shows, and which stand beside each other.

use ruma::EventId;

use crate::{
    error::Result,
    rooms::{Room, Rooms, TimelineEvent, Viewer},
    storage::{
        Direction, KeyRange, Order, Snapshot,
        schema::relations::{EDITS, Newest},
    },
};

/// How many edits are looked at at a time; the newest is almost always visible.
const EDITS_AT_A_TIME: usize = 4;

/// What an edit stands between, by the times that edits bear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// The edit before it; without one it is the first.
    pub before: Option<Order>,
    /// The edit after it; without one it is the newest.
    pub after: Option<Order>,
}

impl Rooms {
    /// Whether an edit of an event counts: it is valid, and neither of them was taken back.
    pub async fn is_edit_of(&self, snapshot: &Snapshot, edit: &TimelineEvent, original: &EventId) -> Result<bool> {
        let edit = &edit.event;
        EDITS.exists(snapshot, (&edit.room_id, original, u64::from(edit.origin_server_ts.0), &edit.id)).await
    }

    /// The edits of an event beside one of them, which may have been taken back.
    pub async fn beside_edit(
        &self,
        snapshot: &Snapshot,
        edit: &TimelineEvent,
        original: &EventId,
    ) -> Result<Neighbours> {
        let room = &edit.event.room_id;
        let place = (room, original, u64::from(edit.event.origin_server_ts.0), &edit.event.id);
        let all = || KeyRange::prefix((room, original));
        let before = EDITS.scan(snapshot, all().and(KeyRange::before(place)), Direction::Reverse, 1).await?;
        let after = EDITS.scan(snapshot, all().and(KeyRange::after(place)), Direction::Forward, 1).await?;
        let order = |rows: Vec<(_, Newest)>| rows.first().map(|(_, edit)| edit.order);
        Ok(Neighbours { before: order(before), after: order(after) })
    }

    /// The first edit of an event.
    pub async fn first_edit(&self, snapshot: &Snapshot, room: &Room, original: &EventId) -> Result<Option<Order>> {
        let all = KeyRange::prefix((&room.id, original));
        let rows = EDITS.scan(snapshot, all, Direction::Forward, 1).await?;
        Ok(rows.first().map(|(_, edit)| edit.order))
    }

    /// The place of the newest edit of an event that the reader may see.
    pub async fn newest_edit(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        original: &EventId,
        viewer: &Viewer,
    ) -> Result<Option<Order>> {
        let mut rest = KeyRange::prefix((&room.id, original));
        loop {
            let rows = EDITS.scan(snapshot, rest, Direction::Reverse, EDITS_AT_A_TIME).await?;
            let exhausted = rows.len() < EDITS_AT_A_TIME;
            let Some(((_, _, time, id), _)) = rows.last() else { return Ok(None) };
            rest = KeyRange::prefix((&room.id, original)).and(KeyRange::before((&room.id, original, *time, id)));
            let mut edits = rows.iter().map(|(_, edit)| edit);
            let visible = |edit: &&Newest| viewer.may_see_place(edit.order) && !viewer.ignored().contains(&edit.sender);
            match edits.find(visible) {
                Some(edit) => return Ok(Some(edit.order)),
                None if exhausted => return Ok(None),
                None => {}
            }
        }
    }
}
