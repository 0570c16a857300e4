//! Follows the log and has the index know what happened.

use std::{collections::BTreeMap, time::Duration};

use ruma::{OwnedEventId, OwnedRoomId, events::TimelineEventType};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::{
    Search, Searching,
    index::Text,
    texts::{Content, content},
};
use crate::{
    error::{Error, Result},
    rooms::{Room, TimelineEvent},
    storage::{Order, Position, Snapshot},
    streams::{Change, Log},
};

/// How many rows of the log are read at a time.
const ROWS: usize = 512;

/// How long what happens is gathered before it is read, unless somebody searches meanwhile.
const GATHERING: Duration = Duration::from_secs(1);

/// How long what was read may wait to be kept, unless somebody searches meanwhile. A crash repeats it.
const KEEPING: Duration = Duration::from_secs(10);

/// How many changes are kept at once at the latest.
const MANY: usize = 20_000;

/// After how many rows without any text how far the index has come is kept.
const QUIET: usize = 200_000;

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
    /// When the first of them came.
    since: Instant,
    /// When something was taken back that files still have terms of.
    stale: Option<Instant>,
}

/// What becomes of the index.
enum Edit {
    Add(Text),
    Forget(OwnedEventId),
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
        let mut course = Course { read, unkept: 0, rows: 0, since: Instant::now(), stale: None };
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
            let asked = *wanted.borrow() > *self.reached.borrow();
            if course.unkept > 0 && (asked || course.since.elapsed() >= KEEPING) || course.rows > QUIET {
                self.keep(course).await?;
            }
            if course.unkept == 0 {
                self.reached.send_replace(course.read);
            }
            if course.unkept == 0 && course.stale.is_some_and(|since| since.elapsed() >= FORGETTING) {
                let index = self.index.clone();
                spawn_blocking(move || index.purge()).await.map_err(Error::internal)??;
                course.stale = None;
            }
            let rest = match (course.unkept, course.stale) {
                (0, None) => Duration::MAX,
                (0, Some(since)) => FORGETTING.saturating_sub(since.elapsed()),
                _ => KEEPING.saturating_sub(course.since.elapsed()),
            };
            tokio::select! {
                grown = news.changed() => {
                    if grown.is_err() {
                        return Ok(());
                    }
                    let _ = timeout(GATHERING, wanted.changed()).await;
                }
                _ = wanted.changed() => {}
                () = sleep(rest) => {}
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
            if course.unkept == 0 {
                course.since = Instant::now();
            }
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

    /// What these rows of the log mean for the index.
    async fn edits(&self, snapshot: &Snapshot, rows: Vec<(Position, Change)>) -> Result<Vec<Edit>> {
        let mut grown: BTreeMap<OwnedRoomId, Vec<Order>> = BTreeMap::new();
        for (position, change) in rows {
            if let Change::Event { room, .. } = change {
                grown.entry(room).or_default().push(Order::Live(position));
            }
        }
        let mut edits = Vec::new();
        for (room_id, orders) in grown {
            let room = self.rooms.room(&room_id).await?;
            for event in self.rooms.events_at(snapshot, &room, &orders).await? {
                edits.extend(self.edit(snapshot, &room, event).await?);
            }
        }
        Ok(edits)
    }

    async fn edit(&self, snapshot: &Snapshot, room: &Room, found: TimelineEvent) -> Result<Option<Edit>> {
        let TimelineEvent { order: Order::Live(order), header, event } = found else { return Ok(None) };
        if event.kind == TimelineEventType::RoomRedaction {
            let Some(redacted) = &event.redacts else { return Ok(None) };
            let target = self.rooms.event(snapshot, room, redacted).await?;
            let gone = target.filter(|target| target.header.redacted_by.is_some());
            return Ok(gone.map(|gone| Edit::Forget(gone.event.id)));
        }
        let Some(Content { key, text, edits }) = content(&event).filter(|_| header.redacted_by.is_none()) else {
            return Ok(None);
        };
        let (mut events, mut shown) = (vec![event.id], order);
        if let Some(edited) = edits {
            // An edit that counts is by the same person and of an event of the same type.
            let original = self.rooms.event(snapshot, room, &edited).await?.filter(|original| {
                original.event.sender == event.sender
                    && original.event.kind == event.kind
                    && !original.event.is_state()
                    && original.header.redacted_by.is_none()
            });
            let Some(TimelineEvent { order: Order::Live(place), .. }) = original else { return Ok(None) };
            events.push(edited);
            shown = place;
        }
        let text = Text { events, room: room.id.clone(), order, shown, sender: event.sender, key, text };
        Ok(Some(Edit::Add(text)))
    }

    async fn make(&self, edits: Vec<Edit>) -> Result<()> {
        if edits.is_empty() {
            return Ok(());
        }
        let (index, mut analysis) = (self.index.clone(), self.analysis.clone());
        let make = move || {
            edits.into_iter().try_for_each(|edit| match edit {
                Edit::Add(text) => index.add(&mut analysis, text),
                Edit::Forget(event) => {
                    index.forget(&event);
                    Ok(())
                }
            })
        };
        spawn_blocking(make).await.map_err(Error::internal)?
    }

    async fn keep(&self, course: &mut Course) -> Result<()> {
        let (index, read) = (self.index.clone(), course.read);
        spawn_blocking(move || index.commit(read)).await.map_err(Error::internal)??;
        (course.unkept, course.rows) = (0, 0);
        self.reached.send_replace(read);
        Ok(())
    }
}
