//! Files and pictures: their bytes in an object store, and what is known of them in tables.

mod announced;
mod arrivals;
mod download;
mod files;
mod media_id;
mod objects;
mod previews;
mod remove;
mod sweep;
mod thumbnails;
mod upload;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc, time::Duration};

use ruma::{OwnedMxcUri, OwnedServerName, ServerName};

pub use self::{
    announced::NewAnnouncement,
    download::{Access, Bytes, Content},
    media_id::MediaId,
    previews::Previews,
    thumbnails::{Fit, Wanted},
    upload::NewFile,
};
use self::{arrivals::Arrivals, objects::Objects, thumbnails::Workshop};
pub use crate::storage::schema::media::File;
use crate::{
    clock::Clock,
    config,
    error::{Error, Result},
    shutdown::Shutdown,
    storage::Store,
};

/// How long an upload may stand still before it counts as broken off.
const STILL: Duration = Duration::from_secs(60);

/// A cheap-clone service over all files.
#[derive(Clone)]
pub struct Media(Arc<Parts>);

struct Parts {
    store: Store,
    objects: Objects,
    clock: Clock,
    server_name: OwnedServerName,
    options: config::Media,
    /// Who waits for which file.
    arrivals: Arrivals,
    /// Where thumbnails are made.
    workshop: Workshop,
    shutdown: Shutdown,
    /// How long an upload may stand still.
    still: Duration,
    /// A number that no other run of the server has.
    boot: u64,
}

impl Media {
    /// The files in `store`, with their bytes in `folder` unless the operator chose another place.
    ///
    /// # Errors
    ///
    /// Says why that place cannot be used.
    pub fn new(
        store: Store,
        clock: Clock,
        shutdown: Shutdown,
        server_name: OwnedServerName,
        options: config::Media,
        folder: &Path,
    ) -> Result<Self> {
        let objects = match options.s3() {
            Some(s3) => Objects::in_s3(&s3)?,
            None => Objects::in_folder(folder)?,
        };
        Ok(Self(Arc::new(Parts {
            store,
            objects,
            clock,
            server_name,
            options,
            arrivals: Arrivals::default(),
            workshop: Workshop::new(),
            shutdown,
            still: STILL,
            boot: rand::random(),
        })))
    }

    /// The largest file that can be uploaded, in bytes.
    pub fn max_upload_size(&self) -> u64 {
        self.0.options.max_upload_size
    }

    fn uri(&self, id: &MediaId) -> OwnedMxcUri {
        format!("mxc://{}/{id}", self.0.server_name).into()
    }

    /// The id in a URI of this server.
    ///
    /// # Errors
    ///
    /// `NotFound` for files of other servers, and for what is no id.
    fn own_id(&self, server: &ServerName, id: &str) -> Result<MediaId> {
        match *server == *self.0.server_name {
            true => MediaId::parse(id),
            false => Err(Error::not_found("This server has no files of other servers.")),
        }
    }
}
