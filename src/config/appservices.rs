//! `[appservices]`: where the registrations of bridges and bots lie.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[appservices]`: where the registrations of bridges and bots lie.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Appservices {
    /// The folder whose `.yaml` and `.yml` files are the registrations; without it there are none.
    pub folder: Option<PathBuf>,
}

impl Appservices {
    /// Has a relative path start at `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.folder = self.folder.take().map(|path| folder.join(path));
    }
}
