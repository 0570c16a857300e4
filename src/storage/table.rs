//! Tables: typed keys and values over the engine's bytes.

use std::{fmt, marker::PhantomData};

use super::{
    Batch, Codec, Compact, Direction, EncodeKey, Encoder, Family, Key, KeyRange, Snapshot, engine::Scan,
    range::TABLE_ID,
};
use crate::error::{Error, Result};

/// A table with keys `K` and values `V` stored by the codec `C`; declared as constants in [`schema`](super::schema).
pub struct Table<K, V, C = Compact> {
    id: u16,
    name: &'static str,
    family: Family,
    row: Row<K, V, C>,
}

/// Names the types without owning any of them, so that a table is `Send` whatever it stores.
type Row<K, V, C> = PhantomData<fn() -> (K, V, C)>;

/// What is known of a table without its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// The number in front of the table's keys; never reused.
    pub id: u16,
    /// The name in messages and tools.
    pub name: &'static str,
    /// Where its rows live.
    pub family: Family,
}

impl<K, V, C> Table<K, V, C> {
    /// Declares a table; `id` must be its own, below `u16::MAX`, and stay the same for as long as there is data.
    pub const fn new(id: u16, name: &'static str, family: Family) -> Self {
        assert!(id < u16::MAX, "the largest id has no successor to end its range");
        Self { id, name, family, row: PhantomData }
    }

    /// The table without its types, for [`schema::ALL`](super::schema::ALL).
    pub const fn info(&self) -> TableInfo {
        TableInfo { id: self.id, name: self.name, family: self.family }
    }

    fn write_key(&self, key: &impl EncodeKey<K>, out: &mut Encoder) {
        out.extend(&self.id.to_be_bytes());
        key.encode(out);
    }

    /// The engine's key of a row.
    pub(super) fn key(&self, key: impl EncodeKey<K>) -> Vec<u8> {
        // Most keys are one or two Matrix identifiers and a number.
        let mut out = Encoder::with_capacity(96);
        self.write_key(&key, &mut out);
        out.into_bytes()
    }
}

impl<K: Key, V, C: Codec<V>> Table<K, V, C> {
    /// The row with this key.
    pub fn get<Q: EncodeKey<K>>(
        &self,
        from: &Snapshot,
        key: Q,
    ) -> impl Future<Output = Result<Option<V>>> + Send + use<K, V, C, Q> {
        let name = self.name;
        let value = from.view().get(self.family, self.key(key));
        async move { decode::<V, C>(name, value.await?.as_deref()) }
    }

    /// Whether there is a row with this key.
    pub fn exists<Q: EncodeKey<K>>(
        &self,
        from: &Snapshot,
        key: Q,
    ) -> impl Future<Output = Result<bool>> + Send + use<K, V, C, Q> {
        let value = from.view().get(self.family, self.key(key));
        async move { Ok(value.await?.is_some()) }
    }

    /// The rows with these keys, in the order of the keys.
    pub fn get_many<Q: EncodeKey<K>, I: IntoIterator<Item = Q>>(
        &self,
        from: &Snapshot,
        keys: I,
    ) -> impl Future<Output = Result<Vec<Option<V>>>> + Send + use<K, V, C, Q, I> {
        let name = self.name;
        let keys = keys.into_iter().map(|key| self.key(key)).collect();
        let values = from.view().get_many(self.family, keys);
        async move { values.await?.iter().map(|value| decode::<V, C>(name, value.as_deref())).collect() }
    }

    /// Up to `limit` rows of a range, starting from the end that `direction` says; `usize::MAX` is all of them.
    pub fn scan(
        &self,
        from: &Snapshot,
        range: KeyRange<K>,
        direction: Direction,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(K, V)>>> + Send + use<K, V, C> {
        let name = self.name;
        let (start, end) = range.bounds_in(self.id);
        let rows = from.view().scan(self.family, Scan { start, end, direction, limit });
        async move {
            let rows = rows.await?;
            let row = |(key, value): (&[u8], &[u8])| Ok((K::decode(&key[TABLE_ID..])?, C::decode(value)?));
            rows.iter().map(row).collect::<Result<_>>().map_err(|error| unreadable(name, error))
        }
    }

    /// Writes a row, whether or not it was there.
    pub fn put(&self, batch: &mut Batch, key: impl EncodeKey<K>, value: &V) {
        batch.put(self.family, |out| self.write_key(&key, out), |out| self.write_value(value, out));
    }

    /// Removes a row, whether or not it was there.
    pub fn delete(&self, batch: &mut Batch, key: impl EncodeKey<K>) {
        batch.delete(self.family, |out| self.write_key(&key, out));
    }

    /// Removes every row of a range.
    pub fn delete_range(&self, batch: &mut Batch, range: KeyRange<K>) {
        let (start, end) = range.bounds_in(self.id);
        batch.delete_range(self.family, &start, &end);
    }

    /// Makes the commit fail with [`Kind::Conflict`](crate::error::Kind::Conflict) unless the row has exactly this value
    /// (`None`: is absent) just before the batch is applied; then nothing of the batch is written.
    pub fn expect(&self, batch: &mut Batch, key: impl EncodeKey<K>, value: Option<&V>) {
        let value = value.map(|value| |out: &mut Encoder| self.write_value(value, out));
        batch.expect(self.family, |out| self.write_key(&key, out), value);
    }

    fn write_value(&self, value: &V, out: &mut Encoder) -> Result<()> {
        C::encode(value, out)
            .map_err(|error| Error::internal(format_args!("a value cannot be stored in table {}: {error}", self.name)))
    }
}

fn decode<V, C: Codec<V>>(table: &str, value: Option<&[u8]>) -> Result<Option<V>> {
    value.map(C::decode).transpose().map_err(|error| unreadable(table, error))
}

/// The data does not fit its type: a bug, a missing migration or a broken disk.
fn unreadable(table: &str, error: Error) -> Error {
    Error::internal(format_args!("a row of table {table} cannot be read: {error}"))
}

impl<K, V, C> Clone for Table<K, V, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V, C> Copy for Table<K, V, C> {}

impl<K, V, C> fmt::Debug for Table<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info().fmt(f)
    }
}
