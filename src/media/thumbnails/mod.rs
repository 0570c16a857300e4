//! Thumbnails: made when they are first asked for, once, and kept with the picture.

mod render;
mod size;
mod workshop;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use ruma::ServerName;
use tokio::task::spawn_blocking;

pub use self::size::{Fit, Wanted};
pub(super) use self::workshop::Workshop;
use self::{render::Rendered, size::Size};
use super::{Access, File, Media, MediaId};
use crate::{
    error::{Error, Kind, Result},
    storage::{
        Batch,
        schema::media::{FILES, LOOSE_OBJECTS, Loose, THUMBNAILS, Thumbnail},
        until_settled,
    },
};

/// The largest file of which thumbnails are made, in bytes: it is in memory meanwhile.
const MAXIMUM_SOURCE: u64 = 50 << 20;

impl Media {
    /// A thumbnail of the file that a URI names, or the file itself where it is small enough; waits up to `patience` for a
    /// file that was announced.
    ///
    /// # Errors
    ///
    /// Those of [`Media::find`]; `TooLarge` if the picture is too large; `Unknown` if it is none.
    pub async fn thumbnail(
        &self,
        server: &ServerName,
        id: &str,
        access: Access,
        patience: Duration,
        wanted: Wanted,
    ) -> Result<File> {
        let file = self.find(server, id, access, patience).await?;
        let essence = file.content_type.get(.."image/".len()).unwrap_or_default();
        if !essence.eq_ignore_ascii_case("image/") {
            return Err(render::unknown());
        }
        let id = self.own_id(server, id)?;
        let made = self.thumbnail_of(&id, &file, Size::for_wanted(wanted)).await?;
        Ok(match made.object {
            Some(object) => File { object, size: made.size, content_type: made.content_type, ..file },
            None => File { content_type: made.content_type, ..file },
        })
    }

    /// A future of a named type, since making one that should move may come back here for one that does not.
    fn thumbnail_of<'a>(&'a self, id: &'a MediaId, file: &'a File, size: Size) -> BoxFuture<'a, Result<Thumbnail>> {
        async move {
            if let Some(made) = self.made(id, size).await? {
                return Ok(made);
            }
            let (media, id, file) = (self.clone(), id.clone(), file.clone());
            self.0.workshop.make((id.clone(), size), async move { media.make(&id, &file, size).await }).await
        }
        .boxed()
    }

    async fn made(&self, id: &MediaId, size: Size) -> Result<Option<Thumbnail>> {
        let key = (&*self.0.server_name, id.as_str(), &*size.label());
        THUMBNAILS.get(&self.0.store.snapshot(), key).await
    }

    async fn make(&self, id: &MediaId, file: &File, size: Size) -> Result<Thumbnail> {
        let turn = self.0.workshop.turn().await;
        // Somebody else may have made it since this one was asked for.
        if let Some(made) = self.made(id, size).await? {
            return Ok(made);
        }
        let source = self.read_whole(file, MAXIMUM_SOURCE).await.map_err(|error| match error.kind {
            Kind::TooLarge => render::too_large(),
            _ => error,
        })?;
        let max_pixels = self.0.options.max_pixels;
        // A decoder that panics has been given a broken picture.
        let rendered = spawn_blocking(move || render::render(&source, size, max_pixels)).await;
        let rendered = rendered.unwrap_or_else(|_| Err(render::unknown()))?;
        drop(turn);
        match rendered {
            Rendered::Thumbnail { bytes, content_type } => {
                let object = rand::random();
                let made =
                    Thumbnail { object: Some(object), size: bytes.len() as u64, content_type: content_type.to_owned() };
                self.loosen(&object, Loose::BeingWritten { boot: self.0.boot }).await?;
                let outcome = async {
                    let mut writer = self.0.objects.writer(&object);
                    writer.write(Bytes::from(bytes)).await?;
                    writer.finish().await?;
                    self.add_thumbnail(id, size, &made).await
                };
                let outcome = outcome.await;
                if outcome.is_err() {
                    self.discard(&object).await;
                }
                outcome.map(|()| made)
            }
            Rendered::Original { content_type } => {
                let made = Thumbnail { object: None, size: file.size, content_type: content_type.to_owned() };
                self.add_thumbnail(id, size, &made).await.map(|()| made)
            }
            Rendered::Still => {
                let made = self.thumbnail_of(id, file, size.still()).await?;
                // Both rows may name the same object, since they only ever go together.
                self.add_thumbnail(id, size, &made).await.map(|()| made)
            }
        }
    }

    /// # Errors
    ///
    /// `NotFound` if the file was deleted meanwhile.
    async fn add_thumbnail(&self, id: &MediaId, size: Size, made: &Thumbnail) -> Result<()> {
        let key = (&*self.0.server_name, id.as_str());
        until_settled(|| async {
            let file = FILES.get(&self.0.store.snapshot(), key).await?;
            let file = file.ok_or_else(|| Error::not_found("There is no such file."))?;
            let mut batch = Batch::new();
            batch.slots(0);
            FILES.expect(&mut batch, key, Some(&file));
            let revision = file.revision.wrapping_add(1);
            FILES.put(&mut batch, key, &File { revision, ..file });
            THUMBNAILS.put(&mut batch, (key.0, key.1, &*size.label()), made);
            if let Some(object) = made.object {
                LOOSE_OBJECTS.delete(&mut batch, (object,));
            }
            self.0.store.commit(batch).await.map(drop)
        })
        .await
    }
}
