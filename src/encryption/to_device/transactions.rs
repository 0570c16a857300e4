//! Which requests a device has made, so that one that is repeated sends nothing again.
//!
//! A device makes thousands of them, so that they are remembered by month and dropped after the next one.

use std::time::Duration;

use ruma::{DeviceId, TransactionId, UserId};

use crate::{
    error::{Error, Result},
    storage::{Batch, Direction, KeyRange, Snapshot, schema::encryption_messages::TO_DEVICE_TRANSACTIONS},
};

/// A transaction is remembered at least this long, and at most twice.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How many old transactions are dropped with a new one.
const DROPPED_AT_ONCE: usize = 20;

/// The longest transaction id in bytes. The specification sets no limit; this one is that of other identifiers.
const MAXIMUM_TRANSACTION_ID: usize = 255;

/// Checks that a transaction can be remembered.
pub(super) fn check(transaction: &TransactionId) -> Result<()> {
    match transaction.as_str().len() > MAXIMUM_TRANSACTION_ID {
        true => Err(Error::invalid("A transaction id has at most 255 bytes.")),
        false => Ok(()),
    }
}

/// Adds to `batch` that a device makes this request at `now`, in milliseconds since the Unix epoch; `false` if it has made
/// it before. The commit fails with `Conflict` if it makes it at the same moment.
pub(super) async fn begin(
    batch: &mut Batch,
    snapshot: &Snapshot,
    (sender, device): (&UserId, &DeviceId),
    kind: &str,
    transaction: &TransactionId,
    now: u64,
) -> Result<bool> {
    let month = now / MONTH.as_millis() as u64;
    let remembered = [month, month.saturating_sub(1)].map(|month| (sender, device, month, kind, transaction));
    for key in &remembered {
        if TO_DEVICE_TRANSACTIONS.exists(snapshot, key).await? {
            return Ok(false);
        }
        TO_DEVICE_TRANSACTIONS.expect(batch, key, None);
    }
    TO_DEVICE_TRANSACTIONS.put(batch, remembered[0], &());
    let old = KeyRange::prefix_before((sender, device), month.saturating_sub(1));
    for (key, ()) in TO_DEVICE_TRANSACTIONS.scan(snapshot, old, Direction::Forward, DROPPED_AT_ONCE).await? {
        TO_DEVICE_TRANSACTIONS.delete(batch, key);
    }
    Ok(true)
}
