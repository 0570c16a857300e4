//! What a thread amounts to for a reader: a fold over its events, remembered and carried forward.
//!
//! The memory may be lost at any time; that changes the cost and not the answer. It holds for a moment as long as no event was
//! taken out of the thread, and a fold that reaches further than the moment is read only up to it.

use std::{collections::BTreeMap, sync::Arc};

use quick_cache::{Weighter, sync::Cache};
use ruma::{EventId, OwnedEventId, OwnedUserId, RoomId, events::relation::RelationType};

use crate::{
    error::Result,
    rooms::{Rooms, Stretch, Viewer},
    storage::{
        Direction, KeyRange, Order, Position, Snapshot,
        schema::relations::{RELATIONS, THREAD_CUTS},
    },
};

/// How many events of threads are remembered in all, of about ten bytes each.
const REMEMBERED: u64 = 2_000_000;

/// The folds that were computed before, by the roots of the threads.
pub(in crate::rooms) struct ThreadMemos(Cache<OwnedEventId, Arc<ThreadFold>, BySize>);

#[derive(Clone)]
struct BySize;

impl Weighter<OwnedEventId, Arc<ThreadFold>> for BySize {
    fn weight(&self, _: &OwnedEventId, fold: &Arc<ThreadFold>) -> u64 {
        // A thread and each of its people take some room of their own.
        fold.places.values().map(|places| 10 + places.len() as u64).sum::<u64>() + 20
    }
}

impl Default for ThreadMemos {
    fn default() -> Self {
        Self(Cache::with_weighter(10_000, REMEMBERED, BySize))
    }
}

/// The events of a thread.
#[derive(Clone, Debug, Default)]
pub(super) struct ThreadFold {
    /// When an event was last taken out of the thread before this was read.
    cut: Option<Position>,
    /// The place of the last event.
    until: Option<Order>,
    /// The places of the events by who sent them, each in order.
    places: BTreeMap<OwnedUserId, Vec<Order>>,
}

/// What a thread amounts to for one reader at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// The number of events that the reader may see and wants to.
    pub count: usize,
    /// The place of the last of them.
    pub latest: Order,
    /// Whether one of them is the reader's own.
    pub spoke: bool,
}

impl Rooms {
    /// What a thread amounts to for a reader as of `snapshot`; `None` if there is nothing in it for them.
    pub(super) async fn thread_summary(
        &self,
        snapshot: &Snapshot,
        room_id: &RoomId,
        root: &EventId,
        viewer: &Viewer,
    ) -> Result<Option<Summary>> {
        let fold = self.thread_fold(snapshot, room_id, root).await?;
        Ok(fold.summary(viewer, Order::Live(snapshot.position())))
    }

    async fn thread_fold(&self, snapshot: &Snapshot, room_id: &RoomId, root: &EventId) -> Result<Arc<ThreadFold>> {
        let memos = &self.shared.thread_memos.0;
        let cut = THREAD_CUTS.get(snapshot, (room_id, root)).await?.map(|cut| cut.at);
        let known = memos
            .get(root)
            .filter(|fold| fold.cut == cut)
            .unwrap_or_else(|| Arc::new(ThreadFold { cut, ..ThreadFold::default() }));
        let kind = RelationType::Thread.to_string();
        let thread = (room_id, root, kind.as_str());
        let rest = match known.until {
            Some(until) => KeyRange::prefix_after(thread, until),
            None => KeyRange::prefix(thread),
        };
        let rows = RELATIONS.scan(snapshot, rest, Direction::Forward, usize::MAX).await?;
        if rows.is_empty() {
            return Ok(known);
        }
        let mut fold = Arc::unwrap_or_clone(known);
        for ((.., order), row) in rows {
            fold.places.entry(row.sender).or_default().push(order);
            fold.until = Some(order);
        }
        let fold = Arc::new(fold);
        // A fold of before an event was taken out must not take the place of one of after.
        if memos.get(root).is_none_or(|memo| (memo.cut, memo.until) <= (fold.cut, fold.until)) {
            memos.insert(root.to_owned(), fold.clone());
        }
        Ok(fold)
    }
}

impl ThreadFold {
    /// The thread for a reader, up to `now`.
    fn summary(&self, viewer: &Viewer, now: Order) -> Option<Summary> {
        let stretches = viewer.visible_stretches();
        let (mut count, mut latest, mut spoke) = (0, None, false);
        for (sender, places) in self.places.iter().filter(|(sender, _)| !viewer.ignored().contains(*sender)) {
            let until_now = &places[..places.partition_point(|place| *place <= now)];
            for stretch in &stretches {
                let seen = within(until_now, stretch);
                count += seen.len();
                latest = latest.max(seen.last().copied());
                spoke |= *sender == *viewer.user() && !seen.is_empty();
            }
        }
        latest.map(|latest| Summary { count, latest, spoke })
    }
}

/// Those of the places, which are in order, that lie in a stretch.
fn within<'a>(places: &'a [Order], stretch: &Stretch) -> &'a [Order] {
    let start = stretch.from.map_or(0, |from| places.partition_point(|place| *place < from));
    let end = stretch.until.map_or(places.len(), |until| places.partition_point(|place| *place <= until));
    places.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_holds_what_lies_between_its_ends() {
        let live = |number: u64| Order::Live(number.into());
        let places = [2, 4, 6].map(live);
        for (from, until, expected) in [
            (None, None, &[2, 4, 6][..]),
            (Some(3), None, &[4, 6]),
            (Some(4), Some(4), &[4]),
            (None, Some(5), &[2, 4]),
            (Some(5), Some(5), &[]),
            (Some(7), None, &[]),
        ] {
            let stretch = Stretch { from: from.map(live), until: until.map(live) };
            let expected: Vec<Order> = expected.iter().copied().map(live).collect();
            assert_eq!(within(&places, &stretch), expected, "{stretch:?}");
        }
    }
}
