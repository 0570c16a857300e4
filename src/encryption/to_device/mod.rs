//! Messages from device to device, past all rooms ("Send-to-Device messaging").
//!
//! Each device has an inbox of its own, in the order of the commits. Whoever reads it says up to which position it was told,
//! and then what is before that goes. So a message is delivered exactly once, in order, whatever happens in between.

mod for_appservices;
mod outgoing;
mod overflow;
mod transactions;

#[cfg(test)]
mod tests;

use imbl::OrdSet;
use ruma::{
    DeviceId, OwnedDeviceId, OwnedServerName, OwnedUserId, TransactionId, UserId,
    api::client::to_device::send_event_to_device::v3, events::AnyToDeviceEvent, serde::Raw,
};
use serde_json::value::RawValue;

pub use self::for_appservices::ForAppservice;
use self::{
    outgoing::{Bounds, Outgoing},
    overflow::Growth,
};
use crate::{
    appservices::Appservices,
    clock::Clock,
    error::{Error, Kind, Result},
    storage::{
        Batch, Direction, KeyRange, Position, Snapshot, Store,
        schema::encryption_messages::{TO_DEVICE, TO_DEVICE_TRANSACTIONS},
        until_settled,
    },
    streams::Notifier,
    users::Sessions,
};

/// So many messages are removed one by one; more go as a range, which is quicker to write and slower to read past.
const REMOVED_ONE_BY_ONE: usize = 100;

/// The longest type of messages in bytes, as for an event of a room.
const MAXIMUM_TYPE: usize = 255;

/// The messages of a request, by user and device.
pub type Messages = v3::Messages;

/// A cheap-clone service over what devices send to each other.
#[derive(Clone)]
pub struct ToDevice {
    store: Store,
    sessions: Sessions,
    notifier: Notifier,
    clock: Clock,
    server_name: OwnedServerName,
    appservices: Appservices,
    growth: Growth,
}

/// What waits for a device.
#[derive(Debug)]
pub struct Waiting {
    /// The messages, oldest first.
    pub events: Vec<Raw<AnyToDeviceEvent>>,
    /// Up to where that is everything: who reads on from here misses nothing and reads nothing twice.
    pub until: Position,
}

impl ToDevice {
    /// The inboxes in `store` of the devices that `sessions` knows, of the users of `server_name`.
    pub fn new(
        store: Store,
        sessions: Sessions,
        notifier: Notifier,
        clock: Clock,
        server_name: OwnedServerName,
    ) -> Self {
        let appservices = Appservices::none(&server_name);
        let growth = Growth::new(overflow::USUAL_LIMIT);
        Self { store, sessions, notifier, clock, server_name, appservices, growth }
    }

    /// The same inboxes, of which `appservices` hear what is for their users.
    #[must_use]
    pub fn with_appservices(self, appservices: &Appservices) -> Self {
        Self { appservices: appservices.clone(), ..self }
    }

    /// The same inboxes, of which each holds at most so many messages, and about 4 KiB for each of them in all.
    #[must_use]
    pub fn with_inboxes_of(self, limit: usize) -> Self {
        Self { growth: Growth::new(limit), ..self }
    }

    /// Puts messages of one type into the inboxes of the devices that they are for, once for each transaction of the sending
    /// device; devices that there are not are skipped, users of other servers among them.
    ///
    /// # Errors
    ///
    /// `TooLarge` if a message or all of them together are, or if they are for too many devices; `BadJson` if one of them is
    /// no JSON object; `InvalidParam` if the transaction id is longer than 255 bytes; `NotFound` if the sending device ends.
    pub async fn send(
        &self,
        (sender, device): (&UserId, &DeviceId),
        kind: &str,
        transaction: &TransactionId,
        messages: &Messages,
    ) -> Result<()> {
        if kind.len() > MAXIMUM_TYPE {
            return Err(too_large("A type of messages has at most 255 bytes."));
        }
        transactions::check(transaction)?;
        let local = messages.iter().filter(|(user, _)| user.server_name() == self.server_name);
        let outgoing = local.map(|(user, messages)| Outgoing::new(user, sender, kind, messages));
        let outgoing = outgoing.collect::<Result<Vec<_>>>()?;
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let mut batch = Batch::new();
            // A device that ends at this moment must take the transaction along.
            self.sessions.require_device(&mut batch, &snapshot, sender, device).await?;
            let now = self.clock.millis();
            if !transactions::begin(&mut batch, &snapshot, (sender, device), kind, transaction, now).await? {
                return Ok(());
            }
            let (mut bounds, mut audience, mut came) = (Bounds::default(), OrdSet::new(), Vec::new());
            for outgoing in &outgoing {
                let devices = self.put(&mut batch, &snapshot, outgoing, &mut bounds).await?;
                if !devices.is_empty() {
                    audience.insert(outgoing.user.to_owned());
                }
                came.extend(devices);
            }
            self.wake(&mut batch, audience);
            self.store.commit(batch).await?;
            self.keep_bounds(&came).await
        })
        .await
    }

    /// Adds to `batch` what goes to the devices of one user, and says to which, and how many bytes.
    async fn put(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        outgoing: &Outgoing<'_>,
        bounds: &mut Bounds,
    ) -> Result<Vec<(OwnedUserId, OwnedDeviceId, u64)>> {
        let user = outgoing.user;
        // A device that ends at this moment must not find messages when it comes again.
        let wanted = |device: &DeviceId| outgoing.to(device).is_some();
        let devices = self.sessions.hold_devices(batch, snapshot, user, wanted).await?;
        let mut came = Vec::with_capacity(devices.len());
        for device in devices {
            let Some(event) = outgoing.to(&device) else { continue };
            bounds.spend(event)?;
            TO_DEVICE.put(batch, (user, &device, Position::pending(0)), &event.to_owned());
            self.note_for_appservices(batch, user, &device);
            came.push((user.to_owned(), device, event.get().len() as u64));
        }
        Ok(came)
    }

    /// Has those wake up whose devices find something new.
    fn wake(&self, batch: &mut Batch, audience: OrdSet<OwnedUserId>) {
        let notifier = self.notifier.clone();
        batch.on_visible(move |_| notifier.wake_all(&audience));
    }

    /// At most `limit` of the messages for a device that came after a position, as of `snapshot`.
    pub async fn waiting(
        &self,
        snapshot: &Snapshot,
        device: (&UserId, &DeviceId),
        after: Position,
        limit: usize,
    ) -> Result<Waiting> {
        self.waiting_and_wanted(snapshot, device, after, limit, |_| true).await
    }

    /// At most `limit` of the messages for a device that came after a position and are `wanted`, as of `snapshot`. The others
    /// are passed over.
    pub async fn waiting_and_wanted(
        &self,
        snapshot: &Snapshot,
        (user, device): (&UserId, &DeviceId),
        after: Position,
        limit: usize,
        wanted: impl Fn(&RawValue) -> bool,
    ) -> Result<Waiting> {
        let (mut events, mut until) = (Vec::new(), after);
        loop {
            let range = KeyRange::prefix_after((user, device), until);
            let rows = TO_DEVICE.scan(snapshot, range, Direction::Forward, limit.saturating_add(1)).await?;
            let is_all = rows.len() <= limit;
            for ((.., position), event) in rows {
                if wanted(&event) {
                    if events.len() == limit {
                        return Ok(Waiting { events, until });
                    }
                    events.push(Raw::from_json(event));
                }
                until = position;
            }
            if is_all {
                return Ok(Waiting { events, until: snapshot.position().max(after) });
            }
        }
    }

    /// Removes the messages up to a position, since the device has them.
    pub async fn acknowledge(&self, (user, device): (&UserId, &DeviceId), until: Position) -> Result<()> {
        let range = || KeyRange::prefix_until((user, device), until);
        let limit = REMOVED_ONE_BY_ONE + 1;
        let rows = TO_DEVICE.scan(&self.store.snapshot(), range(), Direction::Forward, limit).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.slots(0);
        match rows.len() > REMOVED_ONE_BY_ONE {
            true => TO_DEVICE.delete_range(&mut batch, range()),
            false => rows.iter().for_each(|(key, _)| TO_DEVICE.delete(&mut batch, key)),
        }
        self.store.commit(batch).await.map(drop)
    }
}

/// Adds to `batch` that the inbox of a device of `user` goes, and what it sent is forgotten.
pub(super) fn forget_device(batch: &mut Batch, user: &UserId, device: &DeviceId) {
    TO_DEVICE.delete_range(batch, KeyRange::prefix((user, device)));
    TO_DEVICE_TRANSACTIONS.delete_range(batch, KeyRange::prefix((user, device)));
}

/// What is refused, for being too much.
fn too_large(message: &'static str) -> Error {
    Kind::TooLarge.with(message)
}
