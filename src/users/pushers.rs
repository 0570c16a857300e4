//! Pushers: where a user's devices want to be told of what happens while they are not connected.
//!
//! They are kept here and go with their devices; telling them is for whoever follows the log.

use ruma::{
    DeviceId, UserId,
    api::client::push::{Pusher, PusherIds, PusherKind},
};

use crate::{
    error::{Error, Result},
    storage::{
        Batch, Direction, KeyRange, Snapshot, Store,
        schema::users::{DEVICES, PUSHER_OWNERS, PUSHERS},
        until_settled,
    },
};

/// The longest app id, in characters.
const MAXIMUM_APP_ID: usize = 64;
/// The longest pushkey, in bytes.
const MAXIMUM_PUSHKEY: usize = 512;
/// The one path that a push gateway has.
const GATEWAY_PATH: &str = "_matrix/push/v1/notify";

/// A cheap-clone service over the pushers of all users.
#[derive(Clone)]
pub struct Pushers {
    store: Store,
}

/// What becomes of the pushers that other users have with the same app id and pushkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherUsers {
    /// They stay: several users share the app.
    Keep,
    /// They go: the app has another user now.
    Replace,
}

impl Pushers {
    /// The pushers in `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The pushers of `user` as of `snapshot`, on whatever devices.
    pub async fn of(&self, snapshot: &Snapshot, user: &UserId) -> Result<Vec<Pusher>> {
        let rows = PUSHERS.scan(snapshot, KeyRange::prefix((user,)), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|(_, pusher)| pusher).collect())
    }

    /// As [`Pushers::of`], as of now.
    pub async fn current(&self, user: &UserId) -> Result<Vec<Pusher>> {
        self.of(&self.store.snapshot(), user).await
    }

    /// Adds a pusher of `user` on `device`, or replaces the one with its app id and pushkey.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the app id or the pushkey is too long, or if it is not the HTTPS address of a push gateway;
    /// `NotFound` if the device is gone.
    pub async fn set(&self, user: &UserId, device: &DeviceId, pusher: &Pusher, others: OtherUsers) -> Result<()> {
        check(pusher)?;
        let PusherIds { app_id, pushkey, .. } = &pusher.ids;
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let session = DEVICES.get(&snapshot, (user, device)).await?;
            let session = session.ok_or_else(|| Error::not_found("You have no such device."))?;
            let mut batch = Batch::new();
            // A device that ends at this moment must take this pusher along.
            DEVICES.expect(&mut batch, (user, device), Some(&session));
            let range = KeyRange::prefix((app_id, pushkey));
            let owners = PUSHER_OWNERS.scan(&snapshot, range, Direction::Forward, usize::MAX).await?;
            for ((_, _, owner), owners_device) in owners {
                if owner == user || others == OtherUsers::Replace {
                    PUSHERS.delete(&mut batch, (&owner, &owners_device, app_id, pushkey));
                    PUSHER_OWNERS.delete(&mut batch, (app_id, pushkey, &owner));
                }
            }
            PUSHERS.put(&mut batch, (user, device, app_id, pushkey), pusher);
            PUSHER_OWNERS.put(&mut batch, (app_id, pushkey, user), &device.to_owned());
            batch.slots(0);
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Removes a pusher of `user`, if there is one with these ids.
    pub async fn remove(&self, user: &UserId, ids: &PusherIds) -> Result<()> {
        let PusherIds { app_id, pushkey, .. } = ids;
        let Some(device) = PUSHER_OWNERS.get(&self.store.snapshot(), (app_id, pushkey, user)).await? else {
            return Ok(());
        };
        let mut batch = Batch::new();
        batch.slots(0);
        PUSHERS.delete(&mut batch, (user, &device, app_id, pushkey));
        PUSHER_OWNERS.delete(&mut batch, (app_id, pushkey, user));
        self.store.commit(batch).await.map(drop)
    }
}

/// Adds to `batch` that every pusher of a device of `user` goes.
pub(super) async fn forget(batch: &mut Batch, snapshot: &Snapshot, user: &UserId, device: &DeviceId) -> Result<()> {
    let range = || KeyRange::prefix((user, device));
    for ((_, _, app_id, pushkey), _) in PUSHERS.scan(snapshot, range(), Direction::Forward, usize::MAX).await? {
        PUSHER_OWNERS.delete(batch, (&app_id, &pushkey, user));
    }
    // By range, so that those go too that came after the snapshot.
    PUSHERS.delete_range(batch, range());
    Ok(())
}

fn check(pusher: &Pusher) -> Result<()> {
    if pusher.ids.app_id.chars().count() > MAXIMUM_APP_ID {
        return Err(Error::invalid("An app id has at most 64 characters."));
    }
    if pusher.ids.pushkey.len() > MAXIMUM_PUSHKEY {
        return Err(Error::invalid("A pushkey has at most 512 bytes."));
    }
    match &pusher.kind {
        PusherKind::Http(data) if is_gateway(&data.url) => Ok(()),
        PusherKind::Http(_) => Err(Error::invalid(
            "The URL of a push gateway starts with https:// and has the path /_matrix/push/v1/notify.",
        )),
        _ => Err(Error::invalid("This server has pushers of the kind \"http\" only.")),
    }
}

fn is_gateway(url: &str) -> bool {
    let host_and_path = url.strip_prefix("https://").and_then(|rest| rest.split_once('/'));
    host_and_path.is_some_and(|(host, path)| {
        !host.is_empty() && path.split_once(['?', '#']).map_or(path, |(path, _)| path) == GATEWAY_PATH
    })
}

#[cfg(test)]
mod tests;
