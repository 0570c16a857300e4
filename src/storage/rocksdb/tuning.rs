//! How RocksDB is set up: for a small process that starts fast and stores mostly text.

use ::rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DEFAULT_COLUMN_FAMILY_NAME, LogLevel, Options,
};

use crate::storage::Family;

/// Recent writes of one family before they go to a file, in bytes.
const WRITE_BUFFER: usize = 8 << 20;
/// Recent writes of all families together, in bytes.
const ALL_WRITE_BUFFERS: usize = 24 << 20;
/// The write-ahead log that a start after a crash has to replay at most, in bytes.
const WRITE_AHEAD_LOG: u64 = 32 << 20;
/// A gibibyte is some sixteen files, so this is seldom reached; it bounds what open files cost in memory.
const OPEN_FILES: i32 = 512;

/// The name of a family in the database.
pub(super) const fn name(family: Family) -> &'static str {
    match family {
        // The one that every database has, so that it is not there in vain.
        Family::Rows => DEFAULT_COLUMN_FAMILY_NAME,
        Family::Log => "log",
        Family::Timeline => "timeline",
    }
}

/// The settings of the database as a whole.
pub(super) fn database() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_background_jobs(2);
    options.set_max_open_files(OPEN_FILES);
    // A start opens few files, and a thread costs more than a file.
    options.set_max_file_opening_threads(1);
    options.set_db_write_buffer_size(ALL_WRITE_BUFFERS);
    options.set_max_total_wal_size(WRITE_AHEAD_LOG);
    // Writes files in the background as they grow, so that the sync at their end is short and delays no commit.
    options.set_bytes_per_sync(1 << 20);
    // Its own log: only what went wrong, and little of it.
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    // It would read every file to learn what only matters for compaction's taste.
    options.set_skip_stats_update_on_db_open(true);
    options
}

/// Every family, and those in `others` that this program knows nothing of; they share one block cache.
pub(super) fn families(cache_bytes: usize, others: &[String]) -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(cache_bytes);
    let known = [Family::Rows, Family::Log, Family::Timeline];
    let mut all: Vec<_> =
        known.iter().map(|family| ColumnFamilyDescriptor::new(name(*family), of(*family, &cache))).collect();
    let is_known = |other: &String| known.iter().any(|family| name(*family) == other);
    let unknown = others.iter().filter(|other| !is_known(other));
    all.extend(unknown.map(|other| ColumnFamilyDescriptor::new(other, Options::default())));
    all
}

/// The settings of one family.
fn of(family: Family, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_format_version(6);
    blocks.set_block_cache(cache);
    // In the cache, what describes the files is part of the memory that the operator allowed.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);

    let mut options = Options::default();
    options.set_write_buffer_size(WRITE_BUFFER);
    options.set_max_write_buffer_number(3);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    match family {
        Family::Rows => {
            blocks.set_block_size(8 << 10);
            // Many look-ups are for what is not there; the filter answers nearly all of them.
            blocks.set_bloom_filter(10.0, false);
        }
        Family::Log => blocks.set_block_size(16 << 10),
        Family::Timeline => {
            blocks.set_block_size(16 << 10);
            options.set_compression_type(DBCompressionType::Zstd);
        }
    }
    options.set_block_based_table_factory(&blocks);
    options
}
