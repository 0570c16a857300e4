//! Whose devices have to be asked for again, and whose need not be known any more
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync)).

use ruma::{UserId, api::client::sync::sync_events::DeviceLists};

use super::{Reading, Sync, SyncToken, changed::Changed};
use crate::{error::Result, rooms::Company, storage::Snapshot, streams::Position};

/// The section of the answer: nothing for a device that knows nobody yet.
pub(super) async fn section(sync: &Sync, reading: &Reading, changed: Option<&Changed>) -> Result<DeviceLists> {
    let (Some(since), Some(changed)) = (reading.since_position(), changed) else { return Ok(DeviceLists::new()) };
    between(sync, &reading.snapshot, &reading.user, (since, reading.until()), changed).await
}

impl Sync {
    /// What the sections of all syncs from one token to another said together, at least: what happened since `to` may be in it.
    ///
    /// # Errors
    ///
    /// Only those of the storage underneath.
    pub async fn device_list_changes(&self, user: &UserId, from: SyncToken, to: SyncToken) -> Result<DeviceLists> {
        let snapshot = self.store.snapshot();
        let until = to.position.min(snapshot.position());
        if until <= from.position {
            return Ok(DeviceLists::new());
        }
        let changed = Changed::since(&self.rooms, &snapshot, user, from.position).await?;
        between(self, &snapshot, user, (from.position, until), &changed).await
    }
}

async fn between(
    sync: &Sync,
    snapshot: &Snapshot,
    user: &UserId,
    (since, until): (Position, Position),
    changed: &Changed,
) -> Result<DeviceLists> {
    let rooms = &sync.rooms;
    let Company { mut met, parted } = rooms.company_between(snapshot, user, (since, until), &changed.rooms).await?;
    met.extend(rooms.in_company(snapshot, user, until, changed.device_lists.iter().cloned()).await?);
    // Whom the user vouches for on one device is of interest to the others, whoever it is.
    met.extend(changed.signed.iter().cloned());
    let mut section = DeviceLists::new();
    section.changed.extend(met);
    section.left.extend(parted);
    Ok(section)
}
