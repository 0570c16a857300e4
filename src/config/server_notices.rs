//! `[server_notices]`: in whose name the server speaks to its users.

use ruma::OwnedMxcUri;
use serde::{Deserialize, Deserializer, de::Error as _};

/// In whose name the server speaks to its users, and what the room is called in which it does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerNotices {
    /// The part before the colon of the server's own user id.
    #[serde(deserialize_with = "localpart")]
    pub localpart: String,
    /// The name that users see; not empty.
    #[serde(deserialize_with = "visible")]
    pub display_name: String,
    /// The picture that users see.
    #[serde(deserialize_with = "picture")]
    pub avatar_url: Option<OwnedMxcUri>,
    /// What the rooms are called; not empty.
    #[serde(deserialize_with = "visible")]
    pub room_name: String,
}

impl Default for ServerNotices {
    fn default() -> Self {
        let name = "Server notices";
        Self {
            localpart: "_server".to_owned(),
            display_name: name.to_owned(),
            avatar_url: None,
            room_name: name.to_owned(),
        }
    }
}

fn localpart<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'-' | b'/' | b'+');
    match text.bytes().all(is_allowed) && (1..=100).contains(&text.len()) {
        true => Ok(text),
        false => Err(D::Error::custom(format!(
            "\"{text}\" is not the first part of a user id: use up to 100 of the letters a to z, digits, and . _ = - / +"
        ))),
    }
}

fn visible<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match !text.trim().is_empty() && text.chars().count() <= 255 {
        true => Ok(text),
        false => Err(D::Error::custom("write a name of up to 255 characters")),
    }
}

pub(super) fn picture<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OwnedMxcUri>, D::Error> {
    let url = OwnedMxcUri::deserialize(deserializer)?;
    match url.is_valid() && url.as_str().len() <= 1_000 {
        true => Ok(Some(url)),
        false => Err(D::Error::custom(format!(
            "\"{url}\" is not the address of something that was uploaded, such as \"mxc://example.org/abc\""
        ))),
    }
}
