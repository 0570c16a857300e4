//! The rows that make a file of an object that is whole.

use std::time::Duration;

use ruma::UserId;
use tracing::debug;

use super::{Media, MediaId};
use crate::{
    error::{Error, Kind, Result},
    storage::{
        Batch, Snapshot,
        schema::media::{FILES, FILES_BY_USE, File, LOOSE_OBJECTS, UPLOADED},
        until_settled,
    },
};

/// How exactly it is kept when files were last asked for; the time they are kept for may ask for more.
const USE_KEPT_TO: Duration = Duration::from_secs(24 * 3600);

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
    /// `CannotOverwriteMedia` if the URI has a file already; `NotFound` if its announcement is gone; `Forbidden` if the
    /// uploader's quota is used up.
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
        if let Some(uploader) = &file.uploader {
            self.charge(&mut batch, &snapshot, uploader, file.size).await?;
        }
        FILES.expect(&mut batch, key, None);
        FILES.put(&mut batch, key, file);
        FILES_BY_USE.put(&mut batch, (file.used_at, key.0, key.1), &());
        LOOSE_OBJECTS.delete(&mut batch, (file.object,));
        self.0.store.commit(batch).await.map(drop)
    }

    /// How many more bytes a user may upload.
    pub(super) async fn room_of(&self, uploader: Option<&UserId>) -> Result<u64> {
        let (Some(user), Some(quota)) = (uploader, self.0.options.quota_per_user) else { return Ok(u64::MAX) };
        let uploaded = UPLOADED.get(&self.0.store.snapshot(), (user,)).await?;
        Ok(quota.saturating_sub(uploaded.unwrap_or(0)))
    }

    async fn charge(&self, batch: &mut Batch, at: &Snapshot, user: &UserId, size: u64) -> Result<()> {
        let before = UPLOADED.get(at, (user,)).await?;
        let after = before.unwrap_or(0).saturating_add(size);
        if self.0.options.quota_per_user.is_some_and(|quota| after > quota) {
            return Err(over_quota());
        }
        UPLOADED.expect(batch, (user,), before.as_ref());
        UPLOADED.put(batch, (user,), &after);
        Ok(())
    }

    /// Notes in the background that somebody asked for a file, if that is not known well enough.
    pub(super) fn note_use(&self, id: &MediaId, file: &File) {
        let Some(keep_for) = self.0.options.keep_for else { return };
        let (now, exactly) = (self.0.clock.millis(), USE_KEPT_TO.min(keep_for / 8));
        if now < file.used_at.saturating_add(exactly.as_millis() as u64) {
            return;
        }
        let (media, id, file) = (self.clone(), id.clone(), file.clone());
        tokio::spawn(async move {
            let key = (&*media.0.server_name, id.as_str());
            let mut batch = Batch::new();
            batch.slots(0);
            FILES.expect(&mut batch, key, Some(&file));
            FILES_BY_USE.delete(&mut batch, (file.used_at, key.0, key.1));
            FILES_BY_USE.put(&mut batch, (now, key.0, key.1), &());
            FILES.put(&mut batch, key, &File { used_at: now, ..file });
            if let Err(cause) = media.0.store.commit(batch).await {
                // The next who asks for it tries again, and mostly somebody else just did.
                debug!(%cause, "it was not noted that a file is used");
            }
        });
    }
}

/// The uploader has had their share.
pub(super) fn over_quota() -> Error {
    Error::forbidden("You have uploaded as much as this server allows each user.")
}
