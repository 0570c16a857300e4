//! What the threads of a room are to a reader, for the push rules that ask for it (MSC4306).

use ruma::UserId;

use super::rules::Rules;
use crate::{
    error::Result,
    matrix::{
        event::Event,
        push_rules::{ThreadStanding, ThreadsMatter},
    },
    rooms::{Room, Rooms, threads::Thread},
    storage::{Position, Snapshot},
    users::{ThreadSubscription, ThreadSubscriptions},
};

/// What a reader's rules ask of the threads of a room, and whether anything about that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    matter: ThreadsMatter,
    /// When the reader last decided about a thread of the room, if that matters.
    decided: Option<Position>,
}

impl Followed {
    /// What decides over how a reader stands to the threads of a room as of `snapshot`.
    pub async fn load(snapshot: &Snapshot, room: &Room, user: &UserId, rules: &Rules) -> Result<Self> {
        let matter = rules.threads_matter;
        let decided = match matter.subscribed || matter.unsubscribed {
            true => ThreadSubscriptions::last_decision(snapshot, user, &room.id).await?,
            false => None,
        };
        Ok(Self { matter, decided })
    }
}

impl Rooms {
    /// How a reader stands to the thread of an event. Where no rule could tell the difference it is taken for one in no thread.
    pub(super) async fn standing(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        user: &UserId,
        followed: Followed,
        event: &Event,
    ) -> Result<ThreadStanding> {
        let Followed { matter, decided } = followed;
        let asked = matter.unsubscribed || (matter.subscribed && decided.is_some());
        if !asked || event.sender == user || event.relation().is_none() {
            return Ok(ThreadStanding::Outside);
        }
        let Thread::Root(root) = self.thread_of(snapshot, room, event).await? else {
            return Ok(ThreadStanding::Outside);
        };
        let subscription = match decided {
            Some(_) => ThreadSubscriptions::as_of(snapshot, user, &room.id, &root).await?,
            None => ThreadSubscription::None,
        };
        Ok(match subscription {
            ThreadSubscription::None => ThreadStanding::Unsubscribed,
            ThreadSubscription::Manual | ThreadSubscription::Automatic => ThreadStanding::Subscribed,
        })
    }
}
