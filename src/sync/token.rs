//! The token of a sync: where in the log, and where among what lives only in memory, the client stands.

use std::{fmt, str::FromStr};

use crate::{
    error::{Error, Kind},
    streams::{EphemeralPosition, Position},
};

/// Where a client stands: everything up to here it has been told.
///
/// Its text form, `s<position>_<boot in hex>_<ephemeral count>`, is opaque to clients. A device that has more messages waiting
/// than one answer holds gets a fourth part, the position up to which it has been told of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncToken {
    /// The position in the log.
    pub position: Position,
    /// The position among typing and presence.
    pub ephemeral: EphemeralPosition,
    /// The position up to which the device has been told of what was sent to it; never after `position`.
    pub to_device: Position,
}

impl SyncToken {
    /// The same place among typing and presence, at another position in the log.
    pub(super) fn moved_to(self, position: Position) -> Self {
        Self { position, to_device: self.to_device.min(position), ..self }
    }
}

impl fmt::Display for SyncToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, ephemeral: EphemeralPosition { boot, count }, to_device } = self;
        write!(f, "s{position}_{boot:x}_{count}")?;
        if to_device == position { Ok(()) } else { write!(f, "_{to_device}") }
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
            let to_device = parts.next().map_or(Ok(position), str::parse).ok()?;
            let token = Self {
                position: Position::from(position),
                ephemeral: EphemeralPosition { boot, count },
                to_device: Position::from(to_device),
            };
            (parts.next().is_none() && to_device <= position).then_some(token)
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
        fn a_token_survives_its_text_form(position: u64, boot: u32, count: u64, behind: Option<u64>) {
            let ephemeral = EphemeralPosition { boot, count };
            let to_device = Position::from(position.saturating_sub(behind.unwrap_or(0)));
            let token = SyncToken { position: Position::from(position), ephemeral, to_device };
            prop_assert_eq!(token.to_string().parse::<SyncToken>().unwrap(), token);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = text.parse::<SyncToken>();
        }
    }

    #[test]
    fn a_token_says_how_far_messages_to_the_device_were_told_only_if_that_is_not_everything() {
        let told = |text: &str| text.parse::<SyncToken>().unwrap().to_device.get();
        assert_eq!((told("s9_a_3"), told("s9_a_3_7"), told("s9_a_3_0")), (9, 7, 0));
        assert_eq!("s9_a_3_9".parse::<SyncToken>().unwrap().to_string(), "s9_a_3");
        assert_eq!("s9_a_3_7".parse::<SyncToken>().unwrap().to_string(), "s9_a_3_7");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let refused = [
            "",
            "s",
            "s1",
            "s1_2",
            "t1_2_3",
            "s1_2_3_4",
            "s1_2_3_1_1",
            "s1_2_3_",
            "s1_2_3_x",
            "s-1_2_3",
            "s1_g_3",
            "s1_2_",
            "s99999999999999999999_1_1",
        ];
        for text in refused {
            assert_eq!(text.parse::<SyncToken>().unwrap_err().kind, Kind::InvalidParam, "{text:?}");
        }
    }
}
