//! What a link leads to, so that clients can show it without following the link: "URL previews" in the content repository of
//! the client-server specification.
//!
//! The server fetches the page instead of the client, through the guarded door to other servers. What it found is kept for a
//! while, with the picture as a file of its own, and people who look at the same link at once wait for one request.

mod fetch;
mod oembed;
mod page;
mod picture;
mod text;

use std::{sync::Arc, time::Duration};

use quick_cache::sync::Cache;
use serde_json::{Map, Value, value::RawValue};
use tokio::sync::Semaphore;
use tracing::warn;

use self::fetch::Fetched;
use super::{Media, NewFile};
use crate::{
    clock::Clock,
    config,
    error::{Error, Kind, Result},
    outgoing::{Outgoing, Url},
    shutdown::Shutdown,
    storage::{
        Batch, Direction, KeyRange, Store,
        schema::previews::{PREVIEWS, PREVIEWS_BY_END, StoredPreview},
        until_settled,
    },
};

/// The longest address of which there are previews, in bytes.
const LONGEST_ADDRESS: usize = 2_000;
/// How many pages are fetched at the same time: each may be in memory with its picture, as large as allowed.
const FETCHED_AT_ONCE: usize = 16;
/// How many previews are kept in memory.
const CACHED: usize = 500;
/// How often old previews are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// How many old previews one commit removes.
const SWEPT_AT_ONCE: usize = 100;

/// A cheap-clone service over previews of links.
#[derive(Clone)]
pub struct Previews {
    store: Store,
    clock: Clock,
    media: Media,
    outgoing: Outgoing,
    options: config::Previews,
    cache: Arc<Cache<String, Arc<StoredPreview>>>,
    turns: Arc<Semaphore>,
}

impl Previews {
    /// The previews in `store`, with their pictures in `media`.
    pub fn new(store: Store, clock: Clock, media: Media, outgoing: Outgoing, options: config::Previews) -> Self {
        let (cache, turns) = (Arc::new(Cache::new(CACHED)), Arc::new(Semaphore::new(FETCHED_AT_ONCE)));
        Self { store, clock, media, outgoing, options, cache, turns }
    }

    /// What the link `url` leads to: OpenGraph properties as a JSON object, with the picture as an `mxc://` URI.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if it is no link to a page, `Forbidden` if this server does not follow it, `TooLarge` or `Unknown` if the
    /// page cannot be had.
    pub async fn of(&self, url: &str) -> Result<Box<RawValue>> {
        if !self.options.enabled {
            return Err(Error::forbidden("This server makes no previews of links."));
        }
        let url = address(url)?;
        let preview = loop {
            match self.cache.get_value_or_guard_async(url.as_str()).await {
                Ok(preview) if preview.ends_at > self.clock.millis() => break preview,
                Ok(_) => drop(self.cache.remove(url.as_str())),
                Err(guard) => {
                    let (previews, url) = (self.clone(), url.clone());
                    // It goes on when the client stops waiting: a picture must not be kept without its preview, which is
                    // what removes it.
                    let work = tokio::spawn(async move { previews.stored_or_fetched(&url).await });
                    let preview = Arc::new(work.await.map_err(Error::internal)??);
                    let _ = guard.insert(preview.clone());
                    break preview;
                }
            }
        };
        RawValue::from_string(preview.properties.clone()).map_err(Error::internal)
    }

    async fn stored_or_fetched(&self, url: &Url) -> Result<StoredPreview> {
        let stored = PREVIEWS.get(&self.store.snapshot(), (url.as_str(),)).await?;
        if let Some(preview) = stored.filter(|preview| preview.ends_at > self.clock.millis()) {
            return Ok(preview);
        }
        let _turn = self.turns.acquire().await.map_err(Error::internal)?;
        let fetched = fetch::fetch(&self.outgoing, url, &self.options).await?;
        let preview = self.with_picture(fetched).await?;
        self.keep(url, &preview).await.map(|()| preview)
    }

    /// Makes a preview of a page, its picture a file of this server.
    async fn with_picture(&self, fetched: Fetched) -> Result<StoredPreview> {
        let mut properties: Map<String, Value> =
            fetched.properties.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        properties.retain(|name, _| name != "og:image" && !name.starts_with("og:image:"));
        let mut kept = None;
        if let Some(picture) = fetched.picture {
            let size = picture.bytes.len();
            let new = NewFile { content_type: Some(picture.content_type.to_owned()), ..NewFile::default() };
            let uri = self.media.keep(new, picture.bytes.into()).await?;
            properties.insert("og:image".to_owned(), uri.as_str().into());
            properties.insert("og:image:type".to_owned(), picture.content_type.into());
            properties.insert("og:image:width".to_owned(), picture.width.into());
            properties.insert("og:image:height".to_owned(), picture.height.into());
            properties.insert("matrix:image:size".to_owned(), size.into());
            kept = Some(uri);
        }
        let ends_at = self.clock.millis() + self.options.keep_for.as_millis() as u64;
        let properties = serde_json::to_string(&properties).map_err(Error::internal)?;
        Ok(StoredPreview { properties, picture: kept, ends_at })
    }

    /// Stores a preview in the place of an older one, whose picture goes.
    async fn keep(&self, url: &Url, preview: &StoredPreview) -> Result<()> {
        let url = url.as_str();
        let replaced = until_settled(|| async {
            let before = PREVIEWS.get(&self.store.snapshot(), (url,)).await?;
            let mut batch = Batch::new();
            batch.slots(0);
            PREVIEWS.expect(&mut batch, (url,), before.as_ref());
            if let Some(before) = &before {
                PREVIEWS_BY_END.delete(&mut batch, (before.ends_at, url));
            }
            PREVIEWS.put(&mut batch, (url,), preview);
            PREVIEWS_BY_END.put(&mut batch, (preview.ends_at, url), &());
            self.store.commit(batch).await.map(|_| before)
        })
        .await?;
        self.discard_picture(replaced).await
    }

    async fn discard_picture(&self, of: Option<StoredPreview>) -> Result<()> {
        match of.and_then(|preview| preview.picture) {
            Some(picture) => self.media.remove(&picture).await,
            None => Ok(()),
        }
    }

    /// Removes previews as they grow old, with their pictures, until the server stops.
    pub async fn remove_old_ones(self, shutdown: Shutdown) {
        while tokio::time::timeout(SWEEP_INTERVAL, shutdown.begun()).await.is_err() {
            if let Err(cause) = self.sweep().await {
                warn!(%cause, "old previews of links could not be removed");
            }
        }
    }

    async fn sweep(&self) -> Result<()> {
        loop {
            let (snapshot, now) = (self.store.snapshot(), self.clock.millis());
            let range = KeyRange::before((now,));
            let rows = PREVIEWS_BY_END.scan(&snapshot, range, Direction::Forward, SWEPT_AT_ONCE).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for ((ends_at, url), ()) in rows {
                // A newer one may stand there already.
                let old = PREVIEWS.get(&snapshot, (&url,)).await?.filter(|preview| preview.ends_at == ends_at);
                let mut batch = Batch::new();
                batch.slots(0);
                PREVIEWS_BY_END.delete(&mut batch, (ends_at, &url));
                if let Some(old) = &old {
                    PREVIEWS.expect(&mut batch, (&url,), Some(old));
                    PREVIEWS.delete(&mut batch, (&url,));
                }
                match self.store.commit(batch).await {
                    Ok(_) => self.discard_picture(old).await?,
                    // Somebody looked at the link at this moment; it is new again.
                    Err(error) if error.kind == Kind::Conflict => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

/// The address of a page, without the part that only browsers look at.
fn address(url: &str) -> Result<Url> {
    if url.len() > LONGEST_ADDRESS {
        return Err(Error::invalid("The url is longer than 2,000 bytes."));
    }
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let mut url =
        parsed.ok_or_else(|| Error::invalid("The url must be a link that starts with http:// or https://."))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid("The url holds a user name or a password, which this server does not pass on."));
    }
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests;
