//! The log of changes: one row for every position at which something durable happened that a client could want to hear of.
//!
//! Whoever appends does not know who follows. A follower remembers a position and reads what came after it.

use std::collections::BTreeSet;

use ruma::{OwnedUserId, UserId};

pub use crate::storage::schema::streams::Change;
use crate::{
    error::Result,
    storage::{
        Batch, Direction, KeyRange, Position, Snapshot,
        schema::streams::{DEVICE_LIST_LOG, LOG, PROFILE_LOG, USER_LOG},
    },
};

/// The log as its readers and writers see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

impl Log {
    /// Adds `change` to `batch`, at the position that the batch's `slot` will get when it commits.
    pub fn append(batch: &mut Batch, slot: u16, change: &Change) {
        let position = Position::pending(slot);
        LOG.put(batch, (position,), change);
        if let Some(user) = personal(change) {
            USER_LOG.put(batch, (user, position), change);
        }
        match change {
            Change::DeviceList { user } => DEVICE_LIST_LOG.put(batch, (position, user), &()),
            Change::Profile { user } => PROFILE_LOG.put(batch, (position, user), &()),
            _ => {}
        }
    }

    /// At most `limit` changes of the whole server after `since`, oldest first.
    pub async fn since(snapshot: &Snapshot, since: Position, limit: usize) -> Result<Vec<(Position, Change)>> {
        let rows = LOG.scan(snapshot, KeyRange::after((since,)), Direction::Forward, limit).await?;
        Ok(rows.into_iter().map(|((position,), change)| (position, change)).collect())
    }

    /// The users whose devices or device keys changed after `since`.
    pub async fn device_lists_since(snapshot: &Snapshot, since: Position) -> Result<BTreeSet<OwnedUserId>> {
        let rows = DEVICE_LIST_LOG.scan(snapshot, KeyRange::after((since,)), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|((_, user), ())| user).collect())
    }

    /// The users whose profiles changed after `since`, or who are new since then.
    pub async fn profiles_since(snapshot: &Snapshot, since: Position) -> Result<BTreeSet<OwnedUserId>> {
        let rows = PROFILE_LOG.scan(snapshot, KeyRange::after((since,)), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|((_, user), ())| user).collect())
    }

    /// Every change after `since` that concerns `user` in person, oldest first.
    pub async fn of_user_since(snapshot: &Snapshot, user: &UserId, since: Position) -> Result<Vec<(Position, Change)>> {
        let range = KeyRange::prefix_after((user,), since);
        let rows = USER_LOG.scan(snapshot, range, Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|((_, position), change)| (position, change)).collect())
    }
}

/// The user for whom `change` has a row of its own, because no room's timeline leads that user to it.
fn personal(change: &Change) -> Option<&UserId> {
    match change {
        Change::Event { member, .. } => member.as_deref(),
        Change::Receipt { private: false, .. } => None,
        Change::Receipt { user, .. }
        | Change::AccountData { user, .. }
        | Change::Profile { user }
        | Change::DeviceList { user }
        | Change::Forgotten { user, .. }
        | Change::Signed { user, .. }
        | Change::ThreadSubscription { user } => Some(user),
        // No client is told of these.
        Change::Pushers { .. } => None,
    }
}
