//! Where a page of search results goes on.

use std::{fmt, str::FromStr};

use ruma::{OwnedRoomId, OwnedUserId};

use super::index::From;
use crate::error::Error;

/// A token as clients carry it: `o<place>` for the newest, `r<rank>_<place>` for the best, and `_` with a room or a user behind it
/// for the results of that group alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// Where it goes on.
    pub from: From,
    /// With which results.
    pub group: Group,
}

/// Which results are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// All.
    #[default]
    All,
    /// Those in one room.
    Room(OwnedRoomId),
    /// Those that one person wrote.
    Sender(OwnedUserId),
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            From::Before(place) => write!(f, "o{place}")?,
            From::Behind(rank, place) => write!(f, "r{rank}_{place}")?,
        }
        match &self.group {
            Group::All => Ok(()),
            Group::Room(room) => write!(f, "_{room}"),
            Group::Sender(sender) => write!(f, "_{sender}"),
        }
    }
}

impl FromStr for PageToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error::invalid("next_batch is not one that a search gave."))
    }
}

fn parse(text: &str) -> Option<PageToken> {
    let (order, rest) = text.split_at_checked(1)?;
    let mut parts = rest.splitn(if order == "r" { 3 } else { 2 }, '_');
    let first = parts.next()?;
    let from = match order {
        "o" => From::Before(first.parse().ok()?),
        "r" => From::Behind(first.parse().ok()?, parts.next()?.parse().ok()?),
        _ => return None,
    };
    let group = match parts.next() {
        None => Group::All,
        Some(room) if room.starts_with('!') => Group::Room(room.try_into().ok()?),
        Some(sender) => Group::Sender(sender.try_into().ok()?),
    };
    Some(PageToken { from, group })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ruma::{owned_room_id, owned_user_id};

    use super::*;

    proptest! {
        #[test]
        fn tokens_come_back(place: u64, rank: u32) {
            let groups = [Group::All, Group::Room(owned_room_id!("!a_b:c.d")), Group::Sender(owned_user_id!("@a_b:c.d"))];
            for group in groups {
                for from in [From::Before(place), From::Behind(rank, place)] {
                    let token = PageToken { from, group: group.clone() };
                    prop_assert_eq!(token.to_string().parse::<PageToken>().unwrap(), token);
                }
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
