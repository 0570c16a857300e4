//! Pagination tokens: what clients hold between two pages of a timeline, and what they mean.
//!
//! A token of ours is `t` or `b` with the number of a place, and in a sync the position of that sync behind it. The token of a
//! sync is understood as well.

use std::{fmt, str::FromStr};

use ruma::OwnedRoomId;

use crate::{
    error::{Error, Result},
    storage::{Direction, KeyRange, Order, Position},
};

/// A boundary in a room's timeline: right after a place, whether or not an event stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageToken {
    place: Order,
    /// Up to where the client knows the room. A sync gives its token for what came before its timeline also to those who
    /// then ask for the members as of that sync.
    known: Option<Position>,
}

impl PageToken {
    /// The boundary before every event; backfilled history never reaches down to its place.
    pub const START: Self = Self::after(Order::Backfilled(0));

    /// The boundary right after a place.
    pub const fn after(place: Order) -> Self {
        Self { place, known: None }
    }

    /// The boundary right before a place.
    pub fn before(order: Order) -> Self {
        Self::after(preceding(order).unwrap_or(order))
    }

    /// The boundary at a position of the log: everything at or below it is before the boundary.
    pub const fn at(position: Position) -> Self {
        Self::after(Order::Live(position))
    }

    /// The same boundary for a client that knows the room up to `position`.
    #[must_use]
    pub const fn known_until(self, position: Position) -> Self {
        Self { known: Some(position), ..self }
    }

    /// The last place before the boundary.
    pub const fn place(self) -> Order {
        self.place
    }

    /// The place up to which the client that holds the token knows the room.
    pub fn moment(self) -> Order {
        self.known.map_or(self.place, Order::Live)
    }

    /// The part of a room's timeline that a reader who stands here and goes in `direction` has ahead.
    pub fn ahead(self, room_id: &OwnedRoomId, direction: Direction) -> KeyRange<(OwnedRoomId, Order)> {
        match direction {
            Direction::Forward => KeyRange::prefix_after((room_id,), self.place),
            Direction::Reverse => KeyRange::prefix_until((room_id,), self.place),
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
        match self.place {
            Order::Live(position) => write!(f, "t{position}")?,
            Order::Backfilled(number) => write!(f, "b{number}")?,
        }
        self.known.map_or(Ok(()), |position| write!(f, "_{position}"))
    }
}

impl FromStr for PageToken {
    type Err = Error;

    /// Reads a token of ours, or of a sync, of which only the position counts here.
    fn from_str(token: &str) -> Result<Self> {
        parse(token).ok_or_else(|| Error::invalid("The server does not know this pagination token."))
    }
}

fn parse(token: &str) -> Option<PageToken> {
    let (mark, rest) = token.split_at_checked(1)?;
    let (place, known) = match rest.split_once('_') {
        Some((place, known)) => (place, Some(known)),
        None => (rest, None),
    };
    let place = match mark {
        "t" | "s" => Order::Live(position(place)?),
        "b" => Order::Backfilled(number(place)?),
        _ => return None,
    };
    let token = PageToken::after(place);
    match known {
        Some(known) if mark != "s" => Some(token.known_until(position(known)?)),
        _ => Some(token),
    }
}

/// A number written in digits alone, unlike what the standard library accepts.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn position(digits: &str) -> Option<Position> {
    number(digits).map(Position::from).filter(|position| position.pending_slot().is_none())
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
        assert_eq!(read("t17_20"), Some(PageToken::at(17.into()).known_until(20.into())));
        assert_eq!(PageToken::START.to_string(), "b0");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let huge = format!("t{}", u64::MAX);
        let too_large = format!("t{}0", u64::MAX);
        for token in [
            "", "t", "17", "s", "s_1", "t_1", "t17_", "t17_a", "t1_2_3", "t-1", "t+1", "t1.5", "x17", "ü17", &huge,
            &too_large,
        ] {
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
            prop_assert_eq!(boundary.moment(), order);
            let known = boundary.known_until(9.into());
            prop_assert_eq!(read(&known.to_string()), Some(known));
            prop_assert_eq!((known.place(), known.moment()), (order, Order::Live(9.into())));
        }

        #[test]
        fn a_boundary_lies_between_neighbours(order in orders()) {
            prop_assert!(PageToken::before(order).place() < order);
            prop_assert_eq!(following(PageToken::before(order).place()), order);
            prop_assert_eq!(preceding(following(order)), Some(order));
        }
    }
}
