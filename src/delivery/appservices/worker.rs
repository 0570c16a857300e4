//! The task of one application service: reads on in the log, keeps a transaction, sends it until it is taken.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ruma::OwnedRoomId;
use tokio::{sync::Notify, time::sleep};
use tracing::{info, warn};

use super::{Bridges, RETRY, calls::Question, health::Health, interest::Interest};
use crate::{
    appservices::Appservice,
    encryption::ToDevice,
    error::Result,
    outgoing::Method,
    storage::{
        Batch, Direction, KeyRange, Position,
        schema::appservices::{
            APPSERVICE_PROGRESS, APPSERVICE_TRANSACTIONS, APPSERVICE_TYPING, AppserviceProgress, AppserviceTransaction,
        },
    },
    users::random_text,
};

/// How long a service has to take a transaction.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait after the first failure, in milliseconds; twice as long after each further one.
const FIRST_PAUSE: u64 = 1_000;
/// The longest pause, in milliseconds.
const LONGEST_PAUSE: u64 = 5 * 60 * 1_000;
/// How many positions may pass that do not concern a service before that is kept. A restart reads as many again.
const PASSED_UNKEPT: u64 = 1_000;
/// How long the ids are that tell transactions of different databases apart.
const SERIES: usize = 8;

/// What the task of a service knows. All but what is kept may be lost.
pub(super) struct Course {
    /// How far the service is.
    pub progress: AppserviceProgress,
    /// How much of typing and presence it was told.
    pub ephemeral: u64,
    /// The rooms of which it was told before this start of the server that somebody types, and nothing since.
    pub typing_before: BTreeSet<OwnedRoomId>,
    /// What it hears of.
    pub interest: Interest,
    /// The position that was kept last.
    kept: u64,
}

impl Bridges {
    /// Works for one service for as long as it is registered like this.
    pub(super) async fn work(self, service: Arc<Appservice>) {
        // Before the first snapshot, so that no change falls between the two.
        let mut news = self.shared.notifier.growth();
        let mut course = None;
        loop {
            match self.go_on(&service, &mut course).await {
                Ok(true) => {}
                Ok(false) => {
                    // It fails only if nobody can change anything any more.
                    let _ = news.changed().await;
                }
                Err(cause) => {
                    warn!(%cause, service = service.id, "an application service is told late; trying again soon");
                    course = None;
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Sends what is kept, or else keeps what is next; `false` if there is nothing.
    async fn go_on(&self, service: &Appservice, course: &mut Option<Course>) -> Result<bool> {
        let course = match course {
            Some(course) => course,
            None => course.insert(self.begin(service).await?),
        };
        let waiting = APPSERVICE_TRANSACTIONS.get(&self.shared.store.snapshot(), (&service.id,)).await?;
        if let Some(transaction) = waiting {
            self.send(service, course.progress.done, &transaction).await;
            self.settle(service, course, transaction).await?;
            return Ok(true);
        }
        let gathered = self.gather(service, course).await?;
        let then = AppserviceProgress { done: gathered.done, ..course.progress.clone() };
        let Some(body) = gathered.body else {
            course.progress = then;
            self.pass_ephemerals(service, course, gathered.ephemeral);
            if course.progress.done.get().saturating_sub(course.kept) > PASSED_UNKEPT {
                self.keep(service, course).await?;
            }
            return Ok(gathered.more);
        };
        let then = AppserviceProgress { transactions: then.transactions + 1, ..then };
        let mut batch = Batch::new();
        batch.slots(0);
        let transaction = AppserviceTransaction { body, then, inbox: gathered.inbox };
        APPSERVICE_TRANSACTIONS.put(&mut batch, (&service.id,), &transaction);
        for (room, somebody) in &gathered.typing {
            match somebody {
                true => APPSERVICE_TYPING.put(&mut batch, (&service.id, room), &()),
                false => APPSERVICE_TYPING.delete(&mut batch, (&service.id, room)),
            }
        }
        self.shared.store.commit(batch).await?;
        self.pass_ephemerals(service, course, gathered.ephemeral);
        Ok(true)
    }

    /// Keeps in mind, for as long as the server runs, how much of typing and presence a service was told.
    fn pass_ephemerals(&self, service: &Appservice, course: &mut Course, count: u64) {
        course.ephemeral = count;
        course.typing_before.clear();
        self.lock().entry(service.id.clone()).or_default().ephemeral = Some(count);
    }

    /// What is known of a service; one that is new hears of what happens from now on.
    async fn begin(&self, service: &Appservice) -> Result<Course> {
        let current = self.shared.ephemerals.current().count;
        let snapshot = self.shared.store.snapshot();
        let kept = APPSERVICE_PROGRESS.get(&snapshot, (&service.id,)).await?;
        let fresh = || AppserviceProgress { series: random_text(SERIES), transactions: 0, done: snapshot.position() };
        let is_new = kept.is_none();
        let typing =
            APPSERVICE_TYPING.scan(&snapshot, KeyRange::prefix((&service.id,)), Direction::Forward, usize::MAX);
        let typing: BTreeSet<_> = typing.await?.into_iter().map(|((_, room), ())| room).collect();
        // One that was told before this start of the server is told who has come since.
        let told = self.lock().get(&service.id).and_then(|health| health.ephemeral);
        let ephemeral = told.unwrap_or(if is_new { current } else { 0 });
        let progress = kept.unwrap_or_else(fresh);
        let kept = progress.done.get();
        let typing_before = if told.is_some() { BTreeSet::new() } else { typing };
        let mut course = Course { progress, ephemeral, typing_before, interest: Interest::default(), kept };
        if is_new {
            self.keep(service, &mut course).await?;
        }
        Ok(course)
    }

    async fn keep(&self, service: &Appservice, course: &mut Course) -> Result<()> {
        let mut batch = Batch::new();
        batch.slots(0);
        APPSERVICE_PROGRESS.put(&mut batch, (&service.id,), &course.progress);
        self.shared.store.commit(batch).await?;
        course.kept = course.progress.done.get();
        Ok(())
    }

    /// Sends a transaction until the service takes it, which has been told everything up to `done`.
    async fn send(&self, service: &Appservice, done: Position, transaction: &AppserviceTransaction) {
        let id = format!("{}-{}", transaction.then.series, transaction.then.transactions);
        let question = Question {
            method: Method::PUT,
            path: &["transactions", &id],
            older: Some(&[]),
            query: &[],
            body: &transaction.body,
            timeout: TIMEOUT,
        };
        let mut pause = FIRST_PAUSE;
        while let Err(refusal) = self.call(service, &question).await {
            let nudge = self.note_failure(service, done, refusal.describe());
            tokio::select! {
                () = sleep(Duration::from_millis(pause)) => {}
                () = nudge.notified() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.note_success(service, done);
    }

    /// Notes that a service could not be told, and gives what ends the pause early.
    fn note_failure(&self, service: &Appservice, done: Position, cause: String) -> Arc<Notify> {
        let mut all = self.lock();
        let health = all.entry(service.id.clone()).or_default();
        if health.fails(self.shared.clock.millis(), cause.clone()) {
            let (service, behind) = (&service.id, self.behind(done));
            warn!(service, cause, behind, "an application service cannot be told what happens; that waits for it");
        }
        health.nudge.clone()
    }

    fn note_success(&self, service: &Appservice, done: Position) {
        let since = self.lock().get_mut(&service.id).and_then(Health::recovers);
        if let Some(since) = since {
            let seconds = self.shared.clock.millis().saturating_sub(since) / 1_000;
            let (service, behind) = (&service.id, self.behind(done));
            info!(service, seconds, behind, "an application service can be told what happens again");
        }
    }

    /// How many positions of the log come after `done`.
    pub(super) fn behind(&self, done: Position) -> u64 {
        self.shared.store.snapshot().position().get().saturating_sub(done.get())
    }

    /// Keeps that a service has taken a transaction.
    async fn settle(
        &self,
        service: &Appservice,
        course: &mut Course,
        transaction: AppserviceTransaction,
    ) -> Result<()> {
        let mut batch = Batch::new();
        batch.slots(0);
        APPSERVICE_TRANSACTIONS.delete(&mut batch, (&service.id,));
        APPSERVICE_PROGRESS.put(&mut batch, (&service.id,), &transaction.then);
        ToDevice::heard_of(&mut batch, service, &transaction.inbox);
        self.shared.store.commit(batch).await?;
        course.kept = transaction.then.done.get();
        course.progress = transaction.then;
        Ok(())
    }
}
