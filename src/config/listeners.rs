//! `[[listeners]]`: where clients connect.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// One place where the server accepts connections.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct Listener {
    /// The address or socket to listen on.
    pub endpoint: Endpoint,
    /// The certificate to speak TLS with; `None` for plain HTTP, as behind a reverse proxy.
    pub tls: Option<Tls>,
}

/// What to listen on.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoint {
    /// An address and port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
}

/// The PEM files of a TLS listener.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
}

impl Default for Listener {
    fn default() -> Self {
        Self { endpoint: Endpoint::Tcp((Ipv4Addr::LOCALHOST, 8008).into()), tls: None }
    }
}

impl Listener {
    /// Makes relative paths start at `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        if let Endpoint::Unix(path) = &mut self.endpoint {
            *path = folder.join(&*path);
        }
        if let Some(tls) = &mut self.tls {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
    }
}

/// The keys as they stand in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    address: Option<String>,
    unix: Option<PathBuf>,
    tls: Option<Tls>,
}

impl TryFrom<Keys> for Listener {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        match (keys.address, keys.unix, keys.tls) {
            (Some(address), None, tls) => {
                let parsed = address.parse().map_err(|_| {
                    format!("address \"{address}\" is not an IP address with a port, such as \"127.0.0.1:8008\"")
                })?;
                Ok(Self { endpoint: Endpoint::Tcp(parsed), tls })
            }
            (None, Some(path), None) => Ok(Self { endpoint: Endpoint::Unix(path), tls: None }),
            (None, Some(_), Some(_)) => Err("a Unix socket does not speak TLS: remove tls".to_owned()),
            (Some(_), Some(_), _) => Err("address and unix are both set: make them two listeners".to_owned()),
            (None, None, _) => Err("set address, such as \"127.0.0.1:8008\", or unix, the path of a socket".to_owned()),
        }
    }
}
