//! What is unread: for each reader and room a fold over the timeline, remembered and carried forward
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications)).
//!
//! The counts follow from the timeline, the reader's receipts, their push rules, the threads to which they are subscribed and whom
//! they ignore. The memory may be lost
//! at any time; that changes the cost and not the answer.

mod fold;
mod meaning;
mod missed;
mod news;
mod rules;
mod skim;
mod standing;

use std::{collections::BTreeSet, sync::Arc};

use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId};

pub use self::{
    fold::{Counts, Unread},
    missed::{Missed, MissedRequest},
    news::News,
};
use self::{
    fold::{Fold, Meaning},
    meaning::Surroundings,
    rules::{KnownRules, Rules},
    standing::Followed,
};
use super::{Room, Rooms, TimelineEvent, Viewer, receipts::ReadUpTo};
use crate::{
    error::Result,
    storage::{KeyRange, Order, Snapshot},
};

/// How many folds are remembered, of a few hundred bytes each.
const REMEMBERED: usize = 50_000;

/// How many events are read at a time.
const CHUNK: usize = 256;

/// The folds that were computed before.
pub(super) struct UnreadMemos {
    folds: Cache<(OwnedUserId, OwnedRoomId), Arc<Memo>>,
    rules: KnownRules,
}

/// A fold with what it follows from besides the timeline and the receipts.
struct Memo {
    rules: Arc<Rules>,
    followed: Followed,
    ignored: BTreeSet<OwnedUserId>,
    fold: Fold,
}

/// Whose counts are asked for, of which room, and at which moment.
struct Question<'a> {
    snapshot: &'a Snapshot,
    room: &'a Room,
    viewer: &'a Viewer,
    rules: Arc<Rules>,
    followed: Followed,
}

/// What else happened while a fold was carried forward.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    /// The events before it are as they were.
    Stands,
    /// Some may have been redacted.
    MayHaveChanged,
}

impl Default for UnreadMemos {
    fn default() -> Self {
        Self { folds: Cache::new(REMEMBERED), rules: KnownRules::default() }
    }
}

impl Rooms {
    /// What a member has not read of a room as of `snapshot`; nothing for somebody who is not in the room.
    pub async fn unread(&self, snapshot: &Snapshot, room: &Room, viewer: &Viewer) -> Result<Unread> {
        let fold = self.unread_fold(snapshot, room, viewer).await?;
        Ok(fold.map(|fold| fold.unread()).unwrap_or_default())
    }

    /// The fold of a member over everything that `snapshot` holds of a room; `None` for somebody who is not in the room.
    async fn unread_fold(&self, snapshot: &Snapshot, room: &Room, viewer: &Viewer) -> Result<Option<Fold>> {
        let Some(joined) = viewer.joined_at() else { return Ok(None) };
        let memos = &self.shared.unread;
        let rules = memos.rules.of(&self.shared.push_rules, snapshot, viewer.user()).await?;
        let followed = Followed::load(snapshot, room, viewer.user(), &rules).await?;
        let question = Question { snapshot, room, viewer, rules, followed };
        let read = self.read_up_to(snapshot, &room.id, viewer.user(), joined).await?;
        let place = (viewer.user().to_owned(), room.id.clone());
        let memo = memos.folds.get(&place);
        let usable = memo.as_ref().filter(|memo| memo.answers(&question));
        let carried = usable.and_then(|memo| memo.fold.read_on(read.clone()));
        let fold = match carried {
            Some(fold) => self.carried_forward(&question, fold).await?,
            None => None,
        };
        let fold = match fold {
            Some(fold) => fold,
            None => self.started_anew(&question, read).await?,
        };
        // Another device may have asked at a later moment; what is known of that is worth more.
        if memo.is_none_or(|memo| memo.fold.until() <= fold.until()) {
            let Question { rules, followed, .. } = question;
            let memo = Memo { rules, followed, ignored: viewer.ignored().clone(), fold: fold.clone() };
            memos.folds.insert(place, Arc::new(memo));
        }
        Ok(Some(fold))
    }

    /// Whether anything came after what a member has read, whatever their push rules say of it.
    pub async fn may_have_unread(&self, snapshot: &Snapshot, room: &Room, viewer: &Viewer) -> Result<bool> {
        let Some(joined) = viewer.joined_at() else { return Ok(false) };
        let read = self.read_up_to(snapshot, &room.id, viewer.user(), joined).await?;
        let unread = KeyRange::prefix_after((&room.id,), read.everywhere());
        Ok(!self.events_in(snapshot, room, unread, 1).await?.is_empty())
    }

    /// The fold with everything that the snapshot holds behind it, or `None` if what lies before may have changed.
    async fn carried_forward(&self, question: &Question<'_>, mut fold: Fold) -> Result<Option<Fold>> {
        Ok(match self.carry_forward(question, &mut fold).await? {
            Past::Stands => Some(fold),
            Past::MayHaveChanged => None,
        })
    }

    /// The fold over everything that may be unread.
    async fn started_anew(&self, question: &Question<'_>, read: ReadUpTo) -> Result<Fold> {
        let mut fold = Fold::new(read);
        self.skim_threads(question, &mut fold).await?;
        self.carry_forward(question, &mut fold).await?;
        Ok(fold)
    }

    /// Folds in everything that the snapshot holds behind the fold.
    async fn carry_forward(&self, question: &Question<'_>, fold: &mut Fold) -> Result<Past> {
        let Question { snapshot, room, viewer, .. } = question;
        if let Order::Live(until) = fold.until()
            && room.is_quiet_between(until, snapshot.position())
        {
            return Ok(Past::Stands);
        }
        let mut past = Past::Stands;
        let mut surroundings = None;
        loop {
            let rest = KeyRange::prefix_after((&room.id,), fold.until());
            let events = self.events_in(snapshot, room, rest, CHUNK).await?;
            let exhausted = events.len() < CHUNK;
            if surroundings.is_none() && !events.is_empty() {
                surroundings = Some(Surroundings::new(room, viewer.user(), self.state_at(room, fold.until()).await?));
            }
            for event in events {
                let Some(surroundings) = surroundings.as_mut() else { break };
                if event.event.redacts.is_some() {
                    past = Past::MayHaveChanged;
                }
                self.fold_in(question, fold, surroundings, event).await?;
            }
            if exhausted {
                return Ok(past);
            }
        }
    }

    /// Folds in one event.
    async fn fold_in(
        &self,
        question: &Question<'_>,
        fold: &mut Fold,
        surroundings: &mut Surroundings<'_>,
        event: TimelineEvent,
    ) -> Result<()> {
        let Question { snapshot, room, viewer, rules, followed } = question;
        let standing = self.standing(snapshot, room, viewer.user(), *followed, &event.event).await?;
        let meaning = surroundings.meaning_of(&event, viewer, &rules.ruleset, standing)?;
        if meaning != Meaning::Nothing {
            let thread = self.thread_of(snapshot, room, &event.event).await?;
            fold.note(event.order, thread, meaning);
        }
        fold.pass(event.order);
        surroundings.pass(event.event);
        Ok(())
    }
}

impl Memo {
    /// Whether the memo is of the same rules, the same subscriptions and the same people, and not of a later moment.
    fn answers(&self, question: &Question<'_>) -> bool {
        self.rules == question.rules
            && self.followed == question.followed
            && self.ignored == *question.viewer.ignored()
            && self.fold.until() <= Order::Live(question.snapshot.position())
    }
}

#[cfg(test)]
mod tests;
