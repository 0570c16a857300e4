//! When, from where and with what program devices were last seen: kept in memory, to the minute, and written in bulk.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use super::{Session, Sessions};
use crate::{
    error::Result,
    storage::{
        Batch,
        schema::users::{DEVICE_AGENTS, DEVICES_SEEN, DeviceSeen},
    },
};

/// How long a device that was noted need not be noted again, in milliseconds.
const RESOLUTION: u64 = 60_000;

/// How much is kept of the name of a program, in characters.
const LONGEST_AGENT: usize = 255;

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The client's address.
    pub address: IpAddr,
    /// What the client calls itself.
    pub user_agent: Option<&'a str>,
}

/// What is noted of a device.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub seen: DeviceSeen,
    pub user_agent: Option<String>,
}

/// What was seen since it was last written.
#[derive(Clone, Debug, Default)]
pub(super) struct LastSeen {
    unwritten: Arc<Mutex<Unwritten>>,
}

type Unwritten = HashMap<(OwnedUserId, OwnedDeviceId), Noted>;

impl Sessions {
    /// Writes when devices were last seen. Call it every few minutes and before the server stops.
    pub async fn write_last_seen(&self) -> Result<()> {
        let seen = std::mem::take(&mut *self.last_seen.lock());
        if seen.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        // Nobody is told of it, so it needs no position.
        batch.slots(0);
        for ((user, device_id), Noted { seen, user_agent }) in &seen {
            DEVICES_SEEN.put(&mut batch, (user, device_id), seen);
            match user_agent {
                Some(user_agent) => DEVICE_AGENTS.put(&mut batch, (user, device_id), user_agent),
                None => DEVICE_AGENTS.delete(&mut batch, (user, device_id)),
            }
        }
        self.store.commit(batch).await.map(drop)
    }
}

impl LastSeen {
    /// Notes that the device of `session` is there at `now`, unless that was noted within the minute.
    pub(super) fn note(&self, session: &Session, seen: Seen<'_>, now: u64) {
        let noted_at = session.noted_at.load(Ordering::Relaxed);
        if noted_at != 0 && now.saturating_sub(noted_at) < RESOLUTION {
            return;
        }
        session.noted_at.store(now, Ordering::Relaxed);
        let device = (session.user_id.clone(), session.device_id.clone());
        let user_agent = seen.user_agent.map(|agent| agent.chars().take(LONGEST_AGENT).collect());
        self.lock().insert(device, Noted { seen: DeviceSeen { at: now, address: seen.address }, user_agent });
    }

    /// What is not written yet about a device of `user`.
    pub(super) fn of(&self, user: &UserId, device_id: &DeviceId) -> Option<Noted> {
        self.lock().get(&(user.to_owned(), device_id.to_owned())).cloned()
    }

    /// Drops what is not written yet about a device of `user` that is gone.
    pub(super) fn forget(&self, user: &UserId, device_id: &DeviceId) {
        self.lock().remove(&(user.to_owned(), device_id.to_owned()));
    }

    /// Every entry is whole by itself, so a lock poisoned by a panic elsewhere is used as it is.
    fn lock(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
