//! Follows the log and has the index know what happened.

use std::time::Duration;

use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::{Search, Searching, changes::Edit};
use crate::{
    error::{Error, Result},
    storage::Position,
    streams::Log,
};

/// How many rows of the log are read at a time.
const ROWS: usize = 512;

/// How long what happens is gathered before it is read and kept, unless somebody searches meanwhile: a commit of the index costs as
/// much as some hundred messages, whatever is in it. A crash loses nothing, since the log is read again.
const GATHERING: Duration = Duration::from_secs(30);

/// How often it is looked whether so much has happened meanwhile that it is read at once.
const GLANCE: Duration = Duration::from_secs(1);

/// How many changes are kept at once at the latest, so that they take little memory.
const MANY: usize = 8_192;

/// After how many rows without any text how far the index has come is kept.
const QUIET: usize = 200_000;

/// How long it has to be quiet before the index lets go of what it needs for writing.
const QUIET_TIME: Duration = Duration::from_secs(60);

/// How long files keep terms of what was taken back, at most about. They are written anew without these, which takes its time.
const FORGETTING: Duration = Duration::from_secs(3600);

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(5);

/// How far the index is.
struct Course {
    /// Up to where the log was read.
    read: Position,
    /// How many changes are not kept yet.
    unkept: usize,
    /// How many rows were read since something was kept.
    rows: usize,
    /// When something was taken back that files still have terms of.
    stale: Option<Instant>,
    /// Whether the index has nothing in memory that is only there for writing.
    rests: bool,
}

impl Search {
    /// Keeps the index up until the server stops; at first, if need be, with everything there is.
    pub async fn follow(self) {
        let Some(searching) = self.searching.clone() else { return };
        tokio::select! {
            () = searching.keep_following() => {}
            () = searching.shutdown.begun() => {}
        }
    }
}

impl Searching {
    async fn keep_following(&self) {
        let read = *self.reached.borrow();
        let mut course = Course { read, unkept: 0, rows: 0, stale: None, rests: false };
        if let Err(cause) = self.prepare(&mut course).await {
            warn!(%cause, "the search index could not be checked");
        }
        loop {
            match self.follow_from(&mut course).await {
                Ok(()) => return,
                Err(cause) => warn!(%cause, "the search index cannot follow; trying again soon"),
            }
            sleep(RETRY).await;
            // What is not kept is read again, and must not be there twice.
            let index = self.index.clone();
            let undone = spawn_blocking(move || index.rollback()).await.map_err(Error::internal).flatten();
            match undone {
                Ok(()) => (course.read, course.unkept) = (*self.reached.borrow(), 0),
                Err(cause) => warn!(%cause, "the search index could not be set back"),
            }
        }
    }

    /// Makes sure that the index is whole, and has it forget at once what had been taken back before the server stopped.
    async fn prepare(&self, course: &mut Course) -> Result<()> {
        let index = self.index.clone();
        let prepare = move || match index.is_whole() {
            Ok(true) => index.purge().map(|()| true),
            damaged => {
                warn!(?damaged, "the search index is damaged; it is made anew");
                index.clear().map(|()| false)
            }
        };
        if !spawn_blocking(prepare).await.map_err(Error::internal)?? {
            course.read = Position::ZERO;
            self.reached.send_replace(Position::ZERO);
        }
        Ok(())
    }

    async fn follow_from(&self, course: &mut Course) -> Result<()> {
        let (mut news, mut wanted) = (self.notifier.growth(), self.wanted.subscribe());
        if course.read == Position::ZERO {
            info!("making the search index");
        }
        loop {
            wanted.mark_unchanged();
            self.catch_up(course).await?;
            if course.unkept > 0 || course.rows > QUIET {
                self.keep(course).await?;
            }
            self.reached.send_replace(course.read);
            if course.stale.is_some_and(|since| since.elapsed() >= FORGETTING) {
                let index = self.index.clone();
                spawn_blocking(move || index.purge()).await.map_err(Error::internal)??;
                (course.stale, course.rests) = (None, false);
            }
            let nothing = match (course.rests, course.stale) {
                (false, _) => QUIET_TIME,
                (true, None) => Duration::MAX,
                (true, Some(since)) => FORGETTING.saturating_sub(since.elapsed()),
            };
            tokio::select! {
                grown = news.changed() => {
                    if grown.is_err() {
                        return Ok(());
                    }
                    self.gather(course.read, &mut wanted).await;
                }
                _ = wanted.changed() => {}
                () = sleep(nothing) => {
                    if !course.rests {
                        let index = self.index.clone();
                        spawn_blocking(move || index.rest()).await.map_err(Error::internal)??;
                        course.rests = true;
                    }
                }
            }
        }
    }

    /// Waits until it is worth while to read the log from `read` on.
    async fn gather(&self, read: Position, wanted: &mut watch::Receiver<Position>) {
        let since = Instant::now();
        while since.elapsed() < GATHERING && self.store.position().get() - read.get() < MANY as u64 {
            if timeout(GLANCE, wanted.changed()).await.is_ok() {
                return;
            }
        }
    }

    /// Reads the log up to now.
    async fn catch_up(&self, course: &mut Course) -> Result<()> {
        let snapshot = self.store.snapshot();
        loop {
            let rows = Log::since(&snapshot, course.read, ROWS).await?;
            let Some((last, _)) = rows.last() else {
                course.read = snapshot.position();
                return Ok(());
            };
            let (last, count) = (*last, rows.len());
            let edits = self.edits(&snapshot, rows).await?;
            course.unkept += edits.len();
            if edits.iter().any(|edit| matches!(edit, Edit::Forget(_))) {
                course.stale.get_or_insert_with(Instant::now);
            }
            self.make(edits).await?;
            course.read = last;
            course.rows += count;
            if course.unkept >= MANY {
                self.keep(course).await?;
            }
        }
    }

    async fn make(&self, edits: Vec<Edit>) -> Result<()> {
        if edits.is_empty() {
            return Ok(());
        }
        let (index, mut analysis) = (self.index.clone(), self.analysis.clone());
        let make = move || {
            edits.into_iter().try_for_each(|edit| match edit {
                Edit::Add(text) => index.add(&mut analysis, text),
                Edit::Replace(text) => index.replace(&mut analysis, text),
                Edit::Forget(event) => index.forget(&event),
            })
        };
        spawn_blocking(make).await.map_err(Error::internal)?
    }

    async fn keep(&self, course: &mut Course) -> Result<()> {
        let (index, read) = (self.index.clone(), course.read);
        spawn_blocking(move || index.commit(read)).await.map_err(Error::internal)??;
        (course.unkept, course.rows, course.rests) = (0, 0, false);
        self.reached.send_replace(read);
        Ok(())
    }
}
