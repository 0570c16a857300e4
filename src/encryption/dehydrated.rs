//! Dehydrated devices (MSC3814): devices without a session that receive room keys while their user has no other device. A
//! client takes their private keys, which only the user can read, from here and with them reads what they received.

use ruma::{DeviceId, OwnedDeviceId, UserId, events::AnyToDeviceEvent, serde::Raw};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{KeyUpload, Keys, Owner, ToDevice};
use crate::{
    error::{Error, Kind, Result},
    storage::{
        Batch, Position, Snapshot, Store,
        schema::encryption::{DEHYDRATED_DEVICE_IDS, DEHYDRATED_DEVICES},
        until_settled,
    },
    users::Sessions,
};

/// The largest dehydrated device as JSON, in bytes.
const MAXIMUM_SIZE: usize = 64 << 10;

/// How many messages one answer brings.
const MAXIMUM_MESSAGES: usize = 100;

/// A cheap-clone service over the dehydrated devices of all users, of which each has at most one.
#[derive(Clone)]
pub struct DehydratedDevices {
    store: Store,
    sessions: Sessions,
    keys: Keys,
    to_device: ToDevice,
}

/// A device as it is left on the server.
#[derive(Clone, Debug)]
pub struct NewDehydratedDevice {
    /// Its id.
    pub device_id: OwnedDeviceId,
    /// Its name.
    pub display_name: Option<String>,
    /// What brings it back to life.
    pub data: Box<RawValue>,
    /// Its public keys.
    pub upload: KeyUpload,
}

/// Messages that a dehydrated device received.
#[derive(Debug)]
pub struct Received {
    /// The messages, oldest first.
    pub events: Vec<Raw<AnyToDeviceEvent>>,
    /// Where to read on; nothing if there was nothing to read.
    pub next: Option<Position>,
}

impl DehydratedDevices {
    /// The dehydrated devices in `store`, whose keys are among `keys` and whose inboxes are in `to_device`.
    pub fn new(store: Store, sessions: Sessions, keys: Keys, to_device: ToDevice) -> Self {
        Self { store, sessions, keys, to_device }
    }

    /// Leaves a device here in the place of the one that is here.
    ///
    /// # Errors
    ///
    /// `TooLarge` or `BadJson` if the data is; `Forbidden` if the id is that of another device; as [`Keys::upload`] if the keys
    /// are not in order.
    pub async fn put(&self, caller: Owner<'_>, new: &NewDehydratedDevice) -> Result<()> {
        check_data(&new.data)?;
        let (user, device) = (caller.user, &*new.device_id);
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let mut batch = Batch::new();
            self.sessions.require_device(&mut batch, &snapshot, user, caller.device).await?;
            let named = DEHYDRATED_DEVICE_IDS.get(&snapshot, (user,)).await?;
            let here = self.current(&snapshot, user).await?.map(|(device, _)| device);
            if here.as_deref() == Some(device) {
                self.sessions.require_device(&mut batch, &snapshot, user, device).await?;
            } else {
                if let Some(former) = here {
                    self.sessions.remove_device(&mut batch, &snapshot, user, &former).await?;
                }
                let name = new.display_name.clone();
                self.sessions.add_without_tokens(&mut batch, &snapshot, (user, device), name).await?;
            }
            self.keys.stage_upload(&mut batch, &snapshot, Owner { user, device }, &new.upload).await?;
            // Two clients that do this at the same time must not leave two devices behind.
            DEHYDRATED_DEVICE_IDS.expect(&mut batch, (user,), named.as_ref());
            DEHYDRATED_DEVICE_IDS.put(&mut batch, (user,), &device.to_owned());
            DEHYDRATED_DEVICES.put(&mut batch, (user, device), &new.data.get().into());
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// The device of `user` that is here, and what brings it back to life.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none.
    pub async fn get(&self, user: &UserId) -> Result<(OwnedDeviceId, Box<RawValue>)> {
        let (device, data) = self.current(&self.store.snapshot(), user).await?.ok_or_else(none_here)?;
        Ok((device, RawValue::from_string(data.into()).map_err(Error::internal)?))
    }

    /// Ends the device of `user` that is here, and says which it was.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none.
    pub async fn delete(&self, user: &UserId) -> Result<OwnedDeviceId> {
        let (device, _) = self.current(&self.store.snapshot(), user).await?.ok_or_else(none_here)?;
        self.sessions.end(user, std::slice::from_ref(&device)).await?;
        Ok(device)
    }

    /// What the device of `user` that is here received after a position. It stays here until the device ends, so that a client
    /// which fails half-way can begin again.
    ///
    /// # Errors
    ///
    /// `Forbidden` if `device` is another device.
    pub async fn received(&self, user: &UserId, device: &DeviceId, after: Position) -> Result<Received> {
        let snapshot = self.store.snapshot();
        let here = self.current(&snapshot, user).await?;
        if here.is_none_or(|(here, _)| here != device) {
            return Err(Error::forbidden("This is not your dehydrated device."));
        }
        let waiting = self.to_device.waiting(&snapshot, (user, device), after, MAXIMUM_MESSAGES).await?;
        // Clients read on until there is nothing, and begin anew if they are not told where they are.
        let next = (!waiting.events.is_empty()).then_some(waiting.until);
        Ok(Received { events: waiting.events, next })
    }

    async fn current(&self, snapshot: &Snapshot, user: &UserId) -> Result<Option<(OwnedDeviceId, Box<str>)>> {
        let Some(device) = DEHYDRATED_DEVICE_IDS.get(snapshot, (user,)).await? else { return Ok(None) };
        let data = DEHYDRATED_DEVICES.get(snapshot, (user, &device)).await?;
        Ok(data.map(|data| (device, data)))
    }
}

/// What the data of a device has, whatever else its algorithm asks for.
fn check_data(data: &RawValue) -> Result<()> {
    #[derive(Deserialize)]
    struct Data {
        #[serde(rename = "algorithm")]
        _algorithm: String,
    }
    if data.get().len() > MAXIMUM_SIZE {
        return Err(Kind::TooLarge.with("A dehydrated device has at most 64 KiB as JSON."));
    }
    let checked = serde_json::from_str::<Data>(data.get());
    checked.map(drop).map_err(|cause| Kind::BadJson.with(format!("The data of a device has another shape: {cause}.")))
}

fn none_here() -> Error {
    Error::not_found("You have no dehydrated device.")
}
