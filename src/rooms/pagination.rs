//! Pagination tokens: what clients hold between two pages of a timeline, and what they mean.
//!
//! A token is `t` or `b` with the number of a place, or the token of a sync, whose leading number is a position as well.

use std::{fmt, str::FromStr};

use ruma::OwnedRoomId;

use crate::{
    error::{Error, Result},
    storage::{Direction, KeyRange, Order, Position},
};

/// A boundary in a room's timeline: right after a place, whether or not an event stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageToken(Order);

impl PageToken {
    /// The boundary before every event; backfilled history never reaches down to its place.
    pub const START: Self = Self(Order::Backfilled(0));

    /// The boundary right after a place.
    pub const fn after(order: Order) -> Self {
        Self(order)
    }

    /// The boundary right before a place.
    pub fn before(order: Order) -> Self {
        Self(preceding(order).unwrap_or(order))
    }

    /// The boundary at a position of the log: everything at or below it is before the boundary.
    pub const fn at(position: Position) -> Self {
        Self(Order::Live(position))
    }

    /// The last place before the boundary.
    pub const fn place(self) -> Order {
        self.0
    }

    /// The part of a room's timeline that a reader who stands here and goes in `direction` has ahead.
    pub fn ahead(self, room_id: &OwnedRoomId, direction: Direction) -> KeyRange<(OwnedRoomId, Order)> {
        match direction {
            Direction::Forward => KeyRange::prefix_after((room_id,), self.0),
            Direction::Reverse => KeyRange::prefix_until((room_id,), self.0),
        }
    }

    /// The part of a room's timeline that a reader who goes in `direction` has behind when reaching this boundary.
    pub fn behind(self, room_id: &OwnedRoomId, direction: Direction) -> KeyRange<(OwnedRoomId, Order)> {
        match direction {
            Direction::Forward => self.ahead(room_id, Direction::Reverse),
            Direction::Reverse => self.ahead(room_id, Direction::Forward),
        }
    }
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Order::Live(position) => write!(f, "t{position}"),
            Order::Backfilled(number) => write!(f, "b{number}"),
        }
    }
}

impl FromStr for PageToken {
    type Err = Error;

    /// Reads a token of ours, or of a sync, of which only the position counts here.
    fn from_str(token: &str) -> Result<Self> {
        let unknown = || Error::invalid("The server does not know this pagination token.");
        let (mark, rest) = token.split_at_checked(1).ok_or_else(unknown)?;
        let digits = match mark {
            "s" => rest.split('_').next().unwrap_or_default(),
            _ => rest,
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(unknown());
        }
        let number: u64 = digits.parse().map_err(|_| unknown())?;
        match mark {
            "t" | "s" if Position::from(number).pending_slot().is_none() => Ok(Self::at(number.into())),
            "b" => Ok(Self(Order::Backfilled(number))),
            _ => Err(unknown()),
        }
    }
}

/// The place right before another one; `None` before the first.
pub(super) fn preceding(order: Order) -> Option<Order> {
    match order {
        Order::Live(position) => match position.get().checked_sub(1) {
            Some(number) => Some(Order::Live(number.into())),
            None => Some(Order::Backfilled(u64::MAX)),
        },
        Order::Backfilled(number) => number.checked_sub(1).map(Order::Backfilled),
    }
}

/// The place right after another one.
pub(super) fn following(order: Order) -> Order {
    match order {
        Order::Live(position) => Order::Live(position.get().saturating_add(1).into()),
        Order::Backfilled(number) => match number.checked_add(1) {
            Some(number) => Order::Backfilled(number),
            None => Order::Live(Position::ZERO),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(token: &str) -> Option<PageToken> {
        token.parse().ok()
    }

    #[test]
    fn tokens_of_syncs_and_of_pages_are_read() {
        let at = |number: u64| Some(PageToken::at(number.into()));
        assert_eq!(read("t17"), at(17));
        assert_eq!(read("s17"), at(17));
        assert_eq!(read("s17_c0ffee_4"), at(17));
        assert_eq!(read("b17"), Some(PageToken::after(Order::Backfilled(17))));
        assert_eq!(PageToken::START.to_string(), "b0");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let huge = format!("t{}", u64::MAX);
        let too_large = format!("t{}0", u64::MAX);
        for token in ["", "t", "17", "s", "s_1", "t17_4", "b1_1", "t-1", "t+1", "t1.5", "x17", "ü17", &huge, &too_large]
        {
            assert_eq!(read(token), None, "{token:?}");
        }
    }

    fn orders() -> impl Strategy<Value = Order> {
        prop_oneof![(1..u64::MAX).prop_map(Order::Backfilled), (0..u64::MAX / 2).prop_map(|n| Order::Live(n.into()))]
    }

    proptest! {
        #[test]
        fn a_token_means_the_same_when_it_comes_back(order in orders()) {
            let boundary = PageToken::after(order);
            prop_assert_eq!(read(&boundary.to_string()), Some(boundary));
        }

        #[test]
        fn a_boundary_lies_between_neighbours(order in orders()) {
            prop_assert!(PageToken::before(order) < PageToken::after(order));
            prop_assert_eq!(following(PageToken::before(order).place()), order);
            prop_assert_eq!(preceding(following(order)), Some(order));
        }
    }
}
