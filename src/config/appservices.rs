//! `[appservices]`: where the registrations of bridges and bots lie.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::units;

/// `[appservices]`: where the registrations of bridges and bots lie.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Appservices {
    /// The folder whose `.yaml` and `.yml` files are the registrations; without it there are none.
    pub folder: Option<PathBuf>,
    /// How long somebody waits who needs a service's answer.
    #[serde(deserialize_with = "units::duration")]
    pub answer_timeout: Duration,
}

impl Default for Appservices {
    fn default() -> Self {
        Self { folder: None, answer_timeout: Duration::from_secs(30) }
    }
}

impl Appservices {
    /// Has a relative path start at `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.folder = self.folder.take().map(|path| folder.join(path));
    }
}
