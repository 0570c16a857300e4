//! Positions: the one number, in commit order, that every change of the server gets.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error as _};

/// A place in the order of all commits; a larger position was committed later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Before the first commit of a new store.
    pub const ZERO: Self = Self(0);

    /// The position that the commit carrying this value will get, plus `slot`.
    ///
    /// It stands for a number that is not known yet: the engine puts the real one in its place wherever it was encoded
    /// into a key or at the head of a [`Stamped`](super::Stamped) value. It sorts after every real position.
    pub const fn pending(slot: u16) -> Self {
        Self(u64::MAX - slot as u64)
    }

    /// The bare number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The slot, when this is a [`Position::pending`].
    pub const fn pending_slot(self) -> Option<u16> {
        let slot = u64::MAX - self.0;
        if slot <= u16::MAX as u64 { Some(slot as u16) } else { None }
    }

    /// The position `slots` later.
    pub(super) const fn plus(self, slots: u16) -> Self {
        Self(self.0 + slots as u64)
    }
}

impl From<u64> for Position {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Position {
    /// Refuses a pending position, because the engine could not find it again inside a serialised value.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.pending_slot().is_some() {
            return Err(S::Error::custom(
                "a pending position can be written only into a key or by a codec that stamps it",
            ));
        }
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_position_knows_its_slot_and_sorts_last() {
        assert_eq!(Position::pending(0).pending_slot(), Some(0));
        assert_eq!(Position::pending(u16::MAX).pending_slot(), Some(u16::MAX));
        assert_eq!(Position::from(7).pending_slot(), None);
        assert!(Position::from(1 << 60) < Position::pending(u16::MAX));
    }

    #[test]
    fn a_pending_position_cannot_hide_inside_a_serialised_value() {
        assert!(serde_json::to_string(&Position::pending(0)).is_err());
        assert_eq!(serde_json::to_string(&Position::from(7)).unwrap(), "7");
    }
}
