//! The order key of a timeline: history fetched later sorts before what the server saw happen.

use serde::{Deserialize, Serialize};

use super::{Encoder, KeyPart, Position};
use crate::error::{Error, Result};

/// Where an event stands in its room's timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Order {
    /// History from before this server joined; counts up towards the first live event.
    Backfilled(u64),
    /// An event that arrived while this server was in the room, at the position of its commit.
    Live(Position),
}

impl KeyPart for Order {
    fn encode_part(&self, out: &mut Encoder) {
        match self {
            Self::Backfilled(number) => {
                out.push(0);
                out.extend(&number.to_be_bytes());
            }
            Self::Live(position) => {
                out.push(1);
                out.position(*position);
            }
        }
    }

    fn decode_part(input: &mut &[u8]) -> Result<Self> {
        match u8::decode_part(input)? {
            0 => u64::decode_part(input).map(Self::Backfilled),
            1 => Position::decode_part(input).map(Self::Live),
            tag => Err(Error::internal(format_args!("an order key starts with {tag}"))),
        }
    }
}
