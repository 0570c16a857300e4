//! Handing files out.

use std::{ops::Range, time::Duration};

pub use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream::BoxStream};
use ruma::ServerName;

use super::{File, Media};
use crate::{
    config::UnauthenticatedAccess,
    error::{Error, Kind, Result},
    storage::schema::media::FILES,
};

/// The bytes of a file as they come.
pub type Content = BoxStream<'static, Result<Bytes>>;

/// How somebody asks for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// As a user.
    Authenticated,
    /// As anybody, under the addresses of old.
    Unauthenticated,
}

impl Media {
    /// The file that a URI names.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none, or it cannot be had with this `access`.
    pub async fn find(&self, server: &ServerName, id: &str, access: Access, _patience: Duration) -> Result<File> {
        let refused = || Error::not_found("There is no such file.");
        if access == Access::Unauthenticated && self.0.options.unauthenticated_access == UnauthenticatedAccess::Off {
            return Err(refused());
        }
        let id = self.own_id(server, id)?;
        let file = FILES.get(&self.0.store.snapshot(), (&*self.0.server_name, id.as_str())).await?;
        file.filter(|file| self.admits(file, access)).ok_or_else(refused)
    }

    fn admits(&self, file: &File, access: Access) -> bool {
        access == Access::Authenticated
            || match self.0.options.unauthenticated_access {
                UnauthenticatedAccess::On => true,
                UnauthenticatedAccess::Frozen => file.unauthenticated,
                UnauthenticatedAccess::Off => false,
            }
    }

    /// A part of the bytes of a file.
    pub async fn read(&self, file: &File, range: Range<u64>) -> Result<Content> {
        self.0.objects.read(&file.object, range).await
    }

    /// All bytes of a file, if they are not more than `limit`.
    ///
    /// # Errors
    ///
    /// `TooLarge` if they are.
    pub async fn read_whole(&self, file: &File, limit: u64) -> Result<Vec<u8>> {
        if file.size > limit {
            return Err(Kind::TooLarge.with("The file is too large for this."));
        }
        let mut whole = Vec::with_capacity(file.size as usize);
        let mut content = self.read(file, 0..file.size).await?;
        while let Some(bytes) = content.try_next().await? {
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }
}
