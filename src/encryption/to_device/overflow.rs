//! The bound of an inbox that nobody empties, and what goes when it is reached.
//!
//! Nobody counts an inbox for each message. What comes is added up in memory, and when it is enough to matter the inbox itself is
//! looked at; so that an inbox holds what it may and an eighth of that more at most, besides what came around a restart.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::sync::Cache;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::warn;

use super::ToDevice;
use crate::{
    error::Result,
    storage::{Batch, Direction, KeyRange, Position, schema::encryption_messages::TO_DEVICE},
};

/// How many messages an inbox holds unless the operator says otherwise.
pub(super) const USUAL_LIMIT: usize = 10_000;

/// How many bytes an inbox holds for each message that it may hold; what carries a room key has about half of that.
const BYTES_EACH: u64 = 4_096;

/// Of how many devices it is known how much came.
const DEVICES: usize = 20_000;

/// How many messages are read, or removed, together.
const AT_ONCE: usize = 500;

/// What came for each device since its inbox was last looked at; it may be lost at any time.
#[derive(Clone)]
pub(super) struct Growth {
    limit: usize,
    /// In parts of messages: one that is as large as several counts as so many.
    came: Arc<Cache<(OwnedUserId, OwnedDeviceId), Arc<AtomicU64>>>,
}

/// A message in an inbox, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    position: Position,
    bytes: u64,
    is_encrypted: bool,
}

impl Growth {
    /// Inboxes of at most `limit` messages.
    pub fn new(limit: usize) -> Self {
        Self { limit, came: Arc::new(Cache::new(DEVICES)) }
    }

    /// Takes note that a message of so many bytes came, and whether it is time to look at the inbox.
    fn note(&self, user: &UserId, device: &DeviceId, bytes: u64) -> bool {
        let key = (user.to_owned(), device.to_owned());
        let came = match self.came.get_or_insert_with(&key, || Ok::<_, Infallible>(Arc::default())) {
            Ok(came) => came,
            Err(never) => match never {},
        };
        let size = bytes.max(BYTES_EACH);
        let enough = (self.limit as u64 / 8).max(1) * BYTES_EACH;
        let total = came.fetch_add(size, Ordering::Relaxed) + size;
        if total >= enough {
            came.store(0, Ordering::Relaxed);
        }
        total >= enough
    }
}

impl ToDevice {
    /// Takes note of what a commit put into inboxes, and removes from those that hold too much what is least missed.
    pub(super) async fn keep_bounds(&self, came: &[(OwnedUserId, OwnedDeviceId, u64)]) -> Result<()> {
        for (user, device, bytes) in came {
            if self.growth.note(user, device, *bytes) {
                self.remove_surplus(user, device).await?;
            }
        }
        Ok(())
    }

    async fn remove_surplus(&self, user: &UserId, device: &DeviceId) -> Result<()> {
        let surplus = surplus(&self.inbox(user, device).await?, self.growth.limit);
        for positions in surplus.chunks(AT_ONCE) {
            let mut batch = Batch::new();
            batch.slots(0);
            positions.iter().for_each(|position| TO_DEVICE.delete(&mut batch, (user, device, *position)));
            self.store.commit(batch).await?;
        }
        if !surplus.is_empty() {
            let count = surplus.len();
            warn!(%user, %device, count, "a device that has not synced for long has lost its oldest messages from other devices");
        }
        Ok(())
    }

    /// What is in an inbox, oldest first.
    async fn inbox(&self, user: &UserId, device: &DeviceId) -> Result<Vec<Kept>> {
        let (snapshot, mut inbox) = (self.store.snapshot(), Vec::new());
        let mut after = Position::ZERO;
        loop {
            let range = KeyRange::prefix_after((user, device), after);
            let rows = TO_DEVICE.scan(&snapshot, range, Direction::Forward, AT_ONCE).await?;
            inbox.extend(rows.iter().map(|((.., position), event)| Kept::new(*position, event)));
            match rows.last() {
                Some(((.., last), _)) if rows.len() == AT_ONCE => after = *last,
                _ => return Ok(inbox),
            }
        }
    }
}

impl Kept {
    fn new(position: Position, event: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct Message {
            #[serde(rename = "type")]
            kind: String,
        }
        let kind = serde_json::from_str::<Message>(event.get()).map(|message| message.kind);
        let is_encrypted = kind.is_ok_and(|kind| kind == "m.room.encrypted");
        Self { position, bytes: event.get().len() as u64, is_encrypted }
    }
}

/// What has to go from an inbox for which this is too much. What is not encrypted goes first: requests for keys and for
/// verification, which nobody waits for after so long. Then go the oldest of those messages that carry keys; what was said with
/// them is the first that the device's user can do without, or finds in a backup.
fn surplus(inbox: &[Kept], limit: usize) -> Vec<Position> {
    let mut count = inbox.len();
    let mut bytes: u64 = inbox.iter().map(|kept| kept.bytes).sum();
    let of = |is_encrypted| inbox.iter().filter(move |kept| kept.is_encrypted == is_encrypted);
    let mut surplus = Vec::new();
    for kept in of(false).chain(of(true)) {
        if count <= limit && bytes <= limit as u64 * BYTES_EACH {
            break;
        }
        (count, bytes) = (count - 1, bytes - kept.bytes);
        surplus.push(kept.position);
    }
    surplus
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(position: u64, bytes: u64, is_encrypted: bool) -> Kept {
        Kept { position: Position::from(position), bytes, is_encrypted }
    }

    fn numbers(inbox: &[Kept], limit: usize) -> Vec<u64> {
        surplus(inbox, limit).into_iter().map(Position::get).collect()
    }

    #[test]
    fn what_is_least_missed_goes_first() {
        let inbox = [kept(1, 9, true), kept(2, 9, false), kept(3, 9, true), kept(4, 9, false), kept(5, 9, true)];
        for (limit, gone) in [(6, &[][..]), (5, &[]), (4, &[2]), (3, &[2, 4]), (2, &[2, 4, 1]), (1, &[2, 4, 1, 3])] {
            assert_eq!(numbers(&inbox, limit), gone, "with room for {limit}");
        }
    }

    #[test]
    fn an_inbox_is_full_of_large_messages_sooner() {
        let inbox = [kept(1, 60_000, true), kept(2, 10, true), kept(3, 20_000, true), kept(4, 60_000, false)];
        assert!(numbers(&inbox, 100).is_empty());
        assert_eq!(numbers(&inbox, 20), [4]);
        assert_eq!(numbers(&inbox, 10), [4, 1]);
    }
}
