//! What the store knows about itself.

use crate::storage::{Family, Table, TableInfo};

/// Single numbers by name. The first to be read when a data folder is opened, so its shape can never change.
pub(in crate::storage) const META: Table<(String,), u64> = Table::new(1, "meta", Family::Rows);

/// The row that says which version of the schema the data has.
pub(in crate::storage) const SCHEMA_VERSION: (&str,) = ("schema version",);

/// The row that says which position was given out last.
pub(in crate::storage) const NEWEST_POSITION: (&str,) = ("newest position",);

/// The tables of this file.
pub(super) const TABLES: &[TableInfo] = &[META.info()];
