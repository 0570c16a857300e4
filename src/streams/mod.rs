//! How change travels: positions, the log of changes, and waking those who wait for one.

pub mod changes;
pub mod ephemeral;
pub mod notifier;

pub use changes::{Change, Log};
pub use ephemeral::{EphemeralPosition, Ephemerals};
pub use notifier::{Notifier, Watch};

pub use crate::storage::Position;
