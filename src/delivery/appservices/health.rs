//! How an application service is, as far as this run of the server knows, and what is said of it in the log.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// How long nothing more is said of a service that is down, or down again, in milliseconds.
const REMINDER: u64 = 60 * 60 * 1_000;
/// How long a service that did not answer is left alone before somebody waits for it again.
const QUIET: Duration = Duration::from_secs(10);

/// How one service is.
#[derive(Default)]
pub(super) struct Health {
    /// What has been going wrong since the last success.
    pub outage: Option<Outage>,
    /// Has it tried again at once.
    pub nudge: Arc<Notify>,
    /// How much of typing and presence it was told.
    pub ephemeral: Option<u64>,
    /// When something was said of an outage the last time.
    said_at: Option<u64>,
    /// Until when nobody waits for it, because it did not answer.
    quiet_until: Option<Instant>,
}

/// Why and since when a service cannot be told what happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    /// Since when, in milliseconds since the Unix epoch.
    pub since: u64,
    /// What went wrong the last time.
    pub cause: String,
    /// Whether the log has it.
    said: bool,
}

impl Health {
    /// It could not be told what happens. Gives whether that is to be said, so that a service which comes and goes does not
    /// fill the log.
    pub fn fails(&mut self, now: u64, cause: String) -> bool {
        let say = self.said_at.is_none_or(|at| now.saturating_sub(at) >= REMINDER);
        if say {
            self.said_at = Some(now);
        }
        let (since, said) = self.outage.as_ref().map_or((now, false), |outage| (outage.since, outage.said));
        self.outage = Some(Outage { since, cause, said: said || say });
        say
    }

    /// It was told what happens. Gives since when that had failed, if that was said.
    pub fn recovers(&mut self) -> Option<u64> {
        self.outage.take().filter(|outage| outage.said).map(|outage| outage.since)
    }

    /// What is known is of another address or token, or of a service that is gone.
    pub fn begins_anew(&mut self) {
        (self.outage, self.said_at, self.quiet_until) = (None, None, None);
    }

    /// Whether somebody may wait for its answer, for `patience` at most. Of those who would wait for one that did not answer
    /// lately, one may, and the others need not.
    pub fn may_be_waited_for(&mut self, now: Instant, patience: Duration) -> bool {
        match self.quiet_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.quiet_until = Some(now + patience + QUIET);
                true
            }
        }
    }

    /// It answered, whatever that was, or did not.
    pub fn answered(&mut self, now: Instant, answered: bool) {
        self.quiet_until = (!answered).then(|| now + QUIET);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_said_once_and_then_now_and_then() {
        let mut health = Health::default();
        let cause = || "refused".to_owned();
        assert!(health.fails(1_000, cause()));
        assert!(!health.fails(2_000, cause()) && !health.fails(REMINDER, cause()));
        assert!(health.fails(REMINDER + 1_000, cause()), "it still is down");
        assert_eq!(health.recovers(), Some(1_000));
        // One that comes and goes is said once an hour, the end of it too.
        assert!(!health.fails(REMINDER + 2_000, cause()));
        assert_eq!((health.recovers(), health.recovers()), (None, None));
        health.begins_anew();
        assert!(health.fails(REMINDER + 3_000, cause()), "it is another one");
    }

    #[test]
    fn nobody_waits_for_a_service_that_does_not_answer_but_one_now_and_then() {
        let (mut health, start, patience) = (Health::default(), Instant::now(), Duration::from_secs(30));
        let waits =
            |health: &mut Health, after: u64| health.may_be_waited_for(start + Duration::from_secs(after), patience);
        assert!(waits(&mut health, 0) && waits(&mut health, 0));
        health.answered(start, false);
        assert!(!waits(&mut health, 9));
        assert!(waits(&mut health, 10), "one tries");
        assert!(!waits(&mut health, 11), "the others do not wait for that");
        health.answered(start + Duration::from_secs(40), false);
        assert!(!waits(&mut health, 41));
        health.answered(start + Duration::from_secs(42), true);
        assert!(waits(&mut health, 42) && waits(&mut health, 42));
    }
}
