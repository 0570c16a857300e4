//! A backed up key: what the server can tell of it, and which of two is the better one.

use ruma::UInt;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Kind, Result};

/// The largest key in bytes of JSON; usual ones have about a thousand.
const MAXIMUM_KEY: usize = 65_536;

/// How good the key of a session is. Keys are ordered by it: a smaller one is better and takes the place of a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Keys whose owner the client has not verified come last.
    unverified: bool,
    /// From which message on the key decrypts.
    first_message_index: UInt,
    /// Through how many hands the key went.
    forwarded_count: UInt,
}

impl Rank {
    /// The rank of a key as a client sent it.
    ///
    /// # Errors
    ///
    /// `BadJson` if it is no key; `TooLarge` if it is too large.
    pub fn of(key: &RawValue) -> Result<Self> {
        #[derive(Deserialize)]
        struct Key<'a> {
            first_message_index: UInt,
            forwarded_count: UInt,
            is_verified: bool,
            #[serde(borrow)]
            session_data: &'a RawValue,
        }
        if key.get().len() > MAXIMUM_KEY {
            return Err(Kind::TooLarge.with("A backed up key has at most 65,536 bytes."));
        }
        let parsed: Key<'_> = serde_json::from_str(key.get())
            .map_err(|cause| Kind::BadJson.with(format!("What is to be backed up is no key: {cause}.")))?;
        if !parsed.session_data.get().starts_with('{') {
            return Err(Kind::BadJson.with("The session_data of a backed up key must be a JSON object."));
        }
        let Key { first_message_index, forwarded_count, is_verified, .. } = parsed;
        Ok(Self { unverified: !is_verified, first_message_index, forwarded_count })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{json, value::to_raw_value};

    use super::*;

    fn rank(is_verified: bool, first_message_index: u32, forwarded_count: u32) -> Rank {
        let key = json!({
            "is_verified": is_verified, "first_message_index": first_message_index, "forwarded_count": forwarded_count,
            "session_data": {},
        });
        Rank::of(&to_raw_value(&key).unwrap()).unwrap()
    }

    proptest! {
        /// The three sentences of the specification, one after the other.
        #[test]
        fn the_better_key_is_the_one_that_the_specification_keeps(
            old: (bool, u32, u32), new: (bool, u32, u32), alike in 0..3_u8
        ) {
            // Otherwise hardly two keys would be alike in anything.
            let new = (if alike > 0 { old.0 } else { new.0 }, if alike > 1 { old.1 } else { new.1 }, new.2);
            let replaces = if new.0 != old.0 { new.0 } else if new.1 != old.1 { new.1 < old.1 } else { new.2 < old.2 };
            prop_assert_eq!(rank(new.0, new.1, new.2) < rank(old.0, old.1, old.2), replaces);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let refused = [
            json!(null),
            json!([]),
            json!({}),
            json!({"first_message_index": 0, "forwarded_count": 0, "is_verified": false}),
            json!({"first_message_index": -1, "forwarded_count": 0, "is_verified": false, "session_data": {}}),
            json!({"first_message_index": 0, "forwarded_count": "0", "is_verified": false, "session_data": {}}),
            json!({"first_message_index": 0, "forwarded_count": 0, "is_verified": 1, "session_data": {}}),
            json!({"first_message_index": 0, "forwarded_count": 0, "is_verified": false, "session_data": "x"}),
            json!({"first_message_index": 1_u64 << 53, "forwarded_count": 0, "is_verified": false, "session_data": {}}),
        ];
        for key in refused {
            assert_eq!(Rank::of(&to_raw_value(&key).unwrap()).unwrap_err().kind, Kind::BadJson, "{key}");
        }
    }
}
