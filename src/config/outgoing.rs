//! `[outgoing]`: how this server reaches others.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de::Error as _};

use super::limits::Network;

/// `[outgoing]`: how this server reaches others.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outgoing {
    /// Addresses that are called although they are not public.
    pub allowed_addresses: Vec<Network>,
    /// PEM files with certificate authorities that are trusted besides those of the system.
    pub extra_certificate_authorities: Vec<PathBuf>,
    /// Names whose address is known without asking.
    pub static_names: Vec<StaticName>,
    /// Whether other names are looked up.
    pub resolve_names: bool,
}

impl Default for Outgoing {
    fn default() -> Self {
        let (allowed_addresses, static_names) = (Vec::new(), Vec::new());
        Self { allowed_addresses, extra_certificate_authorities: Vec::new(), static_names, resolve_names: true }
    }
}

impl Outgoing {
    /// Has relative paths start at `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.extra_certificate_authorities.iter_mut().for_each(|path| *path = folder.join(&*path));
    }
}

/// A name and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticName {
    /// The name, as it stands in a URL.
    pub name: String,
    /// The address, with a port of 0 where the scheme of the URL decides.
    #[serde(deserialize_with = "address")]
    pub address: SocketAddr,
}

/// Reads an address with or without a port.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let alone = || IpAddr::from_str(&text).map(|address| SocketAddr::new(address, 0));
    SocketAddr::from_str(&text).or_else(|_| alone()).map_err(|_| {
        D::Error::custom(format!("\"{text}\" is not an address: write one such as \"192.0.2.7\" or \"192.0.2.7:8448\""))
    })
}
