//! What a user's devices do with notifications of their own making: account data of one type for each device
//! ([MSC3890](https://github.com/matrix-org/matrix-spec-proposals/pull/3890)).
//!
//! Clients read and write it; the server only has it go with the device.

use ruma::{DeviceId, UserId};

use crate::{
    error::Result,
    storage::{Batch, Snapshot, schema::users::ACCOUNT_DATA},
    streams::{Change, Log},
};

/// The types without the device at their end: before and after the proposal is accepted.
const PREFIXES: [&str; 2] = ["org.matrix.msc3890.local_notification_settings.", "m.local_notification_settings."];

/// Adds to `batch` that the settings of a device of `user` go, if it has any, and that clients hear of it at the slots from
/// `slot` on; gives the next free one.
pub(super) async fn forget(
    batch: &mut Batch,
    snapshot: &Snapshot,
    slot: u16,
    user: &UserId,
    device: &DeviceId,
) -> Result<u16> {
    let mut slot = slot;
    for kind in PREFIXES.map(|prefix| format!("{prefix}{device}")) {
        if ACCOUNT_DATA.exists(snapshot, (user, None, kind.as_str())).await? {
            Log::append(batch, slot, &Change::AccountData { user: user.to_owned(), room: None, kind: kind.clone() });
            slot += 1;
            batch.slots(slot);
        }
        // Whether or not it was there, so that it goes too if it came after the snapshot.
        ACCOUNT_DATA.delete(batch, (user, None, kind.as_str()));
    }
    Ok(slot)
}
