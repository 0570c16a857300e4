//! Where the bytes are: objects in a folder or in S3, each under a random name that no client has a say in.

use std::{
    fmt, fs, io,
    ops::Range,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, RetryConfig, aws::AmazonS3Builder,
    buffered::BufWriter, local::LocalFileSystem, path::Path,
};
use tokio::io::AsyncWriteExt as _;

use crate::{
    config,
    error::{Error, Result},
    storage::schema::media::ObjectId,
};

/// How much of a file is in memory while it is written to a folder.
const FOLDER_PART: usize = 1 << 20;
/// Likewise for S3, which takes no smaller parts.
const S3_PART: usize = 5 << 20;
/// How many parts are on their way at the same time.
const PARTS_UNDER_WAY: usize = 2;
/// How long a service may keep silent.
const PATIENCE: Duration = Duration::from_secs(20);

/// The object store.
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    part: usize,
    /// The folder, if it is one.
    folder: Option<PathBuf>,
}

impl Objects {
    /// Objects in `folder`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Says why it cannot be used.
    pub fn in_folder(folder: &FilePath) -> Result<Self> {
        let unusable = |cause: &dyn fmt::Display| {
            Error::internal(format_args!("the folder {} cannot be used: {cause}", folder.display()))
        };
        fs::create_dir_all(folder).map_err(|cause| unusable(&cause))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|cause| unusable(&cause))?.with_fsync(true);
        Ok(Self { store: Arc::new(store), part: FOLDER_PART, folder: Some(folder.to_owned()) })
    }

    /// Objects in a bucket, which must be there.
    ///
    /// # Errors
    ///
    /// Says which choice cannot be met. Whether the bucket can be reached shows when it is used.
    pub fn in_s3(chosen: &config::S3) -> Result<Self> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&chosen.bucket)
            .with_region(&chosen.region)
            .with_access_key_id(&chosen.access_key)
            .with_secret_access_key(chosen.secret_key.reveal())
            .with_virtual_hosted_style_request(!chosen.path_style)
            .with_retry(RetryConfig { max_retries: 3, retry_timeout: PATIENCE, ..RetryConfig::default() })
            // A large object may take any time as long as something arrives.
            .with_client_options(
                ClientOptions::new().with_connect_timeout(PATIENCE).with_timeout_disabled().with_read_timeout(PATIENCE),
            )
            // Not every service that calls itself compatible has the request that deletes many objects at once.
            .with_disable_bulk_delete(true);
        if let Some(endpoint) = &chosen.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let store = builder.build().map_err(|cause| Error::invalid(format!("[media] s3: {cause}")))?;
        Ok(Self { store: Arc::new(store), part: S3_PART, folder: None })
    }

    /// Starts to write an object.
    pub fn writer(&self, object: &ObjectId) -> Writer {
        let writer = BufWriter::with_capacity(self.store.clone(), path(object), self.part);
        Writer(writer.with_max_concurrency(PARTS_UNDER_WAY))
    }

    /// The bytes of a part of an object.
    ///
    /// # Errors
    ///
    /// `NotFound` if somebody else removed the object.
    pub async fn read(&self, object: &ObjectId, range: Range<u64>) -> Result<BoxStream<'static, Result<Bytes>>> {
        if range.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.store.get_opts(&path(object), options).await.map_err(failure)?;
        Ok(found.into_stream().map_err(failure).boxed())
    }

    /// Deletes an object, whether or not it is there.
    ///
    /// # Errors
    ///
    /// If it may still be there.
    pub async fn delete(&self, object: &ObjectId) -> Result<()> {
        let path = path(object);
        if let Some(folder) = &self.folder {
            // What a crash interrupted is in a file beside the place where the object would be.
            let unfinished = folder.join(format!("{path}#1"));
            match tokio::fs::remove_file(&unfinished).await {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(Error::internal(cause)),
                _ => {}
            }
        }
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(Error::internal(cause)),
        }
    }
}

/// An object that is being written. It is not there before [`Writer::finish`].
pub struct Writer(BufWriter);

impl Writer {
    /// Adds bytes; waits while too many are on their way.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.0.put(bytes).await.map_err(Error::internal)
    }

    /// Completes the object, which is durable then.
    pub async fn finish(mut self) -> Result<()> {
        self.0.shutdown().await.map_err(Error::internal)
    }

    /// Gives up, and tells the store so.
    pub async fn abort(mut self) -> Result<()> {
        self.0.abort().await.map_err(Error::internal)
    }
}

/// The place of an object. The first letters are a folder, since file systems are slow with huge ones.
fn path(object: &ObjectId) -> Path {
    let name = format!("{:032x}", u128::from_be_bytes(*object));
    Path::from_iter([&name[..2], &name[2..]])
}

fn failure(cause: object_store::Error) -> Error {
    match cause {
        object_store::Error::NotFound { path, .. } => {
            tracing::warn!(path, "the bytes of a file are gone");
            Error::not_found("The content of this file is gone.")
        }
        cause => Error::internal(cause),
    }
}
