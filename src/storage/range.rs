//! Ranges of typed keys, for scans and for deleting many rows at once.

use std::marker::PhantomData;

use super::{EncodePart, EncodePrefix, Encoder};

/// Which way a scan walks through its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key up.
    Forward,
    /// From the largest key down.
    Reverse,
}

/// The number of bytes in front of a key that name its table.
pub(super) const TABLE_ID: usize = 2;

/// A contiguous range of the keys of a table with keys of type `K`.
///
/// Bounds are given as prefixes: the first parts of a key, as a tuple. A bound says on which side of *all* keys that start
/// with the prefix it lies, so `KeyRange::prefix_after((room,), position)` is the rows of this room with a larger position.
#[derive(Clone, Debug)]
pub struct KeyRange<K> {
    /// The first key inside, with room for the table's id at its head.
    start: Vec<u8>,
    /// The first key behind the range, or `None` for the end of the table.
    end: Option<Vec<u8>>,
    key: PhantomData<fn(K)>,
}

impl<K> KeyRange<K> {
    /// Every row of the table.
    pub fn all() -> Self {
        Self { start: vec![0; TABLE_ID], end: None, key: PhantomData }
    }

    /// Every row whose key starts with these parts.
    pub fn prefix(prefix: impl EncodePrefix<K>) -> Self {
        let start = encode(prefix);
        Self { end: successor(start.clone()), start, key: PhantomData }
    }

    /// Every row at or after the first that starts with these parts.
    pub fn from(prefix: impl EncodePrefix<K>) -> Self {
        Self { start: encode(prefix), ..Self::all() }
    }

    /// Every row after the last that starts with these parts.
    pub fn after(prefix: impl EncodePrefix<K>) -> Self {
        match successor(encode(prefix)) {
            Some(start) => Self { start, ..Self::all() },
            None => Self::empty(),
        }
    }

    /// Every row up to and with the last that starts with these parts.
    pub fn until(prefix: impl EncodePrefix<K>) -> Self {
        Self { end: successor(encode(prefix)), ..Self::all() }
    }

    /// Every row before the first that starts with these parts.
    pub fn before(prefix: impl EncodePrefix<K>) -> Self {
        Self { end: Some(encode(prefix)), ..Self::all() }
    }

    /// Every row that starts with `prefix` and whose next part is `part` or larger.
    pub fn prefix_from<P: EncodePrefix<K>>(prefix: P, part: impl EncodePart<P::Next>) -> Self {
        let start = followed_by(&prefix, part);
        Self { start, ..Self::prefix(prefix) }
    }

    /// Every row that starts with `prefix` and whose next part is larger than `part`.
    pub fn prefix_after<P: EncodePrefix<K>>(prefix: P, part: impl EncodePart<P::Next>) -> Self {
        match successor(followed_by(&prefix, part)) {
            Some(start) => Self { start, ..Self::prefix(prefix) },
            None => Self::empty(),
        }
    }

    /// Every row that starts with `prefix` and whose next part is `part` or smaller.
    pub fn prefix_until<P: EncodePrefix<K>>(prefix: P, part: impl EncodePart<P::Next>) -> Self {
        let end = successor(followed_by(&prefix, part));
        Self { end, ..Self::prefix(prefix) }
    }

    /// Every row that starts with `prefix` and whose next part is smaller than `part`.
    pub fn prefix_before<P: EncodePrefix<K>>(prefix: P, part: impl EncodePart<P::Next>) -> Self {
        let end = followed_by(&prefix, part);
        Self { end: Some(end), ..Self::prefix(prefix) }
    }

    /// The rows that are in both ranges.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let end = match (self.end, other.end) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Self { start: self.start.max(other.start), end, key: PhantomData }
    }

    fn empty() -> Self {
        Self { start: vec![0; TABLE_ID], end: Some(vec![0; TABLE_ID]), key: PhantomData }
    }

    /// The bounds in the engine's keys, start inclusive and end exclusive.
    pub(super) fn bounds_in(self, table: u16) -> (Vec<u8>, Vec<u8>) {
        let Self { mut start, end, .. } = self;
        start[..TABLE_ID].copy_from_slice(&table.to_be_bytes());
        let end = match end {
            Some(mut end) => {
                end[..TABLE_ID].copy_from_slice(&table.to_be_bytes());
                end
            }
            None => (table + 1).to_be_bytes().to_vec(),
        };
        (start, end)
    }
}

/// The bytes of a prefix behind room for the table's id.
fn encode<K>(prefix: impl EncodePrefix<K>) -> Vec<u8> {
    let mut out = Encoder::with_capacity(64);
    out.extend(&[0; TABLE_ID]);
    prefix.encode(&mut out);
    out.into_bytes()
}

/// The bytes of a prefix and the part after it, behind room for the table's id.
fn followed_by<K, P: EncodePrefix<K>>(prefix: &P, part: impl EncodePart<P::Next>) -> Vec<u8> {
    let mut out = Encoder::with_capacity(64);
    out.extend(&[0; TABLE_ID]);
    prefix.encode(&mut out);
    part.encode_as_part(&mut out);
    out.into_bytes()
}

/// The smallest bytes behind everything that starts with `bytes`, or `None` when nothing of the table can follow.
fn successor(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    while bytes.len() > TABLE_ID {
        if let Some(last) = bytes.last_mut()
            && *last < u8::MAX
        {
            *last += 1;
            return Some(bytes);
        }
        bytes.pop();
    }
    None
}
