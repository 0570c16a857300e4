//! Room keys that a user's devices keep here for each other, encrypted so that the server cannot read them ("Server-side key
//! backups").
//!
//! Each change of the keys of a backup writes the backup's row anew on condition that nobody else has, so that the count is
//! exact, and the position of that commit is the etag: it changes exactly when the keys do.

mod description;
mod key;
mod keys;

#[cfg(test)]
mod tests;

use ruma::{DeviceId, UInt, UserId};
use serde_json::value::RawValue;

use self::description::Description;
pub use self::keys::{KeyPages, PlacedKey, Selection};
use crate::{
    error::{Error, Result},
    storage::{
        Batch, Direction, KeyRange, Position, Snapshot, Stamped, Store,
        schema::key_backup::{BACKED_UP_KEYS, KEY_BACKUP_VERSIONS, KEY_BACKUPS, KeyBackup},
        until_settled,
    },
    users::{Belongings, Sessions},
};

/// How many backups a user has; clients remove the one before when they begin another.
const MAXIMUM_BACKUPS: usize = 100;

/// A cheap-clone service over the backups of all users.
#[derive(Clone)]
pub struct KeyBackups {
    store: Store,
    sessions: Sessions,
}

/// What is known of a backup.
#[derive(Clone, Debug)]
pub struct BackupInfo {
    /// Its version.
    pub version: String,
    /// How its keys are encrypted, and what has to be known for that, as the client described it.
    pub description: Box<RawValue>,
    /// How many keys are in it, and which they are.
    pub tally: Tally,
}

/// The keys in a backup, as clients compare them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// How many they are.
    pub count: UInt,
    /// Text that is another one whenever they are other keys.
    pub etag: String,
}

impl Tally {
    fn new(count: u64, changed_at: Position) -> Self {
        Self { count: UInt::new_saturating(count), etag: changed_at.to_string() }
    }
}

impl KeyBackups {
    /// The backups in `store`, made by devices that `sessions` knows.
    pub fn new(store: Store, sessions: Sessions) -> Self {
        Self { store, sessions }
    }

    /// Begins a new backup of `user`, which is the current one from now on, and gives its version.
    ///
    /// # Errors
    ///
    /// `BadJson` or `TooLarge` if `description` is not the algorithm and `auth_data` of one; `NotFound` if the device ends;
    /// `InvalidParam` if the user has too many.
    pub async fn create(&self, (user, device): (&UserId, &DeviceId), description: &RawValue) -> Result<String> {
        let Description { algorithm, auth_data, .. } = Description::parse(description)?;
        let backup = Stamped::now(KeyBackup { algorithm, auth_data, count: 0 });
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let mut batch = Batch::new();
            // The end of an account at this moment must not leave this behind.
            self.sessions.require_origin(&mut batch, &snapshot, (user, device)).await?;
            let present = KeyRange::prefix((user,));
            if KEY_BACKUPS.scan(&snapshot, present, Direction::Forward, MAXIMUM_BACKUPS).await?.len() >= MAXIMUM_BACKUPS
            {
                return Err(Error::invalid("You have 100 backups, which is the most there can be: remove one first."));
            }
            let newest = KEY_BACKUP_VERSIONS.get(&snapshot, (user,)).await?;
            let version = newest.unwrap_or(0) + 1;
            KEY_BACKUP_VERSIONS.expect(&mut batch, (user,), newest.as_ref());
            KEY_BACKUP_VERSIONS.put(&mut batch, (user,), &version);
            KEY_BACKUPS.put(&mut batch, (user, version), &backup);
            self.store.commit(batch).await?;
            Ok(version.to_string())
        })
        .await
    }

    /// The newest backup of `user` that there is.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none.
    pub async fn current(&self, user: &UserId) -> Result<BackupInfo> {
        let current = current(&self.store.snapshot(), user).await?;
        let (version, backup) = current.ok_or_else(|| Error::not_found("You have no backup of your keys."))?;
        info(version, &backup)
    }

    /// A backup of `user`.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none of this version.
    pub async fn get(&self, user: &UserId, version: &str) -> Result<BackupInfo> {
        let (version, backup) = find(&self.store.snapshot(), user, version).await?;
        info(version, &backup)
    }

    /// Replaces the `auth_data` of a backup of `user`.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none of this version; `InvalidParam` if `description` is of another version or algorithm;
    /// `BadJson` or `TooLarge` if it is no description.
    pub async fn update(&self, user: &UserId, version: &str, description: &RawValue) -> Result<()> {
        let description = Description::parse(description)?;
        if description.version.is_some_and(|described| described != version) {
            return Err(Error::invalid("The version in the body is not the one in the path."));
        }
        until_settled(|| async {
            let (number, before) = find(&self.store.snapshot(), user, version).await?;
            if before.value.algorithm != description.algorithm {
                return Err(Error::invalid("The algorithm of a backup cannot be changed: make a new backup."));
            }
            let value = KeyBackup { auth_data: description.auth_data.clone(), ..before.value.clone() };
            let mut batch = Batch::new();
            KEY_BACKUPS.expect(&mut batch, (user, number), Some(&before));
            // The keys are the same, and so their stamp is.
            KEY_BACKUPS.put(&mut batch, (user, number), &Stamped { at: before.at, value });
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Removes a backup of `user` with all of its keys; if that has happened before, nothing happens.
    ///
    /// # Errors
    ///
    /// `NotFound` if there was never one of this version.
    pub async fn delete(&self, user: &UserId, version: &str) -> Result<()> {
        let newest = KEY_BACKUP_VERSIONS.get(&self.store.snapshot(), (user,)).await?.unwrap_or(0);
        let number = number(version).filter(|number| (1..=newest).contains(number)).ok_or_else(no_such_version)?;
        let mut batch = Batch::new();
        KEY_BACKUPS.delete(&mut batch, (user, number));
        BACKED_UP_KEYS.delete_range(&mut batch, KeyRange::prefix((user, number)));
        self.store.commit(batch).await.map(drop)
    }
}

/// Adds to `batch` that every backup of `user` goes, if what they kept here is to go.
pub(super) fn forget_user(batch: &mut Batch, user: &UserId, belongings: Belongings) {
    if belongings == Belongings::Keep {
        return;
    }
    KEY_BACKUPS.delete_range(batch, KeyRange::prefix((user,)));
    KEY_BACKUP_VERSIONS.delete(batch, (user,));
    BACKED_UP_KEYS.delete_range(batch, KeyRange::prefix((user,)));
}

/// The newest backup of `user` that there is.
async fn current(snapshot: &Snapshot, user: &UserId) -> Result<Option<(u64, Stamped<KeyBackup>)>> {
    let rows = KEY_BACKUPS.scan(snapshot, KeyRange::prefix((user,)), Direction::Reverse, 1).await?;
    Ok(rows.into_iter().next().map(|((_, version), backup)| (version, backup)))
}

/// The backup of a version as a client writes it.
async fn find(snapshot: &Snapshot, user: &UserId, version: &str) -> Result<(u64, Stamped<KeyBackup>)> {
    let number = number(version).ok_or_else(no_such_version)?;
    let backup = KEY_BACKUPS.get(snapshot, (user, number)).await?.ok_or_else(no_such_version)?;
    Ok((number, backup))
}

/// The number of a version, which is written in one way only.
fn number(version: &str) -> Option<u64> {
    version.parse().ok().filter(|number: &u64| number.to_string() == version)
}

fn info(version: u64, backup: &Stamped<KeyBackup>) -> Result<BackupInfo> {
    let tally = Tally::new(backup.value.count, backup.at);
    Ok(BackupInfo { version: version.to_string(), description: description::of(&backup.value)?, tally })
}

fn no_such_version() -> Error {
    Error::not_found("You have no backup of this version.")
}
