//! Reads from one snapshot of the database, either from memory only or from the disk as well.

use std::sync::Arc;

use ::rocksdb::{ColumnFamily, DBRawIteratorWithThreadMode, ErrorKind, ReadOptions, ReadTier, SnapshotWithThreadMode};
use self_cell::self_cell;

use super::{Database, family_of};
use crate::{
    error::{Error, Result},
    storage::{
        Direction, Family,
        engine::{Rows, Scan},
    },
};

self_cell!(
    /// A snapshot together with the database that it borrows from.
    pub(super) struct Reader {
        owner: Arc<Database>,
        #[covariant]
        dependent: Pinned,
    }
);

/// A snapshot with what every read from it needs, prepared once.
struct Pinned<'a> {
    snapshot: SnapshotWithThreadMode<'a, Database>,
    memory: ReadOptions,
    disk: ReadOptions,
}

/// How far a read may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// Recent writes and the block cache: never waits.
    Memory,
    /// Everything.
    Disk,
}

/// What many keys hold, in the order of the keys.
type Values = Vec<Option<Vec<u8>>>;

/// What a look-up came to.
pub(super) enum Found {
    /// It is known what the key holds.
    Answer(Option<Vec<u8>>),
    /// The disk has to be asked.
    OnDisk,
}

impl Found {
    /// The answer of a read that was allowed to ask the disk.
    pub(super) fn answer(self) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Answer(value) => Ok(value),
            Self::OnDisk => Err(Error::internal("a read from the disk was not answered")),
        }
    }
}

/// How a scan ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// Every row that was asked for is there.
    Complete,
    /// There may be more; the scan was changed to what is left of it.
    Interrupted,
}

impl Reader {
    /// A reader of what the database holds now.
    pub(super) fn of(database: Arc<Database>) -> Self {
        Self::new(database, |database| {
            let snapshot = database.snapshot();
            let memory = read_options(&snapshot, Tier::Memory);
            let disk = read_options(&snapshot, Tier::Disk);
            Pinned { snapshot, memory, disk }
        })
    }

    pub(super) fn get(&self, family: Family, key: &[u8], tier: Tier) -> Result<Found> {
        let database = self.borrow_owner();
        match database.get_pinned_cf_opt(family_of(database, family), key, self.options(tier)) {
            Ok(value) => Ok(Found::Answer(value.map(|value| value.to_vec()))),
            Err(error) if error.kind() == ErrorKind::Incomplete => Ok(Found::OnDisk),
            Err(error) => Err(Error::internal(error)),
        }
    }

    /// The values of those keys that memory can answer for, and the indexes of those for which the disk has to be asked.
    ///
    /// One key at a time: RocksDB's look-up of many takes a key for found, and empty, when it may not ask the disk and the key
    /// seems to stand in a block that is not in memory.
    pub(super) fn get_many_from_memory(&self, family: Family, keys: &[Vec<u8>]) -> Result<(Values, Vec<usize>)> {
        let mut values = vec![None; keys.len()];
        let mut missed = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            match self.get(family, key, Tier::Memory)? {
                Found::Answer(value) => values[index] = value,
                Found::OnDisk => missed.push(index),
            }
        }
        Ok((values, missed))
    }

    /// Fills in the values of the keys with the indexes `missed`, from wherever they are.
    pub(super) fn fill_in(
        &self,
        family: Family,
        keys: &[Vec<u8>],
        missed: &[usize],
        mut values: Values,
    ) -> Result<Values> {
        let family = family_of(self.borrow_owner(), family);
        let keys = missed.iter().map(|index| &keys[*index]);
        let found = self.borrow_owner().batched_multi_get_cf_opt(&family, keys, false, self.options(Tier::Disk));
        for (index, value) in missed.iter().zip(found) {
            values[*index] = value.map_err(Error::internal)?.map(|value| value.to_vec());
        }
        Ok(values)
    }

    /// Appends rows until there are as many as `scan` asks for, or `pause` of them.
    pub(super) fn scan(
        &self,
        family: Family,
        scan: &mut Scan,
        rows: &mut Rows,
        tier: Tier,
        pause: usize,
    ) -> Result<Scanned> {
        if scan.start >= scan.end {
            return Ok(Scanned::Complete);
        }
        let database = self.borrow_owner();
        let mut iterator = self.iterator(family_of(database, family), scan, tier);
        match scan.direction {
            Direction::Forward => iterator.seek_to_first(),
            Direction::Reverse => iterator.seek_to_last(),
        }
        while rows.len() < scan.limit.min(pause)
            && let Some((key, value)) = iterator.item()
        {
            rows.push(key, value);
            match scan.direction {
                Direction::Forward => iterator.next(),
                Direction::Reverse => iterator.prev(),
            }
        }
        match iterator.status() {
            Err(error) if error.kind() == ErrorKind::Incomplete && tier == Tier::Memory => {}
            Err(error) => return Err(Error::internal(error)),
            Ok(()) if rows.len() >= scan.limit || !iterator.valid() => return Ok(Scanned::Complete),
            Ok(()) => {}
        }
        leave_out(rows, scan);
        Ok(Scanned::Interrupted)
    }

    fn iterator(&self, family: &ColumnFamily, scan: &Scan, tier: Tier) -> DBRawIteratorWithThreadMode<'_, Database> {
        let snapshot = &self.borrow_dependent().snapshot;
        // An iterator keeps its options, because they hold its bounds.
        let mut options = read_options(snapshot, tier);
        options.set_iterate_range(scan.start.as_slice()..scan.end.as_slice());
        self.borrow_owner().raw_iterator_cf_opt(family, options)
    }

    fn options(&self, tier: Tier) -> &ReadOptions {
        let pinned = self.borrow_dependent();
        match tier {
            Tier::Memory => &pinned.memory,
            Tier::Disk => &pinned.disk,
        }
    }
}

fn read_options(snapshot: &SnapshotWithThreadMode<'_, Database>, tier: Tier) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_snapshot(snapshot);
    options.set_read_tier(match tier {
        Tier::Memory => ReadTier::BlockCache,
        Tier::Disk => ReadTier::All,
    });
    options
}

/// Narrows the scan to what lies beyond the rows that were read.
fn leave_out(rows: &Rows, scan: &mut Scan) {
    let Some(last) = rows.last_key() else { return };
    match scan.direction {
        Direction::Forward => {
            scan.start = last.to_vec();
            // The smallest key behind `last`.
            scan.start.push(0);
        }
        Direction::Reverse => scan.end = last.to_vec(),
    }
}
