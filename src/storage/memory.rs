//! An engine that keeps everything in memory and forgets it with the process: for tests.

use std::{ops::Bound, pin::Pin, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use imbl::OrdMap;

use super::{
    Batch, Commit, Direction, Family, Position,
    batch::Operation,
    engine::{Engine, Read, Rows, Scan, View},
    writer::{Backend, Writer},
};
use crate::error::Result;

/// Keys name their table, so one map holds every family. Both sides are shared, which makes copying a node cheap.
type Map = OrdMap<Arc<[u8]>, Arc<[u8]>>;

/// The engine: a persistent map that the writer replaces after every group.
pub(super) struct Memory {
    visible: Arc<ArcSwap<MemoryView>>,
    writer: Writer,
}

#[derive(Default)]
struct MemoryView {
    position: Position,
    rows: Map,
}

struct MemoryBackend {
    visible: Arc<ArcSwap<MemoryView>>,
}

impl Memory {
    /// An empty store.
    pub(super) fn new() -> Result<Self> {
        let visible = Arc::new(ArcSwap::default());
        let writer = Writer::start(MemoryBackend { visible: Arc::clone(&visible) }, Position::ZERO)?;
        Ok(Self { visible, writer })
    }
}

impl Engine for Memory {
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

impl MemoryView {
    fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.rows.get(key).map(|value| value.to_vec())
    }
}

/// From `start` up to but not with `end`.
fn half_open<'a>(start: &'a [u8], end: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(start), Bound::Excluded(end))
}

impl View for MemoryView {
    fn position(&self) -> Position {
        self.position
    }

    fn get(&self, _: Family, key: Vec<u8>) -> Read<Option<Vec<u8>>> {
        Read::ready(Ok(self.value(&key)))
    }

    fn get_many(&self, _: Family, keys: Vec<Vec<u8>>) -> Read<Vec<Option<Vec<u8>>>> {
        Read::ready(Ok(keys.iter().map(|key| self.value(key)).collect()))
    }

    fn scan(&self, _: Family, scan: Scan) -> Read<Rows> {
        let mut rows = Rows::default();
        if scan.start < scan.end {
            let range = self.rows.range::<_, [u8]>(half_open(&scan.start, &scan.end));
            match scan.direction {
                Direction::Forward => range.take(scan.limit).for_each(|(key, value)| rows.push(key, value)),
                Direction::Reverse => range.rev().take(scan.limit).for_each(|(key, value)| rows.push(key, value)),
            }
        }
        Read::ready(Ok(rows))
    }
}

impl Backend for MemoryBackend {
    fn read(&self, _: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.visible.load().value(key))
    }

    fn apply(&mut self, group: &[&Batch], last: Position) -> Result<()> {
        let mut rows = self.visible.load().rows.clone();
        for operation in group.iter().flat_map(|batch| batch.operations()) {
            match operation {
                Operation::Put { key, value, .. } => {
                    rows.insert(key.into(), value.into());
                }
                Operation::Delete { key, .. } => {
                    rows.remove(key);
                }
                Operation::DeleteRange { start, end, .. } => {
                    let gone: Vec<Arc<[u8]>> =
                        rows.range::<_, [u8]>(half_open(start, end)).map(|(key, _)| Arc::clone(key)).collect();
                    gone.iter().for_each(|key| drop(rows.remove(&**key)));
                }
            }
        }
        self.visible.store(Arc::new(MemoryView { position: last, rows }));
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }

    fn sync_interval(&self) -> Option<Duration> {
        None
    }
    fn close(self) -> Result<()> {
        Ok(())
    }
}
