//! What is unread in threads, found without reading all that was said outside of them.
//!
//! Clients that know threads say how far they have read in each, and never how far in all of them. What they have not read
//! then starts where they joined, however long ago that was.

use std::collections::BTreeSet;

use super::{CHUNK, Question, Surroundings, fold::Fold};
use crate::{
    error::Result,
    rooms::{PageToken, Rooms, threads::Thread},
    storage::{
        Direction, KeyRange, Order,
        schema::rooms::{RELATED, STATE_CHANGES},
    },
};

impl Rooms {
    /// Folds in what lies before the last event that was read outside of threads. Only in threads can anything be unread there.
    pub(super) async fn skim_threads(&self, question: &Question<'_>, fold: &mut Fold) -> Result<()> {
        let Question { snapshot, room, viewer, .. } = question;
        let end = fold.read().in_thread(&Thread::Main);
        let mut orders = self.unread_places(question, fold, end).await?;
        if let Some(first) = orders.first().copied() {
            // Push rules ask for the room as it was, which state events between the others change.
            let between = KeyRange::prefix_after((&room.id,), first).and(KeyRange::prefix_until((&room.id,), end));
            let changes = STATE_CHANGES.scan(snapshot, between, Direction::Forward, usize::MAX).await?;
            orders.extend(changes.into_iter().map(|((_, order), _)| order));
            let before = self.state_at(room, PageToken::before(first).place()).await?;
            let mut surroundings = Surroundings::new(room, viewer.user(), before);
            let orders: Vec<Order> = orders.into_iter().collect();
            for chunk in orders.chunks(CHUNK) {
                for event in self.events_at(snapshot, room, chunk).await? {
                    self.fold_in(question, fold, &mut surroundings, event).await?;
                }
            }
        }
        fold.pass(end);
        Ok(())
    }

    /// The places until `end` at which something unread may stand in a thread.
    async fn unread_places(&self, question: &Question<'_>, fold: &Fold, end: Order) -> Result<BTreeSet<Order>> {
        let Question { snapshot, room, .. } = question;
        let span = KeyRange::prefix_after((&room.id,), fold.until()).and(KeyRange::prefix_until((&room.id,), end));
        let related = RELATED.scan(snapshot, span, Direction::Forward, usize::MAX).await?;
        let may_be_unread = |order, root: Option<_>| match root {
            Some(root) => order > fold.read().in_thread(&Thread::Root(root)),
            // Which thread such an event is in, if any, only the events that it relates to can tell.
            None => true,
        };
        let unread = related.into_iter().filter_map(|((_, order), root)| may_be_unread(order, root).then_some(order));
        Ok(unread.collect())
    }
}
