//! The tables of previews of links.

use ruma::OwnedMxcUri;
use serde::{Deserialize, Serialize};

use crate::storage::{Family, Table, TableInfo};

/// What is known of a link, by its address, until it is asked anew.
pub const PREVIEWS: Table<(String,), StoredPreview> = Table::new(165, "previews", Family::Rows);

/// The links by when what is known of them grows old, in milliseconds since the Unix epoch, so that it goes without a search.
pub const PREVIEWS_BY_END: Table<(u64, String), ()> = Table::new(166, "previews_by_end", Family::Rows);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[PREVIEWS.info(), PREVIEWS_BY_END.info()];

/// A preview of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPreview {
    /// The properties as the JSON object that clients get.
    pub properties: String,
    /// Its picture, a file of this server that goes with it.
    pub picture: Option<OwnedMxcUri>,
    /// When it grows old, in milliseconds since the Unix epoch.
    pub ends_at: u64,
}
