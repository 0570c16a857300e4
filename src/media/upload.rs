//! Receiving files: first the bytes, as they come, into an object; then the row that makes a file of it.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use ruma::{OwnedMxcUri, OwnedUserId};
use tokio::time::timeout;
use tracing::warn;

use super::{
    Media, MediaId,
    files::{Origin, over_quota},
    objects::Writer,
};
use crate::{
    config::UnauthenticatedAccess,
    error::{Error, Kind, Result},
    storage::{
        Batch,
        schema::media::{File, LOOSE_OBJECTS, Loose, ObjectId},
    },
};

/// The longest name, in bytes; file systems take no longer ones.
const MAXIMUM_NAME: usize = 255;
/// The longest media type, in bytes.
const MAXIMUM_CONTENT_TYPE: usize = 255;
/// What a file is of which nothing better is known.
const UNKNOWN_CONTENT_TYPE: &str = "application/octet-stream";

/// What an uploader says of a file.
#[derive(Clone, Debug, Default)]
pub struct NewFile {
    /// Who uploads it; `None` for what the server keeps for itself.
    pub uploader: Option<OwnedUserId>,
    /// The media type.
    pub content_type: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// How many bytes there will be, if that is known.
    pub size: Option<u64>,
}

impl Media {
    /// Keeps what `body` brings as a new file.
    ///
    /// The work goes on when the caller stops waiting, so that it always ends with a file or with nothing.
    ///
    /// # Errors
    ///
    /// `TooLarge`; `Forbidden` if the uploader's quota is used up; `InvalidParam` if the name is too long; `Unknown` if the
    /// body breaks off.
    pub async fn upload<E: Send>(
        &self,
        new: NewFile,
        body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    ) -> Result<OwnedMxcUri> {
        let id = MediaId::random();
        let uri = self.uri(&id);
        self.receive(id, Origin::New, new, body).await.map(|()| uri)
    }

    /// Keeps `bytes` as a new file, as [`Media::upload`] does.
    ///
    /// # Errors
    ///
    /// Those of [`Media::upload`].
    pub async fn keep(&self, new: NewFile, bytes: Bytes) -> Result<OwnedMxcUri> {
        let size = Some(bytes.len() as u64);
        let body = futures_util::stream::iter([Ok::<_, Error>(bytes)]);
        self.upload(NewFile { size, ..new }, body).await
    }

    pub(super) async fn receive<E: Send>(
        &self,
        id: MediaId,
        origin: Origin,
        new: NewFile,
        body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    ) -> Result<()> {
        if new.size.is_some_and(|size| size > self.max_upload_size()) {
            return Err(self.too_large());
        }
        let room = self.room_of(new.uploader.as_deref()).await?;
        if new.size.is_some_and(|size| size > room) {
            return Err(over_quota());
        }
        let now = self.0.clock.millis();
        let name = new.name.as_deref().map(clean_name).transpose()?.filter(|name| !name.is_empty());
        let mut file = File {
            object: rand::random(),
            size: 0,
            content_type: clean_content_type(new.content_type.as_deref()),
            name,
            uploader: new.uploader,
            created_at: now,
            used_at: now,
            unauthenticated: self.0.options.unauthenticated_access == UnauthenticatedAccess::On,
            revision: 0,
        };
        let media = self.clone();
        let work = async move {
            let object = file.object;
            media.loosen(&object, Loose::BeingWritten { boot: media.0.boot }).await?;
            let outcome = async {
                file.size = media.write(&object, body, room).await?;
                media.add(&id, origin, &file).await
            };
            let outcome = outcome.await;
            if outcome.is_err() {
                media.discard(&object).await;
            }
            outcome
        };
        tokio::spawn(work).await.map_err(Error::internal)?
    }

    /// Writes an object of at most `room` bytes and gives its size.
    async fn write<E>(
        &self,
        object: &ObjectId,
        body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        room: u64,
    ) -> Result<u64> {
        let mut writer = self.0.objects.writer(object);
        match self.fill(&mut writer, body, room).await {
            Ok(size) => writer.finish().await.map(|()| size),
            Err(error) => {
                if let Err(cause) = writer.abort().await {
                    warn!(%cause, "an upload that failed could not be aborted");
                }
                Err(error)
            }
        }
    }

    async fn fill<E>(
        &self,
        writer: &mut Writer,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        room: u64,
    ) -> Result<u64> {
        let mut size = 0;
        loop {
            let next = timeout(self.0.still, body.next()).await;
            let next = next.map_err(|_| Kind::Unknown.with("The upload stood still for too long."))?;
            let Some(bytes) = next else { return Ok(size) };
            let bytes = bytes.map_err(|_| Kind::Unknown.with("The upload broke off."))?;
            size += bytes.len() as u64;
            if size > self.max_upload_size() {
                return Err(self.too_large());
            }
            if size > room {
                return Err(over_quota());
            }
            writer.write(bytes).await?;
        }
    }

    fn too_large(&self) -> Error {
        Kind::TooLarge.with(format!("A file can have at most {} bytes.", self.max_upload_size()))
    }

    /// Notes that no row names the object.
    pub(super) async fn loosen(&self, object: &ObjectId, why: Loose) -> Result<()> {
        let mut batch = Batch::new();
        batch.slots(0);
        LOOSE_OBJECTS.put(&mut batch, (object,), &why);
        self.0.store.commit(batch).await.map(drop)
    }

    /// Deletes an object that no row names, or has it deleted later if that fails.
    pub(super) async fn discard(&self, object: &ObjectId) {
        let outcome = match self.0.objects.delete(object).await {
            Ok(()) => {
                let mut batch = Batch::new();
                batch.slots(0);
                LOOSE_OBJECTS.delete(&mut batch, (object,));
                self.0.store.commit(batch).await.map(drop)
            }
            Err(cause) => self.loosen(object, Loose::Discarded).await.and(Err(cause)),
        };
        if let Err(cause) = outcome {
            warn!(%cause, "an object could not be deleted and is tried again later");
        }
    }
}

/// A name without control characters, which have no place in a header or on a screen.
///
/// # Errors
///
/// `InvalidParam` if it is too long.
fn clean_name(name: &str) -> Result<String> {
    match name.len() <= MAXIMUM_NAME {
        true => Ok(name.chars().filter(|c| !c.is_control()).collect()),
        false => Err(Error::invalid(format!("The name of a file can have at most {MAXIMUM_NAME} bytes."))),
    }
}

/// The media type, or the general one for what is none.
fn clean_content_type(content_type: Option<&str>) -> String {
    let is_token = |text: &str| {
        let symbol = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(symbol)
    };
    let is_media_type = |text: &&str| {
        let essence = text.split_once(';').map_or(*text, |(essence, _)| essence).trim();
        let parts = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
        parts && text.len() <= MAXIMUM_CONTENT_TYPE && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    content_type.map(str::trim).filter(is_media_type).unwrap_or(UNKNOWN_CONTENT_TYPE).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_kept_as_it_came() {
        for kept in ["image/png", "img/png", "Text/Plain; charset=utf-8", "application/vnd.a.b+xml"] {
            assert_eq!(clean_content_type(Some(kept)), kept);
        }
    }

    #[test]
    fn what_is_no_media_type_is_unknown() {
        let long = format!("image/{}", "x".repeat(MAXIMUM_CONTENT_TYPE));
        for other in ["", "image", "/png", "image/", "image/png\r\nX: y", "im age/png", "bild/ä", "a/b; c=\u{1}", &long]
        {
            assert_eq!(clean_content_type(Some(other)), UNKNOWN_CONTENT_TYPE, "{other:?}");
        }
        assert_eq!(clean_content_type(None), UNKNOWN_CONTENT_TYPE);
    }

    #[test]
    fn a_name_loses_what_cannot_be_shown_and_nothing_else() {
        assert_eq!(clean_name("a\r\nSet-Cookie: b\0\u{7f}\u{85}.png").unwrap(), "aSet-Cookie: b.png");
        for kept in ["War and Peace.pdf", "🐔", "name;with;semicolons", "\"quoted\"", "../../etc/passwd"] {
            assert_eq!(clean_name(kept).unwrap(), kept);
        }
        assert_eq!(clean_name(&"x".repeat(MAXIMUM_NAME + 1)).unwrap_err().kind, Kind::InvalidParam);
    }
}
