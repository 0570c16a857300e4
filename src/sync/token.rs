//! The token of a sync: where in the log, and where among what lives only in memory, the client stands.

use std::{fmt, str::FromStr};

use crate::{
    error::{Error, Kind},
    streams::{EphemeralPosition, Position},
};

/// Where a client stands: everything up to here it has been told.
///
/// Its text form, `s<position>_<boot in hex>_<ephemeral count>`, is opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncToken {
    /// The position in the log.
    pub position: Position,
    /// The position among typing and presence.
    pub ephemeral: EphemeralPosition,
}

impl fmt::Display for SyncToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, ephemeral: EphemeralPosition { boot, count } } = self;
        write!(f, "s{position}_{boot:x}_{count}")
    }
}

impl FromStr for SyncToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let mut parts = text.strip_prefix('s')?.split('_');
            let position: u64 = parts.next()?.parse().ok()?;
            let boot = u32::from_str_radix(parts.next()?, 16).ok()?;
            let count = parts.next()?.parse().ok()?;
            let ephemeral = EphemeralPosition { boot, count };
            parts.next().is_none().then(|| Self { position: Position::from(position), ephemeral })
        };
        parse().ok_or_else(|| Kind::InvalidParam.with("The since token is not one of this server's; sync without it."))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_survives_its_text_form(position: u64, boot: u32, count: u64) {
            let ephemeral = EphemeralPosition { boot, count };
            let token = SyncToken { position: Position::from(position), ephemeral };
            prop_assert_eq!(token.to_string().parse::<SyncToken>().unwrap(), token);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = text.parse::<SyncToken>();
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in
            ["", "s", "s1", "s1_2", "t1_2_3", "s1_2_3_4", "s-1_2_3", "s1_g_3", "s1_2_", "s99999999999999999999_1_1"]
        {
            assert_eq!(text.parse::<SyncToken>().unwrap_err().kind, Kind::InvalidParam, "{text:?}");
        }
    }
}
