//! The rows that make a file of an object that is whole.

use super::{Media, MediaId};
use crate::{
    error::{Kind, Result},
    storage::{
        Batch,
        schema::media::{FILES, File, LOOSE_OBJECTS},
        until_settled,
    },
};

/// Where the URI of a file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was made for it just now.
    New,
    /// It was announced before.
    Announced,
}

impl Media {
    /// Makes a file of an object that is whole, and wakes those who wait for it.
    ///
    /// # Errors
    ///
    /// `CannotOverwriteMedia` if the URI has a file already; `NotFound` if its announcement is gone.
    pub(super) async fn add(&self, id: &MediaId, origin: Origin, file: &File) -> Result<()> {
        until_settled(|| self.try_to_add(id, origin, file)).await?;
        self.0.arrivals.wake(id);
        Ok(())
    }

    async fn try_to_add(&self, id: &MediaId, origin: Origin, file: &File) -> Result<()> {
        let key = (&*self.0.server_name, id.as_str());
        let snapshot = self.0.store.snapshot();
        if FILES.exists(&snapshot, key).await? {
            return Err(Kind::CannotOverwriteMedia.with("This file has been uploaded already."));
        }
        let mut batch = Batch::new();
        batch.slots(0);
        if origin == Origin::Announced {
            self.end_announcement(&mut batch, &snapshot, id).await?;
        }
        FILES.expect(&mut batch, key, None);
        FILES.put(&mut batch, key, file);
        LOOSE_OBJECTS.delete(&mut batch, (file.object,));
        self.0.store.commit(batch).await.map(drop)
    }
}
