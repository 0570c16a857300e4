//! Follows the log and notes for each pusher where something happened that may concern it.

use std::collections::{BTreeMap, HashMap, HashSet};

use imbl::OrdSet;
use ruma::{OwnedRoomId, OwnedUserId, UserId, api::client::push::PusherIds, events::GlobalAccountDataEventType};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tracing::warn;

use super::{Key, Push, RETRY, lines::Due};
use crate::{
    error::Result,
    storage::{Order, Position, Snapshot},
    streams::{Change, Log},
    users::ThreadSubscriptions,
};

/// How many rows of the log are read at a time.
const ROWS: usize = 512;

/// The users with pushers and what these are called. A pusher that is gone may still be in it, which costs a look-up.
type Owners = HashMap<OwnedUserId, Vec<PusherIds>>;

/// Notes for pushers, as they are gathered.
#[derive(Default)]
struct Notes(HashMap<Key, Due>);

impl Push {
    /// Tells gateways what happens until the server stops.
    pub async fn follow(self) {
        let mut workers = JoinSet::new();
        tokio::select! {
            () = self.keep_following(&mut workers) => {}
            () = self.shared.shutdown.begun() => {}
        }
        // They end by themselves, since the server stops.
        while workers.join_next().await.is_some() {}
        if let Err(cause) = self.keep_all().await {
            warn!(%cause, "how far push notifications are could not be kept; some work will be repeated");
        }
    }

    async fn keep_following(&self, workers: &mut JoinSet<()>) {
        // Where nobody has a pusher, nothing is read at all until somebody sets one.
        let mut pushers_set = self.shared.notifier.chores();
        loop {
            match self.follow_while_needed(workers).await {
                Ok(()) if pushers_set.changed().await.is_ok() => {}
                Ok(()) => return,
                Err(cause) => {
                    warn!(%cause, "push notifications are delayed; trying again soon");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Follows the log for as long as anybody has a pusher.
    async fn follow_while_needed(&self, workers: &mut JoinSet<()>) -> Result<()> {
        // Before the snapshot, so that no change falls between the two.
        let mut news = self.shared.notifier.growth();
        let snapshot = self.shared.store.snapshot();
        let mut owners = self.owners(&snapshot).await?;
        let mut position = snapshot.position();
        let mut notes = Notes::default();
        owners.keys().for_each(|user| notes.add(&owners, user, Due::everywhere()));
        self.forget_others(&snapshot, &notes.0.keys().cloned().collect::<HashSet<_>>()).await?;
        drop(snapshot);
        self.start(workers, notes, position);
        while !owners.is_empty() {
            position = self.catch_up(workers, &mut owners, position).await?;
            while workers.try_join_next().is_some() {}
            if !owners.is_empty() && !wait(&mut news).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads what the log holds after `position`; gives the position of its end.
    pub(super) async fn catch_up(
        &self,
        workers: &mut JoinSet<()>,
        owners: &mut Owners,
        mut position: Position,
    ) -> Result<Position> {
        let snapshot = self.shared.store.snapshot();
        loop {
            let rows = Log::since(&snapshot, position, ROWS).await?;
            let Some((last, _)) = rows.last() else { return Ok(position) };
            position = *last;
            let notes = self.concerned(&snapshot, owners, rows).await?;
            self.start(workers, notes, position);
        }
    }

    /// Has the workers of pushers that rest take up what is noted.
    fn start(&self, workers: &mut JoinSet<()>, notes: Notes, followed: Position) {
        for key in self.shared.lines.note(notes.0, followed) {
            workers.spawn(self.clone().work(key));
        }
    }

    /// Everybody who has a pusher.
    pub(super) async fn owners(&self, snapshot: &Snapshot) -> Result<Owners> {
        let mut owners = Owners::new();
        for (user, ids) in self.shared.pushers.all(snapshot).await? {
            owners.entry(user).or_default().push(ids);
        }
        Ok(owners)
    }

    /// The pushers that these rows of the log concern.
    async fn concerned(
        &self,
        snapshot: &Snapshot,
        owners: &mut Owners,
        rows: Vec<(Position, Change)>,
    ) -> Result<Notes> {
        let mut notes = Notes::default();
        let mut grown: BTreeMap<OwnedRoomId, Position> = BTreeMap::new();
        for (position, change) in rows {
            match change {
                Change::Event { room, member } => {
                    if let Some(member) = member {
                        notes.add(owners, &member, Due::in_room(room.clone()));
                    }
                    grown.insert(room, position);
                }
                Change::Receipt { room, user, .. } => notes.add(owners, &user, Due::in_room(room)),
                Change::AccountData { user, room: None, kind } if decides(&kind) => {
                    notes.add(owners, &user, Due::everywhere());
                }
                Change::ThreadSubscription { user } if owners.contains_key(&user) => {
                    // A decision that another one followed has no room any more; that one has it.
                    if let Some(room) = ThreadSubscriptions::room_at(snapshot, &user, position).await? {
                        notes.add(owners, &user, Due::in_room(room));
                    }
                }
                Change::Pushers { user } => self.reload(snapshot, owners, &mut notes, user).await?,
                Change::DeviceList { user } if owners.contains_key(&user) => {
                    self.reload(snapshot, owners, &mut notes, user).await?;
                }
                _ => {}
            }
        }
        for (room_id, position) in grown {
            let room = self.shared.rooms.room(&room_id).await?;
            // Not the state in memory alone, which may lag behind the log by a moment.
            let state = self.shared.rooms.state_at(&room, Order::Live(position)).await?;
            for user in in_both(owners, &state.joined) {
                notes.add(owners, user, Due::in_room(room_id.clone()));
            }
        }
        Ok(notes)
    }

    /// Looks again which pushers a user has.
    async fn reload(
        &self,
        snapshot: &Snapshot,
        owners: &mut Owners,
        notes: &mut Notes,
        user: OwnedUserId,
    ) -> Result<()> {
        let pushers = self.shared.pushers.of(snapshot, &user).await?;
        let now: Vec<PusherIds> = pushers.into_iter().map(|pusher| pusher.ids).collect();
        let before = owners.remove(&user).unwrap_or_default();
        for ids in before.iter().filter(|ids| !now.contains(ids)) {
            // So that it is found to be gone.
            notes.add_one(Key::new(user.clone(), ids.clone()), Due::itself());
        }
        for ids in &now {
            let mut due = Due::itself();
            due.everywhere = !before.contains(ids);
            notes.add_one(Key::new(user.clone(), ids.clone()), due);
        }
        if !now.is_empty() {
            owners.insert(user, now);
        }
        Ok(())
    }
}

impl Notes {
    /// Notes something for all pushers of a user.
    fn add(&mut self, owners: &Owners, user: &UserId, due: Due) {
        for ids in owners.get(user).into_iter().flatten() {
            self.add_one(Key::new(user.to_owned(), ids.clone()), due.clone());
        }
    }

    fn add_one(&mut self, key: Key, due: Due) {
        self.0.entry(key).or_default().add(due);
    }
}

/// The members of a room who have pushers, at a cost that grows with the smaller of the two crowds.
fn in_both<'a>(owners: &'a Owners, joined: &'a OrdSet<OwnedUserId>) -> Vec<&'a OwnedUserId> {
    match owners.len() < joined.len() {
        true => owners.keys().filter(|user| joined.contains(*user)).collect(),
        false => joined.iter().filter(|user| owners.contains_key(*user)).collect(),
    }
}

/// Whether this type of account data decides over what counts as unread.
fn decides(kind: &str) -> bool {
    [GlobalAccountDataEventType::PushRules, GlobalAccountDataEventType::IgnoredUserList]
        .iter()
        .any(|deciding| *kind == *deciding.to_string())
}

/// Waits for news; false if there can be none any more.
async fn wait(news: &mut watch::Receiver<()>) -> bool {
    news.changed().await.is_ok()
}
