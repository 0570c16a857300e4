//! Who is typing where ([spec](https://spec.matrix.org/v1.19/client-server-api/#typing-notifications)).
//!
//! It lives in memory and nowhere else. Only members of a room may type there, and only they are told of it.

use std::{
    cmp::min,
    collections::{BTreeMap, BTreeSet, HashMap},
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::{TimelineEventType, room::member::MembershipState},
};
use tokio::{sync::Notify, time::sleep};

use super::Rooms;
use crate::{error::Result, matrix::event::Event, shutdown::Shutdown, streams::Ephemerals};

/// The longest that somebody counts as typing without saying so again.
const LONGEST: Duration = Duration::from_secs(120);

/// The user whose typing is over when `event` has happened: they said what they typed, or are not in the room any more.
pub(super) fn ended_by(event: &Event) -> Option<&UserId> {
    match event.kind {
        TimelineEventType::RoomMember if event.membership() != Some(MembershipState::Join) => event.target(),
        TimelineEventType::Reaction | TimelineEventType::RoomRedaction => None,
        _ if event.is_state() => None,
        _ => Some(&event.sender),
    }
}

/// A cheap-clone registry of those who are typing.
#[derive(Clone)]
pub(super) struct Typing {
    ephemerals: Ephemerals,
    known: Arc<Mutex<Known>>,
    /// Tells the task that ends typing in time that there may be an earlier end than the one it waits for.
    earlier_end: Arc<Notify>,
}

#[derive(Default)]
struct Known {
    /// The rooms in which somebody typed since the server started. One in which nobody does any more stays, because those who
    /// were told of the last one are still to be told that it is over.
    rooms: HashMap<OwnedRoomId, Typists>,
    /// The same rooms by their last changes.
    by_change: BTreeMap<u64, OwnedRoomId>,
    /// When whose typing ends by itself, in milliseconds since the Unix epoch.
    ends: BTreeSet<(u64, OwnedRoomId, OwnedUserId)>,
}

/// Those who are typing in a room.
#[derive(Default)]
struct Typists {
    /// The ephemeral count of the last change of who is typing.
    changed: u64,
    /// Who is typing, with the end by itself.
    ends: BTreeMap<OwnedUserId, u64>,
}

impl Rooms {
    /// A member starts to type, or goes on, for no longer than `timeout` unless they say so again.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the user is not in the room.
    pub async fn start_typing(&self, room_id: &RoomId, user: &UserId, timeout: Duration) -> Result<()> {
        let room = self.room_of_member(room_id, user).await?;
        let end = self.shared.clock.millis() + min(timeout, LONGEST).as_millis() as u64;
        let news = self.shared.typing.start(room_id, user, end);
        let state = room.current();
        // Who left while this was under way types no more, whichever of the two came first.
        let stays = state.is_joined(user) || !self.shared.typing.stop(room_id, user);
        if news && stays {
            self.shared.notifier.wake_all(&state.joined);
        }
        Ok(())
    }

    /// A member stops typing.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the user is not in the room.
    pub async fn stop_typing(&self, room_id: &RoomId, user: &UserId) -> Result<()> {
        let room = self.room_of_member(room_id, user).await?;
        if self.shared.typing.stop(room_id, user) {
            self.shared.notifier.wake_all(&room.current().joined);
        }
        Ok(())
    }

    /// Who is typing in a room, if that changed after the ephemeral count `since`.
    pub fn typing_since(&self, room_id: &RoomId, since: u64) -> Option<Vec<OwnedUserId>> {
        let known = self.shared.typing.lock();
        let typists = known.rooms.get(room_id).filter(|typists| typists.changed > since)?;
        Some(typists.ends.keys().cloned().collect())
    }

    /// The rooms in which it changed after the ephemeral count `since` who is typing, at a cost that grows with their number.
    pub fn rooms_with_typing_since(&self, since: u64) -> Vec<OwnedRoomId> {
        self.shared.typing.lock().by_change.range(since + 1..).map(|(_, room_id)| room_id.clone()).collect()
    }

    /// Ends typing that nobody renewed, and tells those who see it, for as long as the server runs.
    pub async fn end_typing_in_time(self, shutdown: Shutdown) {
        loop {
            let now = self.shared.clock.millis();
            let (ended, next) = self.shared.typing.end_until(now);
            for room_id in ended {
                // A room cannot be loaded only if the storage fails, and then nobody syncs either.
                if let Ok(room) = self.room(&room_id).await {
                    self.shared.notifier.wake_all(&room.current().joined);
                }
            }
            let next_end = async {
                match next {
                    Some(end) => sleep(Duration::from_millis(end - now)).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = next_end => {}
                () = self.shared.typing.earlier_end.notified() => {}
                () = shutdown.begun() => return,
            }
        }
    }
}

impl Typing {
    /// Nobody types yet; changes are counted by `ephemerals`.
    pub fn new(ephemerals: Ephemerals) -> Self {
        Self { ephemerals, known: Arc::default(), earlier_end: Arc::default() }
    }

    /// Takes note that a user types until `end`, and says whether those who see it have to be told.
    fn start(&self, room_id: &RoomId, user: &UserId, end: u64) -> bool {
        let mut known = self.lock();
        let before = known.rooms.entry(room_id.to_owned()).or_default().ends.insert(user.to_owned(), end);
        if let Some(before) = before {
            known.ends.remove(&(before, room_id.to_owned(), user.to_owned()));
        }
        known.ends.insert((end, room_id.to_owned(), user.to_owned()));
        if known.ends.first().is_some_and(|(first, ..)| *first == end) {
            self.earlier_end.notify_one();
        }
        if before.is_none() {
            known.changed(room_id, &self.ephemerals);
        }
        before.is_none()
    }

    /// Takes note that a user does not type any more, and says whether those who see it have to be told.
    pub fn stop(&self, room_id: &RoomId, user: &UserId) -> bool {
        let mut known = self.lock();
        let end = known.rooms.get_mut(room_id).and_then(|typists| typists.ends.remove(user));
        let Some(end) = end else { return false };
        known.ends.remove(&(end, room_id.to_owned(), user.to_owned()));
        known.changed(room_id, &self.ephemerals);
        true
    }

    /// Ends what ends by itself until `now`, and says in which rooms that was and what the next end is.
    fn end_until(&self, now: u64) -> (BTreeSet<OwnedRoomId>, Option<u64>) {
        let mut known = self.lock();
        let mut ended = BTreeSet::new();
        while known.ends.first().is_some_and(|(end, ..)| *end <= now)
            && let Some((_, room_id, user)) = known.ends.pop_first()
        {
            if let Some(typists) = known.rooms.get_mut(&room_id) {
                typists.ends.remove(&user);
            }
            ended.insert(room_id);
        }
        ended.iter().for_each(|room_id| known.changed(room_id, &self.ephemerals));
        (ended, known.ends.first().map(|(end, ..)| *end))
    }

    /// A panic elsewhere leaves at worst a typist too many, who ends in time; a poisoned lock is used as it is.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Gives a room the next ephemeral count, because it changed who is typing there.
    fn changed(&mut self, room_id: &RoomId, ephemerals: &Ephemerals) {
        let Some(typists) = self.rooms.get_mut(room_id) else { return };
        self.by_change.remove(&typists.changed);
        typists.changed = ephemerals.advance();
        self.by_change.insert(typists.changed, room_id.to_owned());
    }
}

#[cfg(test)]
mod tests;
