//! Removing files with everything that belongs to them.

use ruma::{MxcUri, ServerName, UserId};

use super::Media;
use crate::{
    error::Result,
    storage::{
        Batch, Direction, KeyRange, Snapshot,
        schema::media::{FILES, FILES_BY_USE, File, LOOSE_OBJECTS, Loose, ObjectId, THUMBNAILS, UPLOADED},
        until_settled,
    },
};

/// Which files are removed.
#[derive(Clone, Copy, Debug)]
enum Which {
    Any,
    /// Those that nobody asked for after this.
    UnusedSince(u64),
}

impl Media {
    /// Removes the file of this server that `uri` names, if there is one.
    pub(super) async fn remove(&self, uri: &MxcUri) -> Result<()> {
        let Ok((server, id)) = uri.parts() else { return Ok(()) };
        self.remove_if(server, id, Which::Any).await
    }

    /// Removes a file unless somebody asked for it after `used_at`.
    pub(super) async fn remove_unused(&self, used_at: u64, server: &ServerName, id: &str) -> Result<()> {
        self.remove_if(server, id, Which::UnusedSince(used_at)).await
    }

    async fn remove_if(&self, server: &ServerName, id: &str, which: Which) -> Result<()> {
        let objects = until_settled(|| self.try_to_remove(server, id, which)).await?;
        for object in objects {
            self.discard(&object).await;
        }
        Ok(())
    }

    /// Removes the rows, and gives the objects that nothing names any more.
    async fn try_to_remove(&self, server: &ServerName, id: &str, which: Which) -> Result<Vec<ObjectId>> {
        let snapshot = self.0.store.snapshot();
        let mut batch = Batch::new();
        batch.slots(0);
        let mut file = FILES.get(&snapshot, (server, id)).await?;
        if let Which::UnusedSince(used_at) = which {
            FILES_BY_USE.delete(&mut batch, (used_at, server, id));
            file = file.filter(|file| file.used_at == used_at);
        }
        let mut objects = Vec::new();
        if let Some(file) = file {
            objects = remove_rows(&mut batch, &snapshot, (server, id), &file).await?;
        }
        self.0.store.commit(batch).await.map(|_| objects)
    }
}

/// Adds to `batch` that the rows of a file go, and gives its objects, which become loose.
async fn remove_rows(batch: &mut Batch, at: &Snapshot, key: (&ServerName, &str), file: &File) -> Result<Vec<ObjectId>> {
    // Who adds a thumbnail changes the row of the file, so that none comes in between.
    FILES.expect(batch, key, Some(file));
    FILES.delete(batch, key);
    FILES_BY_USE.delete(batch, (file.used_at, key.0, key.1));
    if let Some(user) = &file.uploader {
        refund(batch, at, user, file.size).await?;
    }
    let thumbnails = THUMBNAILS.scan(at, KeyRange::prefix(key), Direction::Forward, usize::MAX).await?;
    THUMBNAILS.delete_range(batch, KeyRange::prefix(key));
    let thumbnails = thumbnails.into_iter().filter_map(|(_, thumbnail)| thumbnail.object);
    let objects: Vec<_> = [file.object].into_iter().chain(thumbnails).collect();
    for object in &objects {
        LOOSE_OBJECTS.put(batch, (object,), &Loose::Discarded);
    }
    Ok(objects)
}

/// Adds to `batch` that a user has so much less uploaded.
async fn refund(batch: &mut Batch, at: &Snapshot, user: &UserId, size: u64) -> Result<()> {
    let before = UPLOADED.get(at, (user,)).await?;
    UPLOADED.expect(batch, (user,), before.as_ref());
    UPLOADED.put(batch, (user,), &before.unwrap_or(0).saturating_sub(size));
    Ok(())
}
