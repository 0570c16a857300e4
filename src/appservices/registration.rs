//! The registration of one application service
//! ([spec](https://spec.matrix.org/v1.19/application-service-api/#registration)), in the file that bridges write.

use ruma::{OwnedServerName, OwnedUserId, RoomAliasId, RoomId, ServerName, UserId};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::namespace::{Namespace, NamespaceFile};
use crate::{
    config::Secret,
    error::{Error, Result},
    outgoing::Url,
};

/// An application service as its registration describes it.
#[derive(Debug)]
pub struct Appservice {
    /// What it is called; unique, and the same for as long as it is the same service.
    pub id: String,
    /// Where it is called, without a slash at the end; `None` if it wants to hear of nothing.
    pub url: Option<String>,
    /// What the server shows when it calls the service.
    pub hs_token: Secret,
    /// The service's own user.
    pub sender: OwnedUserId,
    /// Whether its users are limited as others are. Its own user never is.
    pub rate_limited: bool,
    /// The networks that it leads to.
    pub protocols: Vec<String>,
    /// What it wants to hear of besides events.
    pub wishes: Wishes,
    /// The hash of the whole file, by which it shows that nothing has changed.
    pub(super) fingerprint: [u8; 32],
    server_name: OwnedServerName,
    /// The hash of what the service shows when it calls the server.
    as_token: [u8; 32],
    users: Vec<Namespace>,
    aliases: Vec<Namespace>,
    rooms: Vec<Namespace>,
}

/// What a service wants to hear of besides events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Typing, receipts, presence and messages to its users' devices.
    pub ephemeral: bool,
    /// The same under the names that they had before the specification took them.
    pub old_names: bool,
    /// Device lists and stocks of one-time keys (MSC3202).
    pub encryption: bool,
}

/// The file, in which keys that nobody here knows may stand.
#[derive(Deserialize)]
struct File {
    id: String,
    #[serde(default)]
    url: Option<String>,
    as_token: Secret,
    hs_token: Secret,
    sender_localpart: String,
    #[serde(default)]
    rate_limited: Option<bool>,
    #[serde(default)]
    namespaces: Option<NamespaceFiles>,
    #[serde(default)]
    protocols: Option<Vec<String>>,
    #[serde(default)]
    receive_ephemeral: bool,
    #[serde(default, rename = "de.sorunome.msc2409.push_ephemeral")]
    push_ephemeral: bool,
    /// What some bridges write beside the two.
    #[serde(default, rename = "push_ephemeral")]
    push_ephemeral_without_prefix: bool,
    #[serde(default, rename = "org.matrix.msc3202")]
    encryption: bool,
}

#[derive(Default, Deserialize)]
struct NamespaceFiles {
    #[serde(default)]
    users: Option<Vec<NamespaceFile>>,
    #[serde(default)]
    aliases: Option<Vec<NamespaceFile>>,
    #[serde(default)]
    rooms: Option<Vec<NamespaceFile>>,
}

impl Appservice {
    /// Reads the text of a registration file for the server called `server_name`.
    ///
    /// # Errors
    ///
    /// `InvalidParam` with what is wrong, which never shows a token.
    pub fn read(text: &str, server_name: &ServerName) -> Result<Self> {
        let file: File =
            serde_saphyr::from_str(text).map_err(|cause| Error::invalid(first_line(&cause.to_string())))?;
        if file.id.is_empty() {
            return Err(Error::invalid("id must not be empty"));
        }
        let sender = sender(&file.sender_localpart, server_name)?;
        if !is_header_value(file.hs_token.reveal()) {
            return Err(Error::invalid("hs_token must consist of printable ASCII characters without spaces"));
        }
        let url = file.url.filter(|url| !url.is_empty() && url != "null");
        url.as_deref().map_or(Ok(()), check_url)?;
        let NamespaceFiles { users, aliases, rooms } = file.namespaces.unwrap_or_default();
        let compile = |name: &str, files: Option<Vec<NamespaceFile>>| {
            let files = files.unwrap_or_default().into_iter();
            files.map(|file| Namespace::new(file, name)).collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            id: file.id,
            url: url.map(|url| url.trim_end_matches('/').to_owned()),
            hs_token: file.hs_token,
            sender,
            rate_limited: file.rate_limited.unwrap_or(true),
            protocols: file.protocols.unwrap_or_default(),
            wishes: Wishes {
                ephemeral: file.receive_ephemeral || file.push_ephemeral || file.push_ephemeral_without_prefix,
                old_names: file.push_ephemeral || file.push_ephemeral_without_prefix,
                encryption: file.encryption,
            },
            fingerprint: hash(text),
            server_name: server_name.to_owned(),
            as_token: hash(file.as_token.reveal()),
            users: compile("users", users)?,
            aliases: compile("aliases", aliases)?,
            rooms: compile("rooms", rooms)?,
        })
    }

    /// Whether the service may be `user` and hears of what concerns them: its own user, and those of this server in its
    /// namespaces.
    pub fn has_user(&self, user: &UserId) -> bool {
        *user == *self.sender
            || user.server_name() == self.server_name && self.users.iter().any(|space| space.contains(user.as_str()))
    }

    /// Whether nobody but the service may have `user`.
    pub fn owns_user(&self, user: &UserId) -> bool {
        let owned = |space: &Namespace| space.exclusive && space.contains(user.as_str());
        *user == *self.sender || user.server_name() == self.server_name && self.users.iter().any(owned)
    }

    /// Whether an alias is in the service's namespaces.
    pub fn has_alias(&self, alias: &RoomAliasId) -> bool {
        self.aliases.iter().any(|space| space.contains(alias.as_str()))
    }

    /// Whether nobody but the service may have `alias`.
    pub fn owns_alias(&self, alias: &RoomAliasId) -> bool {
        self.aliases.iter().any(|space| space.exclusive && space.contains(alias.as_str()))
    }

    /// Whether a room is in the service's namespaces by its id.
    pub fn has_room(&self, room: &RoomId) -> bool {
        self.rooms.iter().any(|space| space.contains(room.as_str()))
    }

    /// Whether it can depend on a room's aliases that the service hears of it.
    pub fn asks_for_aliases(&self) -> bool {
        !self.aliases.is_empty()
    }

    /// Whether `token` is the one that the service shows, compared in a time that does not depend on where they differ.
    pub(super) fn shows(&self, token: &[u8; 32]) -> bool {
        self.as_token.ct_eq(token).into()
    }

    /// Whether two registrations have the same token.
    pub(super) fn shares_token_with(&self, other: &Self) -> bool {
        self.shows(&other.as_token)
    }
}

/// The service's own user, who must be one that can be registered.
fn sender(localpart: &str, server_name: &ServerName) -> Result<OwnedUserId> {
    let wrong = || {
        Error::invalid(
            "sender_localpart must be the part of a user id before the colon: the letters a to z, digits, and the \
             characters . _ = - / +",
        )
    };
    let user = UserId::parse(format!("@{localpart}:{server_name}")).map_err(|_| wrong())?;
    user.validate_strict().map_err(|_| wrong())?;
    Ok(user)
}

/// Checks that paths can be added to a URL.
fn check_url(url: &str) -> Result<()> {
    let plain = |url: &Url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none()
    };
    match Url::parse(url).is_ok_and(|url| plain(&url)) {
        true => Ok(()),
        false => Err(Error::invalid(
            "url must begin with http:// or https://, name a host and have neither ? nor #, or be null",
        )),
    }
}

/// Whether a token can stand in a header.
fn is_header_value(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What tokens and files are compared by.
pub(super) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Without the excerpt of the file that the library shows below, in which a token may stand.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or("it is not YAML").to_owned()
}
