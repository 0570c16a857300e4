//! The keys in a backup: added where they are better than what is there, read, and removed.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, api::client::backup::KeyBackupData, serde::Raw};
use serde_json::value::RawValue;

use super::{KeyBackups, Tally, current, find, key::Rank};
use crate::{
    error::{Error, Kind, Result},
    storage::{
        Batch, Direction, KeyRange, Snapshot, Stamped, Store,
        schema::key_backup::{BACKED_UP_KEYS, KEY_BACKUPS, KeyBackup},
        until_settled,
    },
};

/// The longest id of a session, in bytes.
const MAXIMUM_SESSION_ID: usize = 255;

/// How many keys one backup holds; nobody has so many, so that this only bounds abuse.
const MAXIMUM_KEYS: u64 = 1_000_000;

/// Keys by room and session.
pub type Keys = BTreeMap<OwnedRoomId, BTreeMap<String, Raw<KeyBackupData>>>;

/// Some of the keys in a backup.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// All of them.
    All,
    /// Those of one room.
    Room(&'a RoomId),
    /// The one of a session in a room.
    Session(&'a RoomId, &'a str),
}

/// How many keys are read together; a key takes about half a kilobyte.
const PAGE: usize = 500;

/// The keys in a backup, a page after the other, since all of them may be too many for the memory. What is added meanwhile may be
/// among them or not.
#[derive(Clone)]
pub struct KeyPages {
    store: Store,
    user: OwnedUserId,
    version: u64,
    /// The room whose keys these are, if they are not those of all.
    room: Option<OwnedRoomId>,
    /// Up to where they were read.
    last: Option<(OwnedRoomId, String)>,
}

/// A key in a backup with its room and its session.
pub type PlacedKey = (OwnedRoomId, String, Box<RawValue>);

impl KeyPages {
    /// The next keys, by room and session; none if there are no more.
    pub async fn next(&mut self) -> Result<Vec<PlacedKey>> {
        let (user, version) = (&self.user, self.version);
        let mut page = match (&self.last, &self.room) {
            (Some((room, session)), _) => self.read(KeyRange::prefix_after((user, version, room), session)).await?,
            (None, Some(room)) => self.read(KeyRange::prefix((user, version, room))).await?,
            (None, None) => self.read(KeyRange::prefix((user, version))).await?,
        };
        if let (Some((room, _)), None, true) = (&self.last, &self.room, page.is_empty()) {
            page = self.read(KeyRange::prefix_after((user, version), room)).await?;
        }
        if let Some((room, session, _)) = page.last() {
            self.last = Some((room.clone(), session.clone()));
        }
        Ok(page)
    }

    async fn read(&self, range: KeyRange<(OwnedUserId, u64, OwnedRoomId, String)>) -> Result<Vec<PlacedKey>> {
        let rows = BACKED_UP_KEYS.scan(&self.store.snapshot(), range, Direction::Forward, PAGE).await?;
        Ok(rows.into_iter().map(|((.., room, session), key)| (room, session, key)).collect())
    }
}

impl Selection<'_> {
    fn range(self, user: &UserId, version: u64) -> KeyRange<(OwnedUserId, u64, OwnedRoomId, String)> {
        match self {
            Self::All => KeyRange::prefix((user, version)),
            Self::Room(room) => KeyRange::prefix((user, version, room)),
            Self::Session(room, session) => KeyRange::prefix((user, version, room, session)),
        }
    }
}

impl KeyBackups {
    /// Adds keys to the current backup of `user`, each unless a better one of its session is there.
    ///
    /// # Errors
    ///
    /// `NotFound` if the user has no backup; `WrongRoomKeysVersion` if `version` is not the current one; `BadJson`, `TooLarge`
    /// or `InvalidParam` if something among them is no key, and then none is added.
    pub async fn add(&self, user: &UserId, version: &str, keys: &Keys) -> Result<Tally> {
        let offered = offered(keys)?;
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let (number, before) = current(&snapshot, user).await?.ok_or_else(super::no_such_version)?;
            if number.to_string() != version {
                let wrong = Kind::WrongRoomKeysVersion { current: number.to_string() };
                return Err(wrong.with("Keys can be added to the newest version of a backup only."));
            }
            let places = offered.iter().map(|key| (user, number, key.room, key.session));
            let present = BACKED_UP_KEYS.get_many(&snapshot, places.clone()).await?;
            let (mut batch, mut count) = (Batch::new(), before.value.count);
            for ((key, place), present) in offered.iter().zip(places).zip(present) {
                match present {
                    Some(present) if Rank::of(&present)? <= key.rank => continue,
                    Some(_) => {}
                    None => count += 1,
                }
                BACKED_UP_KEYS.put(&mut batch, place, &key.json.to_owned());
            }
            if count > MAXIMUM_KEYS {
                return Err(Kind::TooLarge.with("This backup holds as many keys as it can."));
            }
            self.change_keys(batch, user, number, &before, count).await
        })
        .await
    }

    /// The keys in a backup of `user`, or those of one room in it.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no backup of this version.
    pub async fn keys(&self, user: &UserId, version: &str, room: Option<&RoomId>) -> Result<KeyPages> {
        let (version, _) = find(&self.store.snapshot(), user, version).await?;
        let (store, user, room) = (self.store.clone(), user.to_owned(), room.map(RoomId::to_owned));
        Ok(KeyPages { store, user, version, room, last: None })
    }

    /// The key of a session in a backup of `user`.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no backup of this version, or no such key in it.
    pub async fn key(&self, user: &UserId, version: &str, room: &RoomId, session: &str) -> Result<Raw<KeyBackupData>> {
        let snapshot = self.store.snapshot();
        let (number, _) = find(&snapshot, user, version).await?;
        let key = BACKED_UP_KEYS.get(&snapshot, (user, number, room, session)).await?;
        key.map(Raw::from_json).ok_or_else(|| Error::not_found("There is no key of this session in the backup."))
    }

    /// Removes keys from a backup of `user`.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no backup of this version.
    pub async fn remove(&self, user: &UserId, version: &str, selection: Selection<'_>) -> Result<Tally> {
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let (number, before) = find(&snapshot, user, version).await?;
            let (mut batch, mut count) = (Batch::new(), before.value.count);
            let range = selection.range(user, number);
            match selection {
                Selection::All if count == 0 => {}
                Selection::All => {
                    BACKED_UP_KEYS.delete_range(&mut batch, range);
                    count = 0;
                }
                Selection::Room(_) | Selection::Session(..) => {
                    let removed = self.count(&snapshot, user, number, selection).await?;
                    if removed > 0 {
                        BACKED_UP_KEYS.delete_range(&mut batch, range);
                        count -= removed;
                    }
                }
            }
            self.change_keys(batch, user, number, &before, count).await
        })
        .await
    }

    /// How many keys of a backup a selection has, counted a page at a time.
    async fn count(&self, snapshot: &Snapshot, user: &UserId, version: u64, of: Selection<'_>) -> Result<u64> {
        let Selection::Room(room) = of else {
            let rows = BACKED_UP_KEYS.scan(snapshot, of.range(user, version), Direction::Forward, PAGE).await?;
            return Ok(rows.len() as u64);
        };
        let (mut count, mut range) = (0, of.range(user, version));
        loop {
            let rows = BACKED_UP_KEYS.scan(snapshot, range, Direction::Forward, PAGE).await?;
            count += rows.len() as u64;
            match rows.last() {
                Some(((.., last), _)) => range = KeyRange::prefix_after((user, version, room), last),
                None => return Ok(count),
            }
        }
    }

    /// Commits what changes the keys of a backup, if anything does, together with how many there are now.
    async fn change_keys(
        &self,
        mut batch: Batch,
        user: &UserId,
        version: u64,
        before: &Stamped<KeyBackup>,
        count: u64,
    ) -> Result<Tally> {
        if batch.is_empty() {
            return Ok(Tally::new(count, before.at));
        }
        let after = Stamped::now(KeyBackup { count, ..before.value.clone() });
        KEY_BACKUPS.expect(&mut batch, (user, version), Some(before));
        KEY_BACKUPS.put(&mut batch, (user, version), &after);
        Ok(Tally::new(count, self.store.commit(batch).await?))
    }
}

/// A key that a client wants to add.
struct Offered<'a> {
    room: &'a RoomId,
    session: &'a str,
    rank: Rank,
    json: &'a RawValue,
}

/// Every key with its place and its rank.
fn offered(keys: &Keys) -> Result<Vec<Offered<'_>>> {
    let mut offered = Vec::new();
    for (room, sessions) in keys {
        for (session, key) in sessions {
            if session.len() > MAXIMUM_SESSION_ID {
                return Err(Error::invalid("The id of a session has at most 255 bytes."));
            }
            offered.push(Offered { room, session, rank: Rank::of(key.json())?, json: key.json() });
        }
    }
    Ok(offered)
}
