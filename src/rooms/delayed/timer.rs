//! The one timer of all events that wait: it sleeps until the first of them is to be sent.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ruma::OwnedRoomId;
use tokio::{sync::Notify, time::sleep};
use tracing::warn;

use crate::{
    error::Result,
    rooms::{Rooms, keeping_up::in_each},
    shutdown::Shutdown,
    storage::{
        Direction, KeyRange,
        schema::delayed_events::{DELAYED_BY_TIME, DELAYED_EVENTS},
    },
};

/// How long to wait after a failure of the server itself before trying again.
const RETRY: Duration = Duration::from_secs(5);
/// The longest sleep, since the system's clock may be set and the machine be suspended meanwhile. It costs the look at one row.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What tells the timer that something is to be sent earlier than what it waits for. A cheap clone.
#[derive(Clone, Default)]
pub struct Alarm(Arc<Known>);

struct Known {
    /// When the timer will look anyway, in milliseconds since the Unix epoch.
    next: AtomicU64,
    earlier: Notify,
}

impl Default for Known {
    fn default() -> Self {
        Self { next: AtomicU64::new(u64::MAX), earlier: Notify::new() }
    }
}

impl Alarm {
    /// Something is to be sent at `due_at`.
    pub fn set(&self, due_at: u64) {
        if due_at < self.0.next.load(Ordering::SeqCst) {
            self.0.earlier.notify_one();
        }
    }
}

impl Rooms {
    /// Sends what waits when its time comes, for as long as the server runs. What is cut off waits still, and what was due while
    /// the server was down is sent at once.
    pub async fn send_delayed_in_time(self, shutdown: Shutdown) {
        let alarm = self.shared.alarm.clone();
        let sending = async {
            loop {
                // Until the first row has been read, everything that comes is news.
                alarm.0.next.store(u64::MAX, Ordering::SeqCst);
                let pause = match self.send_all_due().await {
                    Ok(next) => {
                        alarm.0.next.store(next, Ordering::SeqCst);
                        Duration::from_millis(next.saturating_sub(self.shared.clock.millis())).min(LONGEST_SLEEP)
                    }
                    Err(cause) => {
                        warn!(%cause, "events that were to be sent by now could not be; trying again soon");
                        RETRY
                    }
                };
                tokio::select! {
                    () = sleep(pause) => {}
                    () = alarm.0.earlier.notified() => {}
                }
            }
        };
        tokio::select! {
            () = sending => {}
            () = shutdown.begun() => {}
        }
    }

    /// Sends everything whose time has come, in each room in the order of these times, and says when to look again.
    pub(super) async fn send_all_due(&self) -> Result<u64> {
        loop {
            let now = self.shared.clock.millis();
            let snapshot = self.shared.store.snapshot();
            let range = KeyRange::before((now + 1,));
            let due = DELAYED_BY_TIME.scan(&snapshot, range, Direction::Forward, usize::MAX).await?;
            if due.is_empty() {
                let first = DELAYED_BY_TIME.scan(&snapshot, KeyRange::all(), Direction::Forward, 1).await?;
                return Ok(first.first().map_or(u64::MAX, |((time, _), _)| *time));
            }
            drop(snapshot);
            let mut by_room: BTreeMap<OwnedRoomId, Vec<String>> = BTreeMap::new();
            for ((_, id), room_id) in due {
                by_room.entry(room_id).or_default().push(id);
            }
            let (rooms, by_room) = (by_room.keys().cloned().collect(), Arc::new(by_room));
            in_each(rooms, |room_id| {
                let (service, by_room) = (self.clone(), by_room.clone());
                async move {
                    let mut outcome = Ok(());
                    for id in by_room.get(&room_id).into_iter().flatten() {
                        outcome = outcome.and(service.tend(id, now).await);
                    }
                    outcome
                }
            })
            .await?;
        }
    }

    /// Does what is to be done by `now` about a delayed event: it is sent, or forgotten.
    async fn tend(&self, id: &str, now: u64) -> Result<()> {
        match DELAYED_EVENTS.get(&self.shared.store.snapshot(), (id,)).await? {
            Some(event) if event.outcome.is_none() => self.send_due(id, now).await,
            Some(_) => self.forget_delayed(id).await,
            None => Ok(()),
        }
    }
}
