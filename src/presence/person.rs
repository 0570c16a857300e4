//! One person's presence as a pure state machine: what their devices do goes in, how they appear comes out.

use std::{collections::HashMap, time::Duration};

use ruma::{OwnedDeviceId, presence::PresenceState};

use crate::error::Error;

/// How reachable someone is, least first, so that of several devices the greatest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Availability {
    /// Not connected, or not showing it.
    #[default]
    Offline,
    /// Connected, but idle: away.
    Unavailable,
    /// Connected.
    Online,
    /// Connected and not to be disturbed.
    Busy,
}

impl TryFrom<&PresenceState> for Availability {
    type Error = Error;

    /// Reads the word of the protocol; `busy` also under the name that clients gave it before it was common.
    fn try_from(state: &PresenceState) -> Result<Self, Error> {
        match state.as_str() {
            "online" => Ok(Self::Online),
            "unavailable" => Ok(Self::Unavailable),
            "offline" => Ok(Self::Offline),
            "busy" | "org.matrix.msc3026.busy" => Ok(Self::Busy),
            _ => Err(Error::invalid("A presence is one of online, unavailable, offline and busy.")),
        }
    }
}

impl From<Availability> for PresenceState {
    fn from(availability: Availability) -> Self {
        match availability {
            Availability::Offline => Self::Offline,
            Availability::Unavailable => Self::Unavailable,
            Availability::Online => Self::Online,
            Availability::Busy => Self::from("busy"),
        }
    }
}

/// When people count as idle and as gone.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long after the last thing that somebody did they are away.
    pub away_after: Duration,
    /// How long after the last sync of a device it is gone.
    pub offline_after: Duration,
}

/// What the server knows of a person's presence. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, Default)]
pub struct Person {
    devices: HashMap<OwnedDeviceId, Device>,
    /// When the person last did something by hand; zero if not since the server started.
    pub last_active: u64,
    /// What they say about themselves.
    pub status_message: Option<String>,
}

/// What a device said and did.
#[derive(Clone, Debug, Default)]
struct Device {
    availability: Availability,
    /// Whether its user chose the availability, so that merely syncing does not change it.
    chosen: bool,
    /// How many of its syncs are under way.
    syncing: u32,
    last_sync: u64,
}

impl Person {
    /// Someone who is not here and left a status message.
    pub fn who_said(message: String) -> Self {
        Self { status_message: Some(message), ..Self::default() }
    }

    /// How the person appears: as the most reachable of their devices does, but away if they have not done anything for long.
    pub fn availability(&self, now: u64, patience: Patience) -> Availability {
        let here = self.devices.values().map(|device| device.availability).max().unwrap_or_default();
        match here {
            Availability::Online if self.is_idle(now, patience) => Availability::Unavailable,
            here => here,
        }
    }

    /// Whether the person did something lately.
    pub fn is_currently_active(&self, now: u64, patience: Patience) -> bool {
        self.availability(now, patience) == Availability::Online
    }

    /// A device's user chose how to appear.
    pub fn choose(&mut self, device: OwnedDeviceId, availability: Availability, now: u64) {
        let device = self.devices.entry(device).or_default();
        device.availability = availability;
        device.chosen = true;
        device.last_sync = now;
        if availability >= Availability::Online {
            self.last_active = now;
        }
    }

    /// A sync of a device began. `Offline` asks that it not show.
    pub fn sync_begins(&mut self, device: OwnedDeviceId, wish: Availability, now: u64) {
        let appears = self.devices.entry(device).or_default();
        appears.syncing += 1;
        appears.last_sync = now;
        let comes_online = appears.availability == Availability::Offline && wish == Availability::Online;
        match wish {
            Availability::Offline => {}
            Availability::Online if appears.chosen && !comes_online => {}
            wish if appears.availability == Availability::Busy && appears.chosen && wish != Availability::Busy => {}
            wish => {
                appears.availability = wish;
                appears.chosen = false;
            }
        }
        if comes_online {
            self.last_active = now;
        }
    }

    /// A sync of a device ended.
    pub fn sync_ends(&mut self, device: &OwnedDeviceId, now: u64) {
        if let Some(device) = self.devices.get_mut(device) {
            device.syncing = device.syncing.saturating_sub(1);
            device.last_sync = now;
        }
    }

    /// The person did something by hand: they are not idle, whatever a device's idle timer said.
    pub fn act(&mut self, now: u64) {
        self.last_active = now;
        for device in self.devices.values_mut().filter(|device| device.availability == Availability::Unavailable) {
            device.availability = Availability::Online;
            device.chosen = false;
        }
    }

    /// Lets go of devices that have not synced for too long.
    pub fn settle(&mut self, now: u64, patience: Patience) {
        let gone_after = patience.offline_after.as_millis() as u64;
        self.devices.retain(|_, device| device.syncing > 0 || device.last_sync + gone_after > now);
    }

    fn is_idle(&self, now: u64, patience: Patience) -> bool {
        self.last_active > 0 && self.last_active + patience.away_after.as_millis() as u64 <= now
    }
}

#[cfg(test)]
mod tests {
    use ruma::owned_device_id;

    use super::*;

    const PATIENCE: Patience =
        Patience { away_after: Duration::from_secs(300), offline_after: Duration::from_secs(60) };

    fn appears(person: &Person, now: u64) -> Availability {
        person.availability(now, PATIENCE)
    }

    #[test]
    fn a_device_that_syncs_is_online_then_idle_then_gone() {
        let mut bob = Person::default();
        assert_eq!(appears(&bob, 1_000), Availability::Offline);
        bob.sync_begins(owned_device_id!("D"), Availability::Online, 1_000);
        assert_eq!(appears(&bob, 1_000), Availability::Online);
        bob.settle(300_000, PATIENCE);
        assert_eq!(appears(&bob, 300_000), Availability::Online);
        assert_eq!(appears(&bob, 301_000), Availability::Unavailable);
        bob.act(302_000);
        assert_eq!(appears(&bob, 302_000), Availability::Online);
        bob.sync_ends(&owned_device_id!("D"), 310_000);
        bob.settle(369_999, PATIENCE);
        assert_eq!(appears(&bob, 369_999), Availability::Online);
        bob.settle(370_000, PATIENCE);
        assert_eq!(appears(&bob, 370_000), Availability::Offline);
    }

    #[test]
    fn what_the_user_chose_stays_while_the_device_merely_syncs() {
        for chosen in [Availability::Busy, Availability::Unavailable] {
            let mut bob = Person::default();
            bob.choose(owned_device_id!("D"), chosen, 1_000);
            bob.sync_begins(owned_device_id!("D"), Availability::Online, 2_000);
            assert_eq!(appears(&bob, 2_000), chosen);
        }
    }

    #[test]
    fn a_sync_that_asks_not_to_show_does_not_show() {
        let mut bob = Person::default();
        bob.sync_begins(owned_device_id!("D"), Availability::Offline, 1_000);
        assert_eq!(appears(&bob, 1_000), Availability::Offline);
    }

    #[test]
    fn the_most_reachable_device_counts() {
        let mut bob = Person::default();
        bob.choose(owned_device_id!("PHONE"), Availability::Unavailable, 1_000);
        bob.choose(owned_device_id!("LAPTOP"), Availability::Online, 1_000);
        assert_eq!(appears(&bob, 1_000), Availability::Online);
        bob.choose(owned_device_id!("LAPTOP"), Availability::Busy, 1_000);
        assert_eq!(appears(&bob, 1_000), Availability::Busy);
    }
}
