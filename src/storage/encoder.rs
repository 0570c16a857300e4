//! The buffer that keys and values are written into, which remembers where the commit's position belongs.

use super::Position;

/// Bytes under construction, with the places that wait for the position of the commit.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
    stamps: Vec<Stamp>,
}

/// Eight bytes to be overwritten with the commit's position plus `slot`.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    offset: usize,
    slot: u16,
}

impl Encoder {
    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), stamps: Vec::new() }
    }

    /// Appends one byte.
    pub fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Appends bytes as they are.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a position as eight big-endian bytes; a [`Position::pending`] is filled in when the batch is committed.
    pub fn position(&mut self, position: Position) {
        if let Some(slot) = position.pending_slot() {
            self.stamps.push(Stamp { offset: self.bytes.len(), slot });
        }
        self.extend(&position.get().to_be_bytes());
    }

    /// How many bytes were written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What was written; places that wait for a position hold the pending one.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the bytes out.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The vector itself, for serialisers that append to one.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Appends what another buffer holds, whose slots come behind the first `slots`.
    pub(super) fn append(&mut self, other: Self, slots: u16) {
        let start = self.bytes.len();
        self.bytes.extend(other.bytes);
        let behind = |stamp: Stamp| Stamp { offset: start + stamp.offset, slot: slots + stamp.slot };
        self.stamps.extend(other.stamps.into_iter().map(behind));
    }

    /// The largest slot that waits for a position.
    pub(super) fn highest_slot(&self) -> Option<u16> {
        self.stamps.iter().map(|stamp| stamp.slot).max()
    }

    /// Fills in every place that waits, counting from `base`.
    pub(super) fn stamp(&mut self, base: Position) {
        for Stamp { offset, slot } in self.stamps.drain(..) {
            self.bytes[offset..offset + 8].copy_from_slice(&base.plus(slot).get().to_be_bytes());
        }
    }
}
