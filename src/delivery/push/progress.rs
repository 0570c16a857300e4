//! How far pushers are, on disk, and when a gateway that failed is tried again.

use std::{collections::HashSet, time::Duration};

use super::{Key, Push, course::Course};
use crate::{
    error::Result,
    storage::{
        Batch, Direction, KeyRange, Snapshot,
        schema::delivery::{PUSH_PROGRESS, PushFailing},
    },
    users::KeptPusher,
};

/// How long to wait after the first failure, in milliseconds; twice as long after each further one.
const FIRST_PAUSE: u64 = 1_000;
/// The longest pause, in milliseconds.
const LONGEST_PAUSE: u64 = 60 * 60 * 1_000;
/// How long a gateway is tried before what waits for it is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// How many positions a pusher may pass without being told anything before that is kept. A crash repeats looking at as much.
const PASSED_UNKEPT: u64 = 1_000;

/// When a gateway that has failed as in `before` and again at `now` is tried next; not before `pause`, if it asked for one.
pub(super) fn next_attempt(before: Option<PushFailing>, now: u64, pause: Option<u64>) -> PushFailing {
    let attempts = before.map_or(0, |before| before.attempts).saturating_add(1);
    let doubled = FIRST_PAUSE.saturating_mul(1 << (attempts - 1).min(30));
    let pause = doubled.max(pause.unwrap_or_default()).min(LONGEST_PAUSE);
    let since = before.map_or(now, |before| before.since);
    PushFailing { since, attempts, next_attempt: now + pause }
}

/// Whether a gateway has failed for so long that what waits for it is given up.
pub(super) fn is_hopeless(failing: PushFailing, now: u64) -> bool {
    now.saturating_sub(failing.since) >= PATIENCE.as_millis() as u64
}

impl Push {
    /// How far a pusher is.
    pub(super) async fn load(&self, snapshot: &Snapshot, key: &Key, kept: &KeptPusher) -> Result<Course> {
        let row = PUSH_PROGRESS.get(snapshot, (&*key.user, &key.app_id, &key.pushkey)).await?;
        let course = match row.filter(|row| row.since == kept.since) {
            Some(mut progress) => {
                // A pusher that was set again is not the one that could not be told.
                progress.failing = progress.failing.filter(|failing| failing.since >= kept.set_at);
                Course::going_on(progress, kept.set_at)
            }
            None => Course::new(kept.since, kept.set_at),
        };
        Ok(course)
    }

    /// Keeps how far a pusher is.
    pub(super) async fn keep(&self, key: &Key, course: &mut Course) -> Result<()> {
        let mut batch = Batch::new();
        batch.slots(0);
        PUSH_PROGRESS.put(&mut batch, (&*key.user, &key.app_id, &key.pushkey), &course.progress);
        self.shared.store.commit(batch).await?;
        course.kept = course.progress.done;
        Ok(())
    }

    /// Keeps how far a pusher is if it has passed much since.
    pub(super) async fn keep_now_and_then(&self, key: &Key, course: &mut Course) -> Result<()> {
        match course.progress.done.get().saturating_sub(course.kept.get()) > PASSED_UNKEPT {
            true => self.keep(key, course).await,
            false => Ok(()),
        }
    }

    /// Keeps how far all pushers are that rest.
    pub(super) async fn keep_all(&self) -> Result<()> {
        let mut batch = Batch::new();
        batch.slots(0);
        for (key, course) in self.shared.lines.courses() {
            if course.kept != course.progress.done {
                PUSH_PROGRESS.put(&mut batch, (&*key.user, &key.app_id, &key.pushkey), &course.progress);
            }
        }
        match batch.is_empty() {
            true => Ok(()),
            false => self.shared.store.commit(batch).await.map(drop),
        }
    }

    /// Forgets a pusher that is gone.
    pub(super) async fn forget(&self, key: &Key) -> Result<()> {
        self.forget_all([key]).await
    }

    /// Forgets the pushers that went while the server was down.
    pub(super) async fn forget_others(&self, snapshot: &Snapshot, there: &HashSet<Key>) -> Result<()> {
        let rows = PUSH_PROGRESS.scan(snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await?;
        let keys = rows.into_iter().map(|((user, app_id, pushkey), _)| Key { user, app_id, pushkey });
        let gone: Vec<_> = keys.filter(|key| !there.contains(key)).collect();
        match gone.is_empty() {
            true => Ok(()),
            false => self.forget_all(&gone).await,
        }
    }

    async fn forget_all<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) -> Result<()> {
        let mut batch = Batch::new();
        batch.slots(0);
        for Key { user, app_id, pushkey } in keys {
            PUSH_PROGRESS.delete(&mut batch, (&**user, app_id, pushkey));
        }
        self.shared.store.commit(batch).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let (mut failing, mut now, mut pauses) = (None, 1_000_000, Vec::new());
        for _ in 0..100 {
            let next = next_attempt(failing, now, None);
            pauses.push((next.next_attempt - now) / 1_000);
            (failing, now) = (Some(next), next.next_attempt);
        }
        assert_eq!(pauses[..6], [1, 2, 4, 8, 16, 32]);
        assert!(pauses[12..].iter().all(|pause| *pause == 3_600));
        let failing = failing.unwrap();
        assert_eq!((failing.since, failing.attempts), (1_000_000, 100), "it remembers when it began");
    }

    #[test]
    fn a_gateway_may_ask_for_a_longer_pause_but_not_for_any() {
        assert_eq!(next_attempt(None, 0, Some(90_000)).next_attempt, 90_000);
        assert_eq!(next_attempt(None, 0, Some(10)).next_attempt, FIRST_PAUSE);
        assert_eq!(next_attempt(None, 0, Some(u64::MAX)).next_attempt, LONGEST_PAUSE);
    }

    #[test]
    fn patience_ends_after_a_day() {
        let failing = next_attempt(None, 5_000, None);
        let day = PATIENCE.as_millis() as u64;
        assert!(!is_hopeless(failing, 5_000 + day - 1));
        assert!(is_hopeless(failing, 5_000 + day));
        assert!(!is_hopeless(failing, 0), "a clock that was set back is no reason");
    }
}
