//! What others have sent to the device: told in order, and kept until the device comes back with the token of the answer.

use std::{borrow::Cow, collections::BTreeSet};

use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Reading, Sync, SyncRequest};
use crate::{encryption::Waiting, error::Result, storage::Position};

/// The type of messages that nobody sees: they carry keys, for what is said in rooms above all.
const ENCRYPTED: &str = "m.room.encrypted";

/// How many messages one answer brings; the next one brings more at once.
const MAXIMUM_MESSAGES: usize = 100;

/// Takes note that the device has what it was told before.
pub(super) async fn acknowledge(sync: &Sync, request: &SyncRequest) -> Result<()> {
    match request.since {
        Some(since) => sync.to_device.acknowledge((&request.user, &request.device), since.to_device).await,
        None => Ok(()),
    }
}

/// The messages that the device has not been told of, and how far the answer gets.
pub(super) async fn section(sync: &Sync, reading: &Reading) -> Result<Waiting> {
    // Where the store was restored from a backup, a device stands after its end; the next token must not.
    let after = reading.since.map_or(Position::ZERO, |since| since.to_device).min(reading.until());
    heard(sync, reading, after, MAXIMUM_MESSAGES).await
}

/// At most `limit` of the messages after a position that the user wants to hear of.
pub(super) async fn heard(sync: &Sync, reading: &Reading, after: Position, limit: usize) -> Result<Waiting> {
    let (snapshot, device) = (&reading.snapshot, (&*reading.user, &*reading.device));
    let waiting = sync.to_device.waiting(snapshot, device, after, limit).await?;
    if waiting.events.is_empty() {
        return Ok(waiting);
    }
    let ignored = sync.rooms.ignored_by(snapshot, &reading.user).await?;
    if ignored.is_empty() {
        return Ok(waiting);
    }
    sync.to_device.waiting_and_wanted(snapshot, device, after, limit, |event| is_heard(event, &ignored)).await
}

/// Whether a message reaches a user who ignores these people. Of an ignored person come the keys of what they say in rooms and
/// nothing else: without them it could not be read when it is wanted again, neither what they have said nor what they will say
/// with the same keys.
fn is_heard(event: &RawValue, ignored: &BTreeSet<OwnedUserId>) -> bool {
    #[derive(Deserialize)]
    struct Message<'a> {
        sender: OwnedUserId,
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    serde_json::from_str::<Message<'_>>(event.get())
        .is_ok_and(|message| message.kind == ENCRYPTED || !ignored.contains(&message.sender))
}
