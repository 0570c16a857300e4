//! What has to go in the background: objects that no row names.

use std::time::Duration;

use tokio::time::timeout;
use tracing::warn;

use super::Media;
use crate::{
    error::Result,
    shutdown::Shutdown,
    storage::{
        Direction, KeyRange,
        schema::media::{LOOSE_OBJECTS, Loose},
    },
};

/// How long what has to go may stay.
const INTERVAL: Duration = Duration::from_secs(10 * 60);

impl Media {
    /// Sweeps at once and then every few minutes, until the server stops.
    pub async fn sweep_now_and_then(self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                outcome = self.sweep() => {
                    if let Err(cause) = outcome {
                        warn!(%cause, "files that have to go could not all be deleted");
                    }
                }
                // Whatever is left is found again by the next run.
                () = shutdown.begun() => return,
            }
            if timeout(INTERVAL, shutdown.begun()).await.is_ok() {
                return;
            }
        }
    }

    /// Deletes what has to go, at a cost that grows with that and not with what stays.
    pub(super) async fn sweep(&self) -> Result<()> {
        self.sweep_loose_objects().await
    }

    /// Deletes what a crash left behind, and what could not be deleted before.
    async fn sweep_loose_objects(&self) -> Result<()> {
        let snapshot = self.0.store.snapshot();
        for ((object,), why) in LOOSE_OBJECTS.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await? {
            if why != (Loose::BeingWritten { boot: self.0.boot }) {
                self.discard(&object).await;
            }
        }
        Ok(())
    }
}
