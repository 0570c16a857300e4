//! Who is online: kept in memory, shown to the people who share a room, and never written but for the status message
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#presence)).

mod person;
mod reading;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use tokio::time;

use self::person::Person;
pub use self::person::{Availability, Patience};
use crate::{
    clock::Clock,
    error::{Error, Result},
    rooms::Rooms,
    shutdown::Shutdown,
    storage::{Batch, Direction, KeyRange, Store, schema::presence::STATUS_MESSAGES},
    streams::{Ephemerals, Notifier},
    users::Belongings,
};

/// The longest status message in characters: everybody in the user's rooms gets it, and again whenever the user comes and goes.
const LONGEST_STATUS: usize = 1_000;

/// The service of presence: a cheap-clone handle.
#[derive(Clone)]
pub struct Presence {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    clock: Clock,
    notifier: Notifier,
    ephemerals: Ephemerals,
    rooms: Rooms,
    /// `None` where the operator turned presence off.
    patience: Option<Patience>,
    people: Mutex<People>,
}

/// Everybody of whom there is something to know.
#[derive(Default)]
struct People {
    by_id: HashMap<OwnedUserId, Entry>,
    /// The people by the ephemeral count at which they last changed.
    by_change: BTreeMap<u64, OwnedUserId>,
}

#[derive(Default)]
struct Entry {
    person: Person,
    /// How the person appeared when others were last told.
    shown: Availability,
    /// When that was, as an ephemeral count.
    changed_at: u64,
}

/// Adds to `batch` that what `user` last said about themselves goes with their account.
pub fn forget_user(batch: &mut Batch, user: &UserId, _: Belongings) {
    STATUS_MESSAGES.delete(batch, (user,));
}

impl Presence {
    /// Presence over `store`, with the status messages that people had when the server last ran.
    ///
    /// # Errors
    ///
    /// Fails if the status messages cannot be read.
    pub async fn load(
        store: Store,
        clock: Clock,
        notifier: Notifier,
        ephemerals: Ephemerals,
        rooms: Rooms,
        patience: Option<Patience>,
    ) -> Result<Self> {
        let rows = STATUS_MESSAGES.scan(&store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX).await?;
        let mut people = People::default();
        for ((user,), message) in rows {
            let changed_at = ephemerals.advance();
            people.by_change.insert(changed_at, user.clone());
            let person = Person::who_said(message);
            people.by_id.insert(user, Entry { person, changed_at, ..Entry::default() });
        }
        let people = Mutex::new(people);
        let shared = Shared { store, clock, notifier, ephemerals, rooms, patience, people };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A user chose how to appear on a device, and what to say about themselves; `None` takes back what they said.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the status message is longer than 1,000 characters; and if it cannot be kept.
    pub async fn choose(
        &self,
        user: &UserId,
        device: &DeviceId,
        availability: Availability,
        status_message: Option<String>,
    ) -> Result<()> {
        if status_message.as_ref().is_some_and(|message| message.chars().count() > LONGEST_STATUS) {
            return Err(Error::invalid("A status message has at most 1000 characters."));
        }
        if self.shared.patience.is_none() {
            return Ok(());
        }
        let message = status_message.filter(|message| !message.is_empty());
        self.keep_status_message(user, message.as_deref()).await?;
        self.update(user, |person, now| {
            person.choose(device.to_owned(), availability, now);
            person.status_message = message;
        })
        .await
    }

    /// A user did something by hand, such as sending a message. That it is not known whom to tell of it is no reason to fail
    /// what they did, so it is only logged.
    pub async fn act(&self, user: &UserId) {
        if let Err(cause) = self.update(user, Person::act).await {
            tracing::warn!(%cause, "could not tell that someone's presence changed");
        }
    }

    /// A sync of a device begins, with how it wants to appear meanwhile. It ends when the returned guard is dropped.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be found out whom to tell.
    pub async fn sync_begins(&self, user: &UserId, device: &DeviceId, wish: Availability) -> Result<Syncing> {
        self.update(user, |person, now| person.sync_begins(device.to_owned(), wish, now)).await?;
        Ok(Syncing { presence: self.clone(), user: user.to_owned(), device: device.to_owned() })
    }

    /// Shows people as away and as gone when their time has come, until the server stops.
    pub async fn keep_time(self, shutdown: Shutdown) {
        let Some(patience) = self.shared.patience else { return };
        // Late by at most a quarter of the shorter time, and by ten seconds.
        let shorter = patience.away_after.min(patience.offline_after);
        let pause = (shorter / 4).clamp(Duration::from_millis(50), Duration::from_secs(10));
        loop {
            let users = self.people().settle(self.shared.clock.millis(), patience);
            for user in users {
                if let Err(cause) = self.update(&user, |_, _| ()).await {
                    tracing::warn!(%cause, "could not tell that someone's presence changed");
                }
            }
            tokio::select! {
                () = time::sleep(pause) => {}
                () = shutdown.begun() => return,
            }
        }
    }

    /// Changes what is known of a person and, if they appear different now, wakes those who share a room with them.
    async fn update(&self, user: &UserId, change: impl FnOnce(&mut Person, u64)) -> Result<()> {
        let Some(patience) = self.shared.patience else { return Ok(()) };
        let now = self.shared.clock.millis();
        if !self.people().change(user, (now, patience), &self.shared.ephemerals, change) {
            return Ok(());
        }
        let snapshot = self.shared.store.snapshot();
        self.shared.notifier.wake(user);
        for room_id in self.shared.rooms.joined(&snapshot, user).await? {
            self.shared.notifier.wake_all(&self.shared.rooms.room(&room_id).await?.current().joined);
        }
        Ok(())
    }

    /// Writes a status message if it is another than before.
    async fn keep_status_message(&self, user: &UserId, message: Option<&str>) -> Result<()> {
        let known = self.people().by_id.get(user).and_then(|entry| entry.person.status_message.clone());
        if known.as_deref() == message {
            return Ok(());
        }
        let mut batch = Batch::new();
        match message {
            Some(message) => STATUS_MESSAGES.put(&mut batch, (user,), &message.to_owned()),
            None => STATUS_MESSAGES.delete(&mut batch, (user,)),
        }
        self.shared.store.commit(batch).await.map(drop)
    }

    /// The map holds no invariant that a panic elsewhere could have broken, so a poisoned lock is used as it is.
    fn people(&self) -> MutexGuard<'_, People> {
        self.shared.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl People {
    /// Changes a person and returns whether others have to be told.
    fn change(
        &mut self,
        user: &UserId,
        (now, patience): (u64, Patience),
        ephemerals: &Ephemerals,
        change: impl FnOnce(&mut Person, u64),
    ) -> bool {
        let entry = self.by_id.entry(user.to_owned()).or_default();
        let message = entry.person.status_message.clone();
        change(&mut entry.person, now);
        let shows = entry.person.availability(now, patience);
        if shows == entry.shown && entry.person.status_message == message {
            return false;
        }
        self.by_change.remove(&entry.changed_at);
        entry.shown = shows;
        entry.changed_at = ephemerals.advance();
        self.by_change.insert(entry.changed_at, user.to_owned());
        true
    }

    /// Lets go of devices that are gone, and returns who appears different now.
    fn settle(&mut self, now: u64, patience: Patience) -> Vec<OwnedUserId> {
        let mut changed = Vec::new();
        for (user, entry) in &mut self.by_id {
            entry.person.settle(now, patience);
            if entry.person.availability(now, patience) != entry.shown {
                changed.push(user.clone());
            }
        }
        changed
    }
}

/// A sync under way. Dropping it tells that the sync ended.
pub struct Syncing {
    presence: Presence,
    user: OwnedUserId,
    device: OwnedDeviceId,
}

impl Drop for Syncing {
    fn drop(&mut self) {
        let now = self.presence.shared.clock.millis();
        if let Some(entry) = self.presence.people().by_id.get_mut(&self.user) {
            entry.person.sync_ends(&self.device, now);
        }
    }
}
