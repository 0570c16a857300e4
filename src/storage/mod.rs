//! An ordered key-value store and every table in it.
//!
//! A [`Store`] hands out [`Snapshot`]s to read from and takes [`Batch`]es to commit; both are used through the typed
//! [`Table`]s of [`schema`]. Commits get consecutive [`Position`]s and become visible in that order, and not before they
//! are durable. What is below is behind the [`Engine`](engine::Engine) trait: RocksDB, or memory in tests.

mod batch;
mod conflicts;
#[cfg(test)]
mod conformance;
mod encoder;
pub mod engine;
mod key;
mod key_parts;
mod memory;
mod migrations;
mod order;
mod overlay;
mod position;
mod range;
mod rocksdb;
pub mod schema;
mod table;
mod value;
mod writer;

use std::{fmt, path::Path, sync::Arc, thread, time::Duration};

pub use batch::{Batch, Operation};
pub use conflicts::until_settled;
pub use encoder::Encoder;
pub use engine::{Commit, Family};
pub use key::{Absent, EncodeKey, EncodePart, EncodePrefix, Key, KeyPart};
pub use key_parts::TextPart;
pub use order::Order;
pub use position::Position;
pub use range::{Direction, KeyRange};
pub use table::{Table, TableInfo};
pub use value::{Codec, Compact, Json, Stamped};

use crate::error::{Error, Result};

/// A handle over one engine; clones are cheap and share it.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn engine::Engine>,
}

/// How a store on disk behaves.
#[derive(Clone, Debug)]
pub struct StorageOptions {
    /// When a commit counts as durable.
    pub durability: Durability,
    /// How much memory to keep data blocks in, in bytes.
    pub block_cache_bytes: usize,
}

/// When a commit counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When it is on the disk: it survives a power failure.
    Fsync,
    /// When the operating system has it: it survives a crash of the server, but the commits of the last `interval` may
    /// be lost in a power failure.
    Relaxed {
        /// The longest time between two syncs to the disk.
        interval: Duration,
    },
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self { durability: Durability::Fsync, block_cache_bytes: 32 << 20 }
    }
}

impl Store {
    /// Opens the data in the folder `path`, creating it if it is not there, and moves data of an older version forward.
    ///
    /// Fails when another process uses the folder, when the data is newer than this program, and when it cannot be read.
    pub fn open(path: &Path, options: &StorageOptions) -> Result<Self> {
        let store = Self { engine: Arc::new(self::rocksdb::RocksDb::open(path, options)?) };
        let migrated = thread::scope(|scope| scope.spawn(|| migrate(&store)).join());
        migrated.unwrap_or_else(|_| Err(Error::internal("a migration panicked"))).map_err(|error| {
            Error::internal(format_args!("the data folder {} cannot be used: {error}", path.display()))
        })?;
        Ok(store)
    }

    /// An empty store that lives as long as its handles: for tests.
    pub fn in_memory() -> Self {
        let engine = memory::Memory::new().expect("a thread can be started");
        Self { engine: Arc::new(engine) }
    }

    /// Everything that is visible now, to read from as long as needed.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { view: self.engine.snapshot() }
    }

    /// The newest position that is visible.
    pub fn position(&self) -> Position {
        self.engine.position()
    }

    /// Reads something, to see whether the store can be read.
    pub async fn check(&self) -> Result<()> {
        schema::META.get(&self.snapshot(), schema::SCHEMA_VERSION).await.map(drop)
    }

    /// Queues a batch, in the order of the calls; the answer is the position of its slot 0.
    ///
    /// Resolves when the batch is durable and visible. Fails with [`Kind::Conflict`](crate::error::Kind::Conflict) when an
    /// expectation does not hold. Dropping the future does not cancel the commit.
    pub fn commit(&self, batch: Batch) -> Commit {
        self.engine.commit(batch)
    }

    /// Finishes the commits that are queued, makes them durable and stops the writer; later commits fail.
    ///
    /// The folder is free for another process when every handle and snapshot is dropped, too.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}

/// Runs the migrations to their end, on a thread of their own because the caller's may belong to a runtime already.
fn migrate(store: &Store) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(Error::internal)?;
    runtime.block_on(migrations::bring_up_to_date(store, migrations::STEPS))
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("position", &self.position()).finish_non_exhaustive()
    }
}

/// A consistent state of the store: what was visible when it was taken, whatever is written later.
#[derive(Clone)]
pub struct Snapshot {
    view: Arc<dyn engine::View>,
}

impl Snapshot {
    /// The newest position that is visible in it.
    pub fn position(&self) -> Position {
        self.view.position()
    }

    fn view(&self) -> &dyn engine::View {
        &*self.view
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("position", &self.position()).finish_non_exhaustive()
    }
}
