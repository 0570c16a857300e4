//! The engine on disk: RocksDB behind the one writer, with every read from a snapshot.

mod reader;
mod tuning;

use std::{fs::DirBuilder, path::Path, pin::Pin, sync::Arc, time::Duration};

use ::rocksdb::{ColumnFamily, DBWithThreadMode, ErrorKind, SingleThreaded, WriteBatch, WriteOptions};
use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use self::reader::{Found, Reader, Scanned, Tier};
use super::{
    Batch, Codec, Commit, Compact, Durability, Family, Position, StorageOptions,
    batch::Operation,
    engine::{Engine, Read, Rows, Scan, View},
    schema::{META, NEWEST_POSITION},
    writer::{Backend, Writer},
};
use crate::error::{Error, Result};

/// Column families are all named when the database is opened and never change, so their map needs no lock.
type Database = DBWithThreadMode<SingleThreaded>;

/// A scan that goes on for longer than this many rows does so on a blocking thread, even when all of it is in memory.
const INLINE_ROWS: usize = 1_000;

/// The engine: the newest snapshot, which the writer replaces after every group.
pub(super) struct RocksDb {
    visible: Arc<ArcSwap<DiskView>>,
    writer: Writer,
}

impl RocksDb {
    /// Opens the database in `folder`, creating both if they are not there.
    pub(super) fn open(folder: &Path, options: &StorageOptions) -> Result<Self> {
        create_folder(folder)?;
        let database = Arc::new(open_database(folder, options)?);
        let position = newest_position(&database)?;
        let visible = Arc::new(ArcSwap::from_pointee(DiskView::new(&database, position)));
        let backend = DiskBackend::new(database, Arc::clone(&visible), options.durability);
        Ok(Self { visible, writer: Writer::start(backend, position)? })
    }
}

impl Engine for RocksDb {
    fn snapshot(&self) -> Arc<dyn View> {
        self.visible.load_full()
    }

    fn position(&self) -> Position {
        self.visible.load().position
    }

    fn commit(&self, batch: Batch) -> Commit {
        self.writer.commit(batch)
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.writer.close())
    }
}

/// A snapshot of the database and the newest position in it.
struct DiskView {
    position: Position,
    /// Shared with reads that went to a blocking thread.
    reader: Arc<Reader>,
}

impl DiskView {
    fn new(database: &Arc<Database>, position: Position) -> Self {
        Self { position, reader: Arc::new(Reader::of(Arc::clone(database))) }
    }

    /// Goes on with a read on a thread that may wait for the disk.
    fn later<T, F>(&self, read: F) -> Read<T>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T> + Send + 'static,
    {
        // Without a runtime, as in a command of the operator, nobody else is kept waiting.
        let Ok(runtime) = Handle::try_current() else { return Read::ready(read(&self.reader)) };
        let reader = Arc::clone(&self.reader);
        let answer = runtime.spawn_blocking(move || read(&reader));
        Read::Later(Box::pin(async { answer.await.map_err(Error::internal)? }))
    }
}

impl View for DiskView {
    fn position(&self) -> Position {
        self.position
    }

    fn get(&self, family: Family, key: Vec<u8>) -> Read<Option<Vec<u8>>> {
        match self.reader.get(family, &key, Tier::Memory) {
            Ok(Found::Answer(value)) => Read::ready(Ok(value)),
            Ok(Found::OnDisk) => self.later(move |reader| reader.get(family, &key, Tier::Disk)?.answer()),
            Err(error) => Read::ready(Err(error)),
        }
    }

    fn get_many(&self, family: Family, keys: Vec<Vec<u8>>) -> Read<Vec<Option<Vec<u8>>>> {
        match self.reader.get_many_from_memory(family, &keys) {
            Ok((values, missed)) if missed.is_empty() => Read::ready(Ok(values)),
            Ok((values, missed)) => self.later(move |reader| reader.fill_in(family, &keys, &missed, values)),
            Err(error) => Read::ready(Err(error)),
        }
    }

    fn scan(&self, family: Family, mut scan: Scan) -> Read<Rows> {
        let mut rows = Rows::default();
        match self.reader.scan(family, &mut scan, &mut rows, Tier::Memory, INLINE_ROWS) {
            Ok(Scanned::Complete) => Read::ready(Ok(rows)),
            Ok(Scanned::Interrupted) => self.later(move |reader| {
                reader.scan(family, &mut scan, &mut rows, Tier::Disk, usize::MAX)?;
                Ok(rows)
            }),
            Err(error) => Read::ready(Err(error)),
        }
    }
}

/// The writer's side.
struct DiskBackend {
    database: Arc<Database>,
    visible: Arc<ArcSwap<DiskView>>,
    options: WriteOptions,
    durability: Durability,
    position_key: Vec<u8>,
}

impl DiskBackend {
    fn new(database: Arc<Database>, visible: Arc<ArcSwap<DiskView>>, durability: Durability) -> Self {
        let mut options = WriteOptions::new();
        options.set_sync(durability == Durability::Fsync);
        Self { database, visible, options, durability, position_key: META.key(NEWEST_POSITION) }
    }
}

impl Backend for DiskBackend {
    fn read(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.database.get_cf(family_of(&self.database, family), key).map_err(Error::internal)
    }

    fn apply(&mut self, group: &[&Batch], last: Position) -> Result<()> {
        let size: usize = group.iter().map(|batch| batch.size()).sum();
        let mut batch = WriteBatch::with_capacity_bytes(size + size / 4 + 64);
        for operation in group.iter().flat_map(|batch| batch.operations()) {
            match operation {
                Operation::Put { family, key, value } => batch.put_cf(&family_of(&self.database, family), key, value),
                Operation::Delete { family, key } => batch.delete_cf(&family_of(&self.database, family), key),
                Operation::DeleteRange { family, start, end } => {
                    batch.delete_range_cf(&family_of(&self.database, family), start, end);
                }
            }
        }
        let mut position = super::Encoder::default();
        Compact::encode(&last.get(), &mut position)?;
        batch.put_cf(&family_of(&self.database, Family::Rows), &self.position_key, position.bytes());
        self.database.write_opt(batch, &self.options).map_err(Error::internal)?;
        self.visible.store(Arc::new(DiskView::new(&self.database, last)));
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.database.flush_wal(true).map_err(Error::internal)
    }

    fn sync_interval(&self) -> Option<Duration> {
        match self.durability {
            Durability::Fsync => None,
            Durability::Relaxed { interval } => Some(interval),
        }
    }

    /// Moves what is only in the write-ahead log into sorted files, so that the next start has nothing to replay.
    fn close(self) -> Result<()> {
        for family in [Family::Rows, Family::Log, Family::Timeline] {
            self.database.flush_cf(family_of(&self.database, family)).map_err(Error::internal)?;
        }
        Ok(())
    }
}

/// The column family that holds `family`.
fn family_of(database: &Database, family: Family) -> &ColumnFamily {
    database.cf_handle(tuning::name(family)).expect("the database was opened with every family")
}

/// Creates the data folder for this user alone: it holds everybody's messages.
fn create_folder(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|cause| {
        Error::internal(format_args!("the data folder {} cannot be created: {cause}", folder.display()))
    })
}

fn open_database(folder: &Path, options: &StorageOptions) -> Result<Database> {
    let settings = tuning::database();
    let opened = Database::open_cf_descriptors(&settings, folder, tuning::families(options.block_cache_bytes, &[]));
    let opened = match opened {
        // A newer server may have added families. They are opened, so that the migrations can say which version it was.
        Err(cause) if cause.kind() == ErrorKind::InvalidArgument => {
            let all = Database::list_cf(&settings, folder).unwrap_or_default();
            let families = tuning::families(options.block_cache_bytes, &all);
            Database::open_cf_descriptors(&settings, folder, families)
        }
        other => other,
    };
    opened.map_err(|cause| {
        let folder = folder.display();
        if is_locked(&cause) {
            return Error::internal(format_args!("the data folder {folder} is in use by another commonroom process"));
        }
        Error::internal(format_args!("the data folder {folder} cannot be opened: {cause}"))
    })
}

/// Whether opening failed because somebody holds the lock file; RocksDB says so only in words.
fn is_locked(cause: &::rocksdb::Error) -> bool {
    let message: &str = cause.as_ref();
    message.contains("While lock file") || message.contains("lock hold by current process")
}

fn newest_position(database: &Database) -> Result<Position> {
    let stored = database.get_cf(family_of(database, Family::Rows), META.key(NEWEST_POSITION));
    let number = stored.map_err(Error::internal)?.map(|value| <Compact as Codec<u64>>::decode(&value)).transpose()?;
    Ok(number.unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Encoder, Store, migrations, schema::SCHEMA_VERSION};

    /// Leaves a folder as a server of the future might.
    fn write_newer_data(folder: &Path) {
        let options = StorageOptions::default();
        let families = tuning::families(options.block_cache_bytes, &["future".to_owned()]);
        let database = Database::open_cf_descriptors(&tuning::database(), folder, families).unwrap();
        let mut version = Encoder::default();
        Compact::encode(&99_u64, &mut version).unwrap();
        database.put_cf(family_of(&database, Family::Rows), META.key(SCHEMA_VERSION), version.bytes()).unwrap();
    }

    #[test]
    fn newer_data_is_refused_by_its_version_even_with_a_family_that_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        write_newer_data(folder.path());
        let error = Store::open(folder.path(), &StorageOptions::default()).unwrap_err().to_string();
        let known = 1 + migrations::STEPS.len();
        assert!(error.contains("version 99") && error.contains(&format!("up to {known}.")), "{error}");
        assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
    }
}
