//! What has to go in the background: files that nobody looks at, announcements that came to nothing, and objects that no
//! row names.

use std::time::Duration;

use tokio::time::timeout;
use tracing::warn;

use super::Media;
use crate::{
    error::Result,
    shutdown::Shutdown,
    storage::{
        Direction, KeyRange,
        schema::media::{ANNOUNCED_BY_END, FILES_BY_USE, LOOSE_OBJECTS, Loose},
    },
};

/// How long what has to go may stay.
const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How long an upload that began in time may take to the end.
const LONGEST_UPLOAD: Duration = Duration::from_secs(24 * 3600);
/// How many rows are looked at together.
const AT_ONCE: usize = 100;

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
        self.sweep_announced().await?;
        self.sweep_unused().await?;
        self.sweep_loose_objects().await
    }

    /// Forgets files that were announced and never uploaded.
    async fn sweep_announced(&self) -> Result<()> {
        let now = self.0.clock.millis();
        let begun_by = now.saturating_sub(LONGEST_UPLOAD.as_millis() as u64);
        loop {
            let range = KeyRange::before((begun_by,));
            let snapshot = self.0.store.snapshot();
            let old = ANNOUNCED_BY_END.scan(&snapshot, range, Direction::Forward, AT_ONCE).await?;
            for ((end, id), ()) in &old {
                self.forget_announced(*end, id).await?;
            }
            if old.len() < AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Deletes files that nobody has looked at for as long as the operator wants to keep them.
    async fn sweep_unused(&self) -> Result<()> {
        let Some(keep_for) = self.0.options.keep_for else { return Ok(()) };
        let used_by = self.0.clock.millis().saturating_sub(keep_for.as_millis() as u64);
        loop {
            let range = KeyRange::before((used_by,));
            let snapshot = self.0.store.snapshot();
            let old = FILES_BY_USE.scan(&snapshot, range, Direction::Forward, AT_ONCE).await?;
            for ((used_at, server, id), ()) in &old {
                self.remove_unused(*used_at, server, id).await?;
            }
            if old.len() < AT_ONCE {
                return Ok(());
            }
        }
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
