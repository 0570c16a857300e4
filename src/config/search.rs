//! `[search]` and `[user_directory]`: finding messages and people.

use serde::Deserialize;

/// `[search]`: finding messages.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// Whether messages can be searched.
    pub enabled: bool,
    /// The languages (ISO 639-1) in whose words endings do not count.
    pub languages: Vec<String>,
}

impl Default for Search {
    fn default() -> Self {
        Self { enabled: true, languages: vec!["en".to_owned()] }
    }
}

/// `[user_directory]`: finding people.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserDirectory {
    /// Whether everybody finds everybody on the server, and not only those with whom they share a room or who are in a public
    /// one.
    pub show_all_users: bool,
}
