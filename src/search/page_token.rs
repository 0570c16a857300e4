//! Where a page of search results goes on.

use std::{fmt, str::FromStr};

use super::index::From;
use crate::error::Error;

/// A token as clients carry it: `o<place>` for the newest, `r<number>_<place>` for the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageToken(pub From);

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            From::Before(place) => write!(f, "o{place}"),
            From::Best(skipped, place) => write!(f, "r{skipped}_{place}"),
        }
    }
}

impl FromStr for PageToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::invalid("next_batch is not one that a search gave.");
        let number = |text: &str| text.parse::<u64>().map_err(|_| refused());
        if let Some(place) = text.strip_prefix('o') {
            return Ok(Self(From::Before(number(place)?.into())));
        }
        let (skipped, place) = text.strip_prefix('r').and_then(|rest| rest.split_once('_')).ok_or_else(refused)?;
        let skipped =
            skipped.parse().ok().filter(|skipped| *skipped <= super::messages::DEEPEST).ok_or_else(refused)?;
        Ok(Self(From::Best(skipped, number(place)?.into())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tokens_come_back(place: u64, skipped in 0..1_000usize) {
            for token in [From::Before(place.into()), From::Best(skipped, place.into())].map(PageToken) {
                prop_assert_eq!(token.to_string().parse::<PageToken>().unwrap(), token);
            }
        }

        #[test]
        fn other_texts_are_refused(text in "\\PC{0,8}") {
            if let Ok(token) = text.parse::<PageToken>() {
                prop_assert!(text.starts_with(['o', 'r']), "{:?}", token);
            }
        }
    }
}
