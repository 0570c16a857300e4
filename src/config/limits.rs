//! `[limits]`: how much one client may ask for.

use std::{net::IpAddr, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};

use super::units;

/// How much one client may ask for before it has to wait.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether the rates below are enforced; the body size always is.
    pub enabled: bool,
    /// The largest request body that is read, in bytes.
    #[serde(deserialize_with = "units::bytes")]
    pub max_body_size: u64,
    /// The peers whose `X-Forwarded-For` header is believed when a limit counts by address.
    pub trusted_proxies: Vec<Network>,
    /// Attempts to log in, counted per account and per address.
    pub login: Rate,
    /// New accounts, counted per address.
    pub registration: Rate,
    /// Events sent into rooms, counted per user, and twenty times as many per address.
    pub messages: Rate,
    /// Rooms joined, knocked on or created, counted per user, and twenty times as many per address.
    pub joins: Rate,
    /// Files uploaded or announced, counted per user, and twenty times as many per address.
    pub uploads: Rate,
    /// Messages to devices and uploads and claims of their keys, counted per user, and twenty times as many per address.
    pub encryption: Rate,
    /// How many messages from other devices wait for a device that does not sync, at about 4 KiB each; always enforced.
    #[serde(deserialize_with = "above_zero")]
    pub device_inbox: u32,
    /// Mails that somebody asks for, counted per mailbox, and four times as many per address.
    pub mails: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enabled: true,
            max_body_size: 2 << 20,
            trusted_proxies: vec![
                Network { address: [127, 0, 0, 0].into(), prefix: 8 },
                Network { address: IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), prefix: 128 },
            ],
            login: Rate { per_second: 0.2, burst: 20 },
            registration: Rate { per_second: 0.1, burst: 10 },
            messages: Rate { per_second: 5.0, burst: 100 },
            joins: Rate { per_second: 0.5, burst: 50 },
            uploads: Rate { per_second: 1.0, burst: 100 },
            encryption: Rate { per_second: 20.0, burst: 1_000 },
            device_inbox: 10_000,
            mails: Rate { per_second: 0.003, burst: 5 },
        }
    }
}

/// Reads a number that is not zero.
fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    std::num::NonZero::<u32>::deserialize(deserializer).map(std::num::NonZero::get)
}

/// A bucket of `burst` requests which refills at `per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RateKeys")]
pub struct Rate {
    /// How many requests a second are allowed in the long run; above zero.
    pub per_second: f64,
    /// How many may come at once after a quiet time; at least one.
    pub burst: u32,
}

impl Rate {
    /// The time in which one request is earned back.
    pub fn period(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateKeys {
    per_second: f64,
    burst: u32,
}

impl TryFrom<RateKeys> for Rate {
    type Error = &'static str;

    fn try_from(keys: RateKeys) -> Result<Self, Self::Error> {
        // The bounds keep the period between a nanosecond and about 32 years.
        if !(1e-9..=1e9).contains(&keys.per_second) {
            return Err("per_second must be above 0: set limits.enabled = false to go without limits");
        }
        if keys.burst == 0 {
            return Err("burst must be at least 1: set limits.enabled = false to go without limits");
        }
        Ok(Self { per_second: keys.per_second, burst: keys.burst })
    }
}

/// A range of addresses, written as one address (`192.0.2.7`) or with a prefix length (`172.16.0.0/12`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` lies in the range; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = u32::from(network) ^ u32::from(address);
                differing.leading_zeros() >= self.prefix.into()
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = u128::from(network) ^ u128::from(address);
                differing.leading_zeros() >= self.prefix.into()
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = || {
            let (address, prefix) = match text.split_once('/') {
                Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
                None => (text, None),
            };
            let address: IpAddr = address.parse().ok()?;
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.unwrap_or(bits);
            (prefix <= bits).then_some(Self { address, prefix })
        };
        parsed().ok_or_else(|| {
            format!(
                "\"{text}\" is not an address: write one such as \"192.0.2.7\", or a range such as \"172.16.0.0/12\""
            )
        })
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
