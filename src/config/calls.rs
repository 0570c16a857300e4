//! `[turn]` and `[calls]`: what people need to call each other, which other software provides.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::{secret::Secret, sections::base_url_of, units};

/// `[turn]`: the TURN server that relays calls between two people.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    /// Where it is reached; empty if there is none.
    #[serde(deserialize_with = "turn_uris")]
    pub uris: Vec<String>,
    /// The secret that it shares with this server, from which each user gets credentials of their own.
    pub shared_secret: Option<Secret>,
    /// The name that everybody has there, where no secret is shared.
    pub user: Option<String>,
    /// The password of that name.
    pub password: Option<Secret>,
    /// How long credentials work.
    #[serde(deserialize_with = "units::duration")]
    pub lifetime: Duration,
    /// Whether guests get credentials.
    pub guests: bool,
}

impl Default for Turn {
    fn default() -> Self {
        let lifetime = Duration::from_secs(24 * 3600);
        Self { uris: Vec::new(), shared_secret: None, user: None, password: None, lifetime, guests: false }
    }
}

impl Turn {
    /// What is wrong with the section, with the key that it begins with.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match (self.uris.is_empty(), &self.shared_secret, &self.user, &self.password) {
            (_, _, Some(_), None) | (_, _, None, Some(_)) => {
                Some("user and turn.password belong together: set both or none")
            }
            (false, None, None, None) => Some("shared_secret is missing: set it, or user and password"),
            _ => None,
        }
    }
}

/// `[calls]`: what calls of many people go through (MatrixRTC).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calls {
    /// The services that let people into LiveKit servers, the preferred one first.
    #[serde(deserialize_with = "urls")]
    pub livekit_service_urls: Vec<String>,
}

fn turn_uris<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let uris = Vec::<String>::deserialize(deserializer)?;
    match uris.iter().find(|uri| !uri.starts_with("turn:") && !uri.starts_with("turns:")) {
        Some(uri) => Err(D::Error::custom(format!(
            "\"{uri}\" is not the address of a TURN server: write one such as \"turn:turn.example.org?transport=udp\""
        ))),
        None => Ok(uris),
    }
}

fn urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Vec::<String>::deserialize(deserializer)?.iter().map(|url| base_url_of(url).map_err(D::Error::custom)).collect()
}
