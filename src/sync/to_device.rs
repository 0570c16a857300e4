//! What others have sent to the device: told in order, and kept until the device comes back with the token of the answer.

use super::{Reading, Sync, SyncRequest};
use crate::{encryption::Waiting, error::Result, storage::Position};

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
    sync.to_device.waiting(&reading.snapshot, (&reading.user, &reading.device), after, MAXIMUM_MESSAGES).await
}
