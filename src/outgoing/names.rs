//! Which addresses a name has, and which of them may be called.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;

use super::public_addresses::is_public;
use crate::config::{self, Network};

/// A cheap-clone look-up that yields only addresses that may be called.
#[derive(Clone)]
pub(super) struct Names {
    shared: Arc<Shared>,
}

struct Shared {
    known: HashMap<String, SocketAddr>,
    looks_up: bool,
    allowed: Vec<Network>,
    /// Whether every address may be called.
    trusting: bool,
}

/// A name leads only to addresses that may not be called.
#[derive(Debug)]
pub(super) struct NotAllowed;

impl Names {
    /// Names as the operator wants them looked up.
    pub fn new(chosen: &config::Outgoing) -> Self {
        let known = chosen.static_names.iter().map(|known| (known.name.to_ascii_lowercase(), known.address)).collect();
        let shared = Shared {
            known,
            looks_up: chosen.resolve_names,
            allowed: chosen.allowed_addresses.clone(),
            trusting: false,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The same names, all of whose addresses may be called.
    pub fn trusting(&self) -> Self {
        let Shared { known, looks_up, allowed, .. } = &*self.shared;
        let shared = Shared { known: known.clone(), looks_up: *looks_up, allowed: allowed.clone(), trusting: true };
        Self { shared: Arc::new(shared) }
    }

    /// Whether the address may be called.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.shared.trusting
            || is_public(address)
            || self.shared.allowed.iter().any(|network| network.contains(address))
    }

    /// Every address of a name. A port of 0 is for the scheme of the URL to fill in.
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if let Some(known) = self.shared.known.get(&name) {
            return Ok(vec![*known]);
        }
        if self.shared.looks_up {
            return Ok(lookup_host((name.as_str(), 0)).await?.collect());
        }
        match name.as_str() {
            "localhost" => Ok(vec![(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()]),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "the configuration says not to look names up")),
        }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let mut addresses = names.addresses(name.as_str()).await?;
            addresses.retain(|address| names.allows(address.ip()));
            if addresses.is_empty() {
                return Err(NotAllowed.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no address of this name may be called")
    }
}

impl std::error::Error for NotAllowed {}
