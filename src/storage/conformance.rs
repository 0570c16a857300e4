//! What every engine must do; each test runs on all of them.

mod commits;
mod model;
mod on_disk;
mod ranges;

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use ruma::OwnedRoomId;
use tempfile::TempDir;

use super::{Batch, Direction, Family, KeyRange, Order, Position, Snapshot, Stamped, StorageOptions, Store, Table};

const NAMES: Table<(String,), String> = Table::new(60_000, "names", Family::Rows);
const EVENTS: Table<(OwnedRoomId, Order), Stamped<String>> = Table::new(60_001, "events", Family::Timeline);
const COUNTS: Table<(String, u16, u16), u64> = Table::new(60_002, "counts", Family::Log);

/// Runs a test on a fresh store of each engine.
async fn on_every_engine<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    test(Store::in_memory()).await;
    let folder = Folder::new();
    let store = folder.open();
    test(store.clone()).await;
    store.close().await;
}

/// A data folder that is gone after the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Store {
        Store::open(self.0.path(), &StorageOptions::default()).unwrap()
    }
}

/// Polls a future once, so that whatever it queues is queued.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn live(position: u64) -> Order {
    Order::Live(position.into())
}

fn naming(key: &str, value: &str) -> Batch {
    let mut batch = Batch::new();
    NAMES.put(&mut batch, (key,), &value.to_owned());
    batch
}

async fn put_name(store: &Store, key: &str, value: &str) -> Position {
    store.commit(naming(key, value)).await.unwrap()
}

async fn name(snapshot: &Snapshot, key: &str) -> Option<String> {
    NAMES.get(snapshot, (key,)).await.unwrap()
}

async fn names(store: &Store, range: KeyRange<(String,)>) -> Vec<String> {
    let rows = NAMES.scan(&store.snapshot(), range, Direction::Forward, usize::MAX).await.unwrap();
    rows.into_iter().map(|((key,), _)| key).collect()
}
