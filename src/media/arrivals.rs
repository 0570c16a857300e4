//! Wakes those who wait for a file that was announced.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, futures::Notified};

use super::MediaId;

/// A cheap-clone registry of the files that somebody waits for. It carries no data: whoever is woken looks again.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(Arc<Mutex<HashMap<MediaId, Arc<Notify>>>>);

/// Somebody who waits for a file; the last one to go takes its row along.
#[derive(Debug)]
pub struct Arrival {
    arrivals: Arrivals,
    id: MediaId,
    signal: Arc<Notify>,
}

impl Arrivals {
    /// Starts to watch for a file.
    pub fn watch(&self, id: &MediaId) -> Arrival {
        let signal = self.lock().entry(id.clone()).or_default().clone();
        Arrival { arrivals: self.clone(), id: id.clone(), signal }
    }

    /// Wakes everybody who waits for a file.
    pub fn wake(&self, id: &MediaId) {
        if let Some(signal) = self.lock().get(id) {
            signal.notify_waiters();
        }
    }

    /// A panic elsewhere cannot have broken the registry, so a poisoned lock is used as it is.
    fn lock(&self) -> MutexGuard<'_, HashMap<MediaId, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrival {
    /// Ends when the file has come, if that is after this was first polled or enabled.
    pub fn arrived(&self) -> Notified<'_> {
        self.signal.notified()
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut waiting = self.arrivals.lock();
        // The registry has one share and this has the other.
        if Arc::strong_count(&self.signal) == 2 {
            waiting.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn everybody_who_waits_for_a_file_is_woken() {
        let arrivals = Arrivals::default();
        let (one, other) = (MediaId::random(), MediaId::random());
        let (first, second, elsewhere) = (arrivals.watch(&one), arrivals.watch(&one), arrivals.watch(&other));
        let (mut a, mut b, mut c) = (pin!(first.arrived()), pin!(second.arrived()), pin!(elsewhere.arrived()));
        for waiting in [&mut a, &mut b, &mut c] {
            assert!(!waiting.as_mut().enable());
        }
        arrivals.wake(&one);
        a.await;
        b.await;
        assert!(!c.as_mut().enable(), "another file came");
    }

    #[test]
    fn the_last_one_takes_the_row_along() {
        let arrivals = Arrivals::default();
        let id = MediaId::random();
        let (first, second) = (arrivals.watch(&id), arrivals.watch(&id));
        drop(first);
        assert_eq!(arrivals.lock().len(), 1);
        drop(second);
        assert!(arrivals.lock().is_empty());
    }
}
