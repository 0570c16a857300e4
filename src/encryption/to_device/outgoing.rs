//! The messages of one request for the devices of one user, and how much one request may send.

use std::collections::BTreeMap;

use ruma::{
    DeviceId, OwnedDeviceId, UserId, events::AnyToDeviceEventContent, serde::Raw, to_device::DeviceIdOrAllDevices,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::too_large;
use crate::error::{Error, Kind, Result};

/// The largest message as its device reads it, in bytes, as for an event of a room.
const MAXIMUM_EVENT: usize = 65_536;
/// To how many devices one request may send.
const MAXIMUM_DEVICES: usize = 10_000;
/// How much one request may put into all inboxes together, in bytes: a message for all devices of a user is copied.
const MAXIMUM_COPIES: usize = 32 << 20;

/// What goes to the devices of one user.
pub(super) struct Outgoing<'a> {
    /// Whose devices they are.
    pub user: &'a UserId,
    /// For single devices.
    single: BTreeMap<OwnedDeviceId, Box<RawValue>>,
    /// For all the others.
    others: Option<Box<RawValue>>,
}

/// What a request has sent so far.
#[derive(Default)]
pub(super) struct Bounds {
    devices: usize,
    bytes: usize,
}

impl<'a> Outgoing<'a> {
    /// The messages of type `kind` by `sender`, as the devices of `user` will read them.
    ///
    /// # Errors
    ///
    /// `TooLarge` or `BadJson` if there is one that cannot be sent.
    pub fn new(
        user: &'a UserId,
        sender: &UserId,
        kind: &str,
        messages: &BTreeMap<DeviceIdOrAllDevices, Raw<AnyToDeviceEventContent>>,
    ) -> Result<Self> {
        let mut outgoing = Self { user, single: BTreeMap::new(), others: None };
        for (device, content) in messages {
            let event = event(sender, kind, content.json())?;
            match device {
                DeviceIdOrAllDevices::AllDevices => outgoing.others = Some(event),
                DeviceIdOrAllDevices::DeviceId(device) => drop(outgoing.single.insert(device.clone(), event)),
            }
        }
        Ok(outgoing)
    }

    /// What goes to one device.
    pub fn to(&self, device: &DeviceId) -> Option<&RawValue> {
        self.single.get(device).or(self.others.as_ref()).map(|event| &**event)
    }
}

impl Bounds {
    /// Takes note of one message.
    pub fn spend(&mut self, event: &RawValue) -> Result<()> {
        self.devices += 1;
        self.bytes += event.get().len();
        match self.devices > MAXIMUM_DEVICES || self.bytes > MAXIMUM_COPIES {
            true => Err(too_large("These messages are too many for one request: send them in several.")),
            false => Ok(()),
        }
    }
}

fn event(sender: &UserId, kind: &str, content: &RawValue) -> Result<Box<RawValue>> {
    #[derive(Serialize)]
    struct Event<'a> {
        content: &'a RawValue,
        sender: &'a UserId,
        #[serde(rename = "type")]
        kind: &'a str,
    }
    if !content.get().starts_with('{') {
        return Err(Kind::BadJson.with("A message to a device must be a JSON object."));
    }
    let event = to_raw_value(&Event { content, sender, kind }).map_err(Error::internal)?;
    match event.get().len() > MAXIMUM_EVENT {
        true => Err(too_large("A message to a device has at most 65,536 bytes.")),
        false => Ok(event),
    }
}
