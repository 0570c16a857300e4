//! The second part of an `mxc://` URI.

use std::fmt;

use ruma::serde::base64::{Base64, UrlSafe};

use crate::error::{Error, Result};

/// The longest id, in bytes.
const MAXIMUM: usize = 255;

/// An id of letters, digits, `_` and `-` only, as "Security considerations" of the content repository demands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaId(String);

impl MediaId {
    /// A new id that nobody can guess.
    pub fn random() -> Self {
        Self(Base64::<UrlSafe, _>::new(rand::random::<[u8; 18]>()).to_string())
    }

    /// The id that a client names.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is none, since then nothing can be there.
    pub fn parse(id: &str) -> Result<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        match !id.is_empty() && id.len() <= MAXIMUM && id.bytes().all(allowed) {
            true => Ok(Self(id.to_owned())),
            false => Err(Error::not_found("This is not the id of a file.")),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_ids_and_differ() {
        let id = MediaId::random();
        assert_eq!(MediaId::parse(id.as_str()).unwrap(), id);
        assert_eq!(id.as_str().len(), 24);
        assert_ne!(id, MediaId::random());
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_id() {
        let long = "a".repeat(MAXIMUM + 1);
        for id in ["", ".", "..", "../etc/passwd", "a/b", "a\\b", "a%2Fb", "a b", "a\0", "ä", "a#1", "a.b", &long] {
            assert!(MediaId::parse(id).is_err(), "{id:?}");
        }
    }
}
