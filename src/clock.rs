//! Time as an argument: the only place that reads the system's clocks, so that tests can set them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ruma::{MilliSecondsSinceUnixEpoch, UInt};

/// A cheap-clone source of the current time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Milliseconds since the Unix epoch for a clock that only moves when told; `None` follows the system.
    manual: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `milliseconds` since the Unix epoch until [`Clock::advance`] moves it.
    pub fn manual(milliseconds: u64) -> Self {
        Self { manual: Some(Arc::new(AtomicU64::new(milliseconds))) }
    }

    /// Milliseconds since the Unix epoch.
    pub fn millis(&self) -> u64 {
        match &self.manual {
            Some(manual) => manual.load(Ordering::Relaxed),
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
        }
    }

    /// The current time as the protocol writes it.
    pub fn now(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(self.millis()))
    }

    /// Moves a manual clock forward; the system's clock does not listen.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.manual {
            manual.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
        }
    }
}
