//! What the earlier batches of a group are about to write, for the preconditions of the later ones.

use std::collections::HashMap;

use super::{Batch, batch::Operation};

/// Changes that are decided and not yet written. Keys need no family here, since each begins with its table's id.
#[derive(Default)]
pub(super) struct Overlay<'a> {
    /// The last change of each key, numbered, with its value unless it is a deletion.
    points: HashMap<&'a [u8], (usize, Option<&'a [u8]>)>,
    /// Deleted ranges, numbered in the same count.
    ranges: Vec<(usize, &'a [u8], &'a [u8])>,
    changes: usize,
}

impl<'a> Overlay<'a> {
    /// Adds the changes of a batch on top.
    pub(super) fn add(&mut self, batch: &'a Batch) {
        for operation in batch.operations() {
            self.changes += 1;
            match operation {
                Operation::Put { key, value, .. } => {
                    self.points.insert(key, (self.changes, Some(value)));
                }
                Operation::Delete { key, .. } => {
                    self.points.insert(key, (self.changes, None));
                }
                Operation::DeleteRange { start, end, .. } => self.ranges.push((self.changes, start, end)),
            }
        }
    }

    /// What the key will hold: `None` when no batch touches it, `Some(None)` when it will be gone.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&'a [u8]>> {
        let point = self.points.get(key);
        let range = self.ranges.iter().rev().find(|(_, start, end)| *start <= key && key < *end);
        match (point, range) {
            (Some(&(written, value)), Some(&(deleted, ..))) => Some(if written > deleted { value } else { None }),
            (Some(&(_, value)), None) => Some(value),
            (None, Some(_)) => Some(None),
            (None, None) => None,
        }
    }
}
