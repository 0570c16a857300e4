//! Wakes those who wait. The notifier carries no data: whoever is woken reads again from where it stood.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ruma::{OwnedUserId, UserId};
use tokio::sync::{Notify, watch};

/// A cheap-clone registry of the users whose clients wait for a change.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    waiting: Arc<Mutex<HashMap<OwnedUserId, Vec<Arc<Notify>>>>>,
    chores: Arc<watch::Sender<()>>,
    followers: Arc<watch::Sender<()>>,
    /// The users whose company is to be woken.
    company: Arc<watch::Sender<BTreeSet<OwnedUserId>>>,
}

impl Notifier {
    /// Starts to watch for changes that concern `user`.
    pub fn watch(&self, user: &UserId) -> Watch {
        let signal = Arc::new(Notify::new());
        self.lock().entry(user.to_owned()).or_default().push(signal.clone());
        Watch { notifier: self.clone(), user: user.to_owned(), signal }
    }

    /// Wakes the waiting clients of `user`.
    pub fn wake(&self, user: &UserId) {
        self.wake_followers();
        if let Some(signals) = self.lock().get(user) {
            signals.iter().for_each(|signal| signal.notify_one());
        }
    }

    /// Wakes the waiting clients of every user in `audience`, at a cost that grows with the smaller of the two crowds.
    pub fn wake_all(&self, audience: &imbl::OrdSet<OwnedUserId>) {
        self.wake_followers();
        let waiting = self.lock();
        if audience.len() < waiting.len() {
            let present = audience.iter().filter_map(|user| waiting.get(user));
            present.flatten().for_each(|signal| signal.notify_one());
        } else {
            let concerned = waiting.iter().filter(|(user, _)| audience.contains(*user));
            concerned.flat_map(|(_, signals)| signals).for_each(|signal| signal.notify_one());
        }
    }

    /// Wakes those who do in the background what follows from a change, whomever it concerns.
    pub fn wake_chores(&self) {
        self.chores.send_replace(());
    }

    /// What tells of every [`Notifier::wake_chores`] from now on.
    pub fn chores(&self) -> watch::Receiver<()> {
        self.chores.subscribe()
    }

    /// What tells of every wake from now on: for those who follow the log in the background, whomever it concerns.
    pub fn growth(&self) -> watch::Receiver<()> {
        self.followers.subscribe()
    }

    /// Costs nothing while nobody follows.
    fn wake_followers(&self) {
        if self.followers.receiver_count() > 0 {
            self.followers.send_replace(());
        }
    }

    /// Has those woken who share a room with `user`, by whoever knows the rooms: see [`Notifier::company`].
    pub fn wake_company_of(&self, user: &UserId) {
        self.company.send_modify(|users| users.extend([user.to_owned()]));
    }

    /// What tells of every [`Notifier::wake_company_of`] from now on.
    pub fn company(&self) -> watch::Receiver<BTreeSet<OwnedUserId>> {
        self.company.subscribe()
    }

    /// Takes the users whose company is to be woken, which the taker does from here on.
    pub fn take_company(&self) -> BTreeSet<OwnedUserId> {
        let mut taken = BTreeSet::new();
        self.company.send_if_modified(|users| {
            taken = std::mem::take(users);
            // That they were taken is no news.
            false
        });
        taken
    }

    /// The users who have a client waiting now.
    pub fn waiting_users(&self) -> Vec<OwnedUserId> {
        self.lock().keys().cloned().collect()
    }

    /// The registry holds no invariant that a panic elsewhere could have broken, so a poisoned lock is used as it is.
    fn lock(&self) -> MutexGuard<'_, HashMap<OwnedUserId, Vec<Arc<Notify>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One waiting client. Register it before reading, so that a change in between is not missed; dropping it unregisters.
#[derive(Debug)]
pub struct Watch {
    notifier: Notifier,
    user: OwnedUserId,
    signal: Arc<Notify>,
}

impl Watch {
    /// Returns when something that concerns the user happened since the watch began or since this last returned.
    pub async fn changed(&self) {
        self.signal.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waiting = self.notifier.lock();
        if let Some(signals) = waiting.get_mut(&self.user) {
            signals.retain(|signal| !Arc::ptr_eq(signal, &self.signal));
            if signals.is_empty() {
                waiting.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ruma::user_id;

    use super::*;

    #[tokio::test]
    async fn a_wake_between_watching_and_waiting_is_not_lost() {
        let notifier = Notifier::default();
        let watch = notifier.watch(user_id!("@alice:example.org"));
        notifier.wake(user_id!("@alice:example.org"));
        watch.changed().await;
    }

    #[tokio::test]
    async fn only_the_audience_is_woken_and_the_dropped_are_forgotten() {
        let notifier = Notifier::default();
        let alice = notifier.watch(user_id!("@alice:example.org"));
        let bob = notifier.watch(user_id!("@bob:example.org"));
        notifier.wake_all(&imbl::OrdSet::unit(user_id!("@alice:example.org").to_owned()));
        alice.changed().await;
        assert!(tokio::time::timeout(Duration::ZERO, bob.changed()).await.is_err());
        drop(alice);
        assert_eq!(notifier.waiting_users(), [user_id!("@bob:example.org")]);
    }
}
