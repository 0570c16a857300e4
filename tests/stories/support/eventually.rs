//! Waiting for a condition instead of for time.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

/// How long a story waits for what should happen at once; generous, since the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until `attempt` gives something.
///
/// # Panics
///
/// If that has not happened after `patience`; `what` says what was waited for.
pub async fn eventually<T>(what: &str, patience: Duration, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    let mut pause = interval(Duration::from_millis(20));
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pause.tick().await;
        if let Some(outcome) = attempt().await {
            return outcome;
        }
        assert!(started.elapsed() < patience, "waited {patience:?} in vain for {what}");
    }
}
