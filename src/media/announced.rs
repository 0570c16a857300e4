//! Files that are announced before they are there, so that a message can name them while they are being uploaded.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use ruma::{MilliSecondsSinceUnixEpoch, OwnedMxcUri, ServerName, UInt, UserId};

use super::{Media, MediaId, NewFile, files::Origin};
use crate::{
    error::{Error, Kind, Result},
    storage::{
        Batch, Direction, KeyRange, Snapshot,
        schema::media::{ANNOUNCED, ANNOUNCED_BY_END, ANNOUNCEMENTS, Announced, Announcement, FILES},
        until_settled,
    },
};

/// A URI for a file that is to come.
#[derive(Clone, Debug)]
pub struct NewAnnouncement {
    /// The URI.
    pub uri: OwnedMxcUri,
    /// When its upload must have begun.
    pub expires_at: MilliSecondsSinceUnixEpoch,
}

impl Media {
    /// Makes a URI to which `user` will upload.
    ///
    /// # Errors
    ///
    /// `LimitExceeded` if the user has announced as many files as allowed and uploaded none of them.
    pub async fn announce(&self, user: &UserId) -> Result<NewAnnouncement> {
        until_settled(|| self.try_to_announce(user)).await
    }

    async fn try_to_announce(&self, user: &UserId) -> Result<NewAnnouncement> {
        let now = self.0.clock.millis();
        let snapshot = self.0.store.snapshot();
        let rows = ANNOUNCEMENTS.scan(&snapshot, KeyRange::prefix((user,)), Direction::Forward, usize::MAX).await?;
        let taken = |number: &u32| rows.iter().any(|((_, n), row)| n == number && row.expires_at > now);
        let Some(number) = (0..self.0.options.max_announced).find(|number| !taken(number)) else {
            let first = rows.iter().map(|(_, row)| row.expires_at).filter(|end| *end > now).min().unwrap_or(now);
            return Err(Kind::LimitExceeded { retry_after: Duration::from_millis(first - now) }
                .with("You have announced too many files: upload some of them first."));
        };
        let id = MediaId::random();
        let expires_at = now + self.0.options.announced_for.as_millis() as u64;
        let before = rows.iter().find(|((_, n), _)| *n == number).map(|(_, row)| row);
        let mut batch = Batch::new();
        batch.slots(0);
        ANNOUNCEMENTS.expect(&mut batch, (user, number), before);
        ANNOUNCEMENTS.put(&mut batch, (user, number), &Announcement { id: id.as_str().to_owned(), expires_at });
        ANNOUNCED.put(&mut batch, (id.as_str(),), &Announced { by: user.to_owned(), number, expires_at });
        ANNOUNCED_BY_END.put(&mut batch, (expires_at, id.as_str()), &());
        self.0.store.commit(batch).await?;
        let expires_at = MilliSecondsSinceUnixEpoch(UInt::new_saturating(expires_at));
        Ok(NewAnnouncement { uri: self.uri(&id), expires_at })
    }

    /// Keeps what `body` brings as a file that its uploader announced, as [`Media::upload`] does.
    ///
    /// # Errors
    ///
    /// Those of [`Media::upload`]; `NotFound` if it was not announced or has expired; `Forbidden` if somebody else announced
    /// it; `CannotOverwriteMedia` if it is there already.
    pub async fn upload_announced<E: Send>(
        &self,
        server: &ServerName,
        id: &str,
        new: NewFile,
        body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    ) -> Result<()> {
        let id = self.own_id(server, id)?;
        let somebody_elses = || Error::forbidden("Somebody else announced this file.");
        let snapshot = self.0.store.snapshot();
        if let Some(file) = FILES.get(&snapshot, (&*self.0.server_name, id.as_str())).await? {
            return Err(match file.uploader == new.uploader {
                true => Kind::CannotOverwriteMedia.with("This file has been uploaded already."),
                false => somebody_elses(),
            });
        }
        match ANNOUNCED.get(&snapshot, (id.as_str(),)).await? {
            Some(announced) if Some(&announced.by) != new.uploader.as_ref() => Err(somebody_elses()),
            Some(announced) if announced.expires_at > self.0.clock.millis() => {
                self.receive(id, Origin::Announced, new, body).await
            }
            _ => Err(unknown()),
        }
    }

    /// Whether a file was announced that may still come.
    pub(super) async fn is_announced(&self, id: &MediaId) -> Result<bool> {
        let announced = ANNOUNCED.get(&self.0.store.snapshot(), (id.as_str(),)).await?;
        Ok(announced.is_some_and(|announced| announced.expires_at > self.0.clock.millis()))
    }

    /// Adds to `batch` that an announced file has come.
    ///
    /// # Errors
    ///
    /// `NotFound` if the announcement is gone.
    pub(super) async fn end_announcement(&self, batch: &mut Batch, at: &Snapshot, id: &MediaId) -> Result<()> {
        let announced = ANNOUNCED.get(at, (id.as_str(),)).await?.ok_or_else(unknown)?;
        ANNOUNCED.expect(batch, (id.as_str(),), Some(&announced));
        remove_announcement(batch, at, id.as_str(), &announced).await
    }

    /// Forgets a file that was announced and did not come by `end`.
    pub(super) async fn forget_announced(&self, end: u64, id: &str) -> Result<()> {
        until_settled(|| async {
            let snapshot = self.0.store.snapshot();
            let mut batch = Batch::new();
            batch.slots(0);
            match ANNOUNCED.get(&snapshot, (id,)).await? {
                Some(announced) => remove_announcement(&mut batch, &snapshot, id, &announced).await?,
                None => ANNOUNCED_BY_END.delete(&mut batch, (end, id)),
            }
            self.0.store.commit(batch).await.map(drop)
        })
        .await
    }
}

/// Adds to `batch` that the rows of an announcement go, but for the number that another one has by now.
async fn remove_announcement(batch: &mut Batch, at: &Snapshot, id: &str, announced: &Announced) -> Result<()> {
    ANNOUNCED.delete(batch, (id,));
    ANNOUNCED_BY_END.delete(batch, (announced.expires_at, id));
    let key = (&announced.by, announced.number);
    if let Some(row) = ANNOUNCEMENTS.get(at, key).await?.filter(|row| row.id == id) {
        ANNOUNCEMENTS.expect(batch, key, Some(&row));
        ANNOUNCEMENTS.delete(batch, key);
    }
    Ok(())
}

fn unknown() -> Error {
    Error::not_found("This file was not announced, or too long ago.")
}
