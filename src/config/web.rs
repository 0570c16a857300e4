//! `[web]`: the web client that the server hands out beside the API.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[web]`: the web client that the server hands out beside the API.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    /// The folder whose files are served at `/`, with an `index.html` in it; without it there is no web client.
    pub client_dir: Option<PathBuf>,
}

impl Web {
    /// Has a relative path start at `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.client_dir = self.client_dir.take().map(|path| folder.join(path));
    }
}
