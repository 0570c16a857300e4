//! Handing files out.

use std::{ops::Range, pin::pin, time::Duration};

pub use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream::BoxStream};
use ruma::ServerName;
use tokio::time::timeout;

use super::{File, Media, MediaId};
use crate::{
    config::UnauthenticatedAccess,
    error::{Error, Kind, Result},
    storage::schema::media::FILES,
};

/// The longest time that anybody waits for a file, whatever they ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

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
    /// The file that a URI names; waits up to `patience` for one that was announced.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none, or it cannot be had with this `access`; `NotYetUploaded` if it did not come in time.
    pub async fn find(&self, server: &ServerName, id: &str, access: Access, patience: Duration) -> Result<File> {
        let refused = || Error::not_found("There is no such file.");
        let choice = self.0.options.unauthenticated_access;
        if access == Access::Unauthenticated && choice == UnauthenticatedAccess::Off {
            return Err(refused());
        }
        let id = self.own_id(server, id)?;
        let found = match self.file(&id).await? {
            Some(file) => Some(file),
            // What is not there yet is one of those that are frozen when it comes.
            None if access == Access::Unauthenticated && choice != UnauthenticatedAccess::On => None,
            None => self.wait_for(&id, patience.min(LONGEST_WAIT)).await?,
        };
        let file = found.filter(|file| self.admits(file, access)).ok_or_else(refused)?;
        self.note_use(&id, &file);
        Ok(file)
    }

    /// A file that may have been announced, when it comes.
    async fn wait_for(&self, id: &MediaId, patience: Duration) -> Result<Option<File>> {
        if !self.is_announced(id).await? {
            // It may have come just now, which ended the announcement.
            return self.file(id).await;
        }
        // Who waits looks again, so as not to miss what came before they began to.
        let arrival = self.0.arrivals.watch(id);
        let mut arrived = pin!(arrival.arrived());
        arrived.as_mut().enable();
        if let Some(file) = self.file(id).await? {
            return Ok(Some(file));
        }
        let not_yet = || Kind::NotYetUploaded.with("This file has been announced and not been uploaded yet.");
        tokio::select! {
            came = timeout(patience, arrived) => came.map_err(|_| not_yet())?,
            () = self.0.shutdown.begun() => return Err(not_yet()),
        }
        self.file(id).await
    }

    async fn file(&self, id: &MediaId) -> Result<Option<File>> {
        FILES.get(&self.0.store.snapshot(), (&*self.0.server_name, id.as_str())).await
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
