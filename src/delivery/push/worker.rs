//! The worker of one pusher: asks what its user is to be told, tells the gateway in order, and keeps how far it is.

use std::{collections::HashMap, sync::Arc, thread, time::Duration};

use ruma::{OwnedRoomId, events::room::member::MembershipState};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::{
    Key, Push, RETRY, content,
    course::Course,
    gateways::Outcome,
    lines::{Lines, Taken},
    progress,
};
use crate::{
    error::Result,
    matrix::event::Event,
    storage::{Order, Position, Snapshot, schema::delivery::PushFailing},
    users::KeptPusher,
};

/// How long a gateway has for its answer when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// What a worker does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// There is more to do.
    GoOn,
    /// There is nothing to do.
    Rest,
    /// The gateway is tried again later.
    Wait(PushFailing),
    /// The pusher is gone.
    End,
}

/// What a gateway is told.
enum Message {
    /// Of an event.
    Event((Position, OwnedRoomId)),
    /// That nothing is unread any more.
    NoBadge,
}

/// Sees to it that a pusher whose worker panics gets another one.
struct Watch<'a> {
    lines: &'a Lines,
    key: &'a Key,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.lines.abandon(self.key);
        }
    }
}

impl Push {
    /// Works for one pusher until there is nothing to do.
    pub(super) async fn work(self, key: Key) {
        let _watch = Watch { lines: &self.shared.lines, key: &key };
        let (mut course, renewed) = self.shared.lines.start(&key);
        while !self.shared.shutdown.has_begun() {
            let mut taken = self.shared.lines.take(&key);
            match self.go_on(&key, &mut course, &mut taken).await {
                Ok(Next::GoOn) => {}
                Ok(Next::Rest) => match self.shared.lines.rest(&key, course) {
                    Ok(()) => return,
                    Err(kept) => course = kept,
                },
                Ok(Next::Wait(failing)) => self.wait(failing, &renewed).await,
                Ok(Next::End) => match self.shared.lines.rest(&key, None) {
                    Ok(()) => return,
                    Err(_) => course = None,
                },
                Err(cause) => {
                    warn!(%cause, user = %key.user, "a push notification is delayed; trying again soon");
                    // What was known may be half changed. Everything is worked out anew from what was kept.
                    course = None;
                    tokio::select! {
                        () = sleep(RETRY) => {}
                        () = self.shared.shutdown.begun() => {}
                    }
                }
            }
        }
        // Where a worker is cut off, the next start goes on from what was kept.
        let _ = self.shared.lines.rest(&key, course);
    }

    /// Takes in what is new, and tells the gateway one thing at most.
    async fn go_on(&self, key: &Key, course: &mut Option<Box<Course>>, taken: &mut Taken) -> Result<Next> {
        let permit = self.shared.planning.acquire().await;
        let snapshot = self.shared.store.snapshot();
        let Some(kept) = self.shared.pushers.find(&snapshot, &key.user, &key.ids()).await? else {
            self.forget(key).await?;
            return Ok(Next::End);
        };
        let known = course.take().filter(|course| course.progress.since == kept.since);
        let mut known = match known {
            Some(course) => course,
            None => {
                taken.due.everywhere = true;
                Box::new(self.load(&snapshot, key, &kept).await?)
            }
        };
        if known.set_at != kept.set_at {
            // A gateway that could not be reached may be another one now.
            (known.set_at, known.progress.failing) = (kept.set_at, None);
        }
        let course = course.insert(known);
        self.take_in(key, &snapshot, course, taken).await?;
        if let Some(next) = self.held_back(key, course, taken.followed).await? {
            return Ok(next);
        }
        let Some((message, body)) = self.next_message(key, &snapshot, course, &kept, taken.followed).await? else {
            course.caught_up(taken.followed);
            match taken.due.everywhere && course.kept != course.progress.done {
                // Other rules held before. They must not be asked again about the same events.
                true => self.keep(key, course).await?,
                false => self.keep_now_and_then(key, course).await?,
            }
            return Ok(Next::Rest);
        };
        drop(permit);
        let outcome = self.call(&kept, body).await;
        match outcome {
            Some(outcome) => self.settle(key, course, &message, outcome).await,
            // The server stops; the next start tells it again.
            None => Ok(Next::Rest),
        }
    }

    /// Lists the events that came, and counts again what is unread where something happened.
    async fn take_in(&self, key: &Key, snapshot: &Snapshot, course: &mut Course, taken: &Taken) -> Result<()> {
        let Taken { due, followed } = taken;
        let rooms = match due.everywhere {
            true => self.changed_rooms(key, snapshot, course.progress.done).await?,
            false => due.rooms.iter().cloned().collect(),
        };
        if due.everywhere {
            course.counts = None;
        }
        for room_id in rooms {
            let room = self.shared.rooms.room(&room_id).await?;
            let span = (course.unlisted_after(&room_id), *followed);
            let places = self.shared.rooms.places_of_news(snapshot, &room, &key.user, span).await?;
            course.list(&room_id, places, *followed);
            if course.counts.is_some() {
                course.count(&room_id, self.shared.rooms.unread_notifications(snapshot, &room_id, &key.user).await?);
            }
        }
        Ok(())
    }

    /// The rooms in which something happened after `since` that may be news for the pusher's user.
    async fn changed_rooms(&self, key: &Key, snapshot: &Snapshot, since: Position) -> Result<Vec<OwnedRoomId>> {
        let mut rooms = self.shared.rooms.joined_and_changed(snapshot, &key.user, since).await?;
        let invited = self.shared.rooms.of_user(snapshot, &key.user).await?.into_iter();
        let invited = invited.filter(|(_, row)| row.value.membership == MembershipState::Invite && row.at > since);
        rooms.extend(invited.map(|(room_id, _)| room_id));
        Ok(rooms)
    }

    /// What a worker does whose gateway is not to be called now.
    async fn held_back(&self, key: &Key, course: &mut Course, followed: Position) -> Result<Option<Next>> {
        let now = self.shared.clock.millis();
        match course.progress.failing {
            Some(failing) if progress::is_hopeless(failing, now) => {
                warn!(user = %key.user, app = %key.app_id, "a push gateway could not be told for a day; what waited is dropped");
                course.caught_up(followed);
                course.succeed();
                self.keep(key, course).await?;
                Ok(Some(Next::Rest))
            }
            Some(failing) if now < failing.next_attempt => Ok(Some(Next::Wait(failing))),
            _ => Ok(None),
        }
    }

    /// What the gateway is to be told next, if anything; passes over what it need not be told.
    async fn next_message(
        &self,
        key: &Key,
        snapshot: &Snapshot,
        course: &mut Course,
        kept: &KeptPusher,
        followed: Position,
    ) -> Result<Option<(Message, Vec<u8>)>> {
        while let Some(place) = course.waiting.first().cloned() {
            let room = self.shared.rooms.room(&place.1).await?;
            let news = self.shared.rooms.news(snapshot, &room, &key.user, Order::Live(place.0)).await?;
            let Some(news) = news.filter(|news| self.is_recent(&news.event.event)) else {
                course.pass(&place);
                continue;
            };
            let unread = self.badge(key, snapshot, course).await?;
            let body = content::of_event(kept, &key.user, &room.current(), &news, unread)?;
            return Ok(Some((Message::Event(place), body)));
        }
        course.caught_up(followed);
        if course.progress.badge > 0 && self.badge(key, snapshot, course).await? == 0 {
            return Ok(Some((Message::NoBadge, content::of_no_badge(kept)?)));
        }
        Ok(None)
    }

    /// Whether an event is not so old that nobody wants to be woken for it.
    fn is_recent(&self, event: &Event) -> bool {
        let age = self.shared.clock.millis().saturating_sub(event.origin_server_ts.get().into());
        age < progress::PATIENCE.as_millis() as u64
    }

    /// The number on the badge, of all rooms if nobody has counted yet.
    async fn badge(&self, key: &Key, snapshot: &Snapshot, course: &mut Course) -> Result<u64> {
        if course.counts.is_none() {
            let mut counts = HashMap::new();
            for room_id in self.shared.rooms.joined(snapshot, &key.user).await? {
                let unread = self.shared.rooms.unread_notifications(snapshot, &room_id, &key.user).await?;
                if unread > 0 {
                    counts.insert(room_id, unread);
                }
            }
            course.counts = Some(counts);
        }
        Ok(course.badge(self.shared.badge).unwrap_or_default())
    }

    /// Calls the gateway; `None` if the server stops before there is an answer.
    async fn call(&self, kept: &KeptPusher, body: Vec<u8>) -> Option<Outcome> {
        let url = content::gateway(kept).map(|data| data.url.as_str()).unwrap_or_default();
        if !self.shared.pushers.may_call(url) {
            return Some(Outcome::Refused("the configuration does not let it be called".to_owned()));
        }
        let call = self.shared.gateways.call(url, &kept.pusher.ids.pushkey, body);
        tokio::pin!(call);
        tokio::select! {
            outcome = &mut call => Some(outcome),
            () = self.shared.shutdown.begun() => timeout(GRACE, call).await.ok(),
        }
    }

    /// Keeps what became of a message.
    async fn settle(&self, key: &Key, course: &mut Course, message: &Message, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Rejected => {
                debug!(user = %key.user, app = %key.app_id, "the push gateway rejects the pusher, which is removed");
                self.shared.pushers.remove(&key.user, &key.ids()).await?;
                return Ok(Next::GoOn);
            }
            Outcome::Failed(pause, cause) => {
                let failing = course.fail(self.shared.clock.millis(), pause);
                debug!(
                    user = %key.user, app = %key.app_id, attempts = failing.attempts, cause,
                    "a push gateway could not be told; trying again later"
                );
                self.keep(key, course).await?;
                return Ok(Next::Wait(failing));
            }
            Outcome::Refused(cause) => {
                debug!(user = %key.user, app = %key.app_id, cause, "a push gateway refuses what it was told");
            }
            Outcome::Told if matches!(message, Message::Event(_)) => {
                course.progress.badge = course.badge(self.shared.badge).unwrap_or_default();
            }
            Outcome::Told => {}
        }
        course.succeed();
        match message {
            Message::Event(place) => course.pass(place),
            // Also where it was refused, since it would be refused again.
            Message::NoBadge => course.progress.badge = 0,
        }
        self.keep(key, course).await?;
        Ok(Next::GoOn)
    }

    /// Waits until the gateway is to be tried again: when its time has come, or when the pusher was set again.
    async fn wait(&self, failing: PushFailing, renewed: &Arc<Notify>) {
        let pause = failing.next_attempt.saturating_sub(self.shared.clock.millis());
        tokio::select! {
            () = sleep(Duration::from_millis(pause)) => {}
            () = renewed.notified() => {}
            () = self.shared.shutdown.begun() => {}
        }
    }
}
