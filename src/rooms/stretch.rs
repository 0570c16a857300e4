//! Stretches of a timeline between two places.

use ruma::OwnedRoomId;

use super::pagination::{following, preceding};
use crate::storage::{KeyRange, Order, Position};

/// A part of a timeline with its first and its last place; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first place.
    pub from: Option<Order>,
    /// The last place.
    pub until: Option<Order>,
}

impl Stretch {
    /// The stretches into which `changes`, in order, cut a timeline: one for each change, and those before, between and after.
    pub fn between(changes: &[Order]) -> Vec<Self> {
        let mut stretches = Vec::with_capacity(2 * changes.len() + 1);
        let mut from = None;
        for change in changes {
            let until = preceding(*change).filter(|until| from.is_none_or(|from| from <= *until));
            stretches.extend(until.map(|until| Self { from, until: Some(until) }));
            stretches.push(Self { from: Some(*change), until: Some(*change) });
            from = Some(following(*change));
        }
        stretches.push(Self { from, until: None });
        stretches
    }

    /// The same places in as few stretches as possible; `stretches` are in order.
    pub fn joined(stretches: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut joined: Vec<Self> = Vec::new();
        for stretch in stretches {
            match joined.last_mut() {
                Some(last) if last.until.map(following) == stretch.from => last.until = stretch.until,
                _ => joined.push(stretch),
            }
        }
        joined
    }

    /// Whether a place is one of its own.
    pub fn contains(&self, place: Order) -> bool {
        self.from.is_none_or(|from| from <= place) && self.until.is_none_or(|until| place <= until)
    }

    /// One of its places.
    pub fn any_place(&self) -> Order {
        self.from.or(self.until).unwrap_or(Order::Live(Position::ZERO))
    }

    /// The rows of a room's timeline at its places.
    pub fn rows(&self, room_id: &OwnedRoomId) -> KeyRange<(OwnedRoomId, Order)> {
        let rows = KeyRange::prefix((room_id,));
        let rows = match self.from {
            Some(from) => rows.and(KeyRange::prefix_from((room_id,), from)),
            None => rows,
        };
        match self.until {
            Some(until) => rows.and(KeyRange::prefix_until((room_id,), until)),
            None => rows,
        }
    }
}
