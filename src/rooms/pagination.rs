//! The tokens with which clients page through a timeline.

use std::{fmt, str::FromStr};

use crate::{
    error::{Error, Kind},
    storage::{Order, Position},
};

/// A boundary in a room's timeline: right after a place.
///
/// Its text form is `t<position>`, or `b<number>` among history that came later from elsewhere. The token of a sync is also
/// understood, since clients page from where a sync left off. Clients must not look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageToken {
    after: Order,
}

impl PageToken {
    /// The boundary right after `order`.
    pub fn after(order: Order) -> Self {
        Self { after: order }
    }

    /// The boundary right before `order`.
    pub fn before(order: Order) -> Self {
        let after = match order {
            Order::Live(position) => Order::Live(position.get().saturating_sub(1).into()),
            Order::Backfilled(number) => Order::Backfilled(number.saturating_sub(1)),
        };
        Self { after }
    }

    /// The place that the boundary comes after.
    pub fn place(self) -> Order {
        self.after
    }
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            Order::Live(position) => write!(f, "t{position}"),
            Order::Backfilled(number) => write!(f, "b{number}"),
        }
    }
}

impl FromStr for PageToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let order = match text.split_at_checked(1) {
            Some(("t", number)) => number.parse().ok().map(|number: u64| Order::Live(Position::from(number))),
            Some(("b", number)) => number.parse().ok().map(Order::Backfilled),
            Some(("s", rest)) => {
                let number = rest.split('_').next().and_then(|number| number.parse::<u64>().ok());
                number.map(|number| Order::Live(Position::from(number)))
            }
            _ => None,
        };
        let order = order.ok_or_else(|| Kind::InvalidParam.with(format!("{text:?} is not a token of this server.")))?;
        Ok(Self { after: order })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_survives_its_text_form(number: u64, live: bool) {
            let order = if live { Order::Live(number.into()) } else { Order::Backfilled(number) };
            let token = PageToken::after(order);
            prop_assert_eq!(token.to_string().parse::<PageToken>().unwrap(), token);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = text.parse::<PageToken>();
        }
    }

    #[test]
    fn the_token_of_a_sync_is_understood() {
        let token: PageToken = "s12_ab_3".parse().unwrap();
        assert_eq!(token.place(), Order::Live(12.into()));
    }
}
