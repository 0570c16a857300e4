//! Positions of what lives only in memory: typing and presence.
//!
//! They start again at every start of the server, so a position names the run (the *boot*) that it belongs to; a reader
//! whose position comes from an earlier run reads everything that is current.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A place in the ephemeral stream of one run of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EphemeralPosition {
    /// Which run of the server this position belongs to.
    pub boot: u32,
    /// The number of ephemeral changes up to here in that run.
    pub count: u64,
}

/// A cheap-clone source of ephemeral positions for this run of the server.
#[derive(Clone, Debug)]
pub struct Ephemerals {
    boot: u32,
    count: Arc<AtomicU64>,
}

impl Ephemerals {
    /// A stream that starts at zero under the run id `boot`.
    pub fn new(boot: u32) -> Self {
        Self { boot, count: Arc::default() }
    }

    /// The newest position that was given out.
    pub fn current(&self) -> EphemeralPosition {
        EphemeralPosition { boot: self.boot, count: self.count.load(Ordering::Acquire) }
    }

    /// Gives out the next count.
    ///
    /// Call it while holding the lock that guards the change, and make the change before letting go: a reader takes
    /// [`Ephemerals::current`] first and the lock after, and so never passes a change that it has not seen.
    pub fn advance(&self) -> u64 {
        self.count.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The count after which a reader at `position` has to look: zero if its position is of another run.
    pub fn since(&self, position: EphemeralPosition) -> u64 {
        if position.boot == self.boot { position.count } else { 0 }
    }
}
