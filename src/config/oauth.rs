//! `[oauth]`: whether clients can log in by the OAuth 2.0 API.

use serde::Deserialize;

/// `[oauth]`: whether clients can log in by the OAuth 2.0 API.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OAuth {
    /// Whether they can, besides the older API, which is always there.
    pub enabled: bool,
}
