//! Which room versions the server knows, which of them it recommends, and the rules of each.

use ruma::{
    RoomVersionId, api::client::discovery::get_capabilities::v3::RoomVersionStability,
    room_version_rules::RoomVersionRules,
};

use crate::error::{Kind, Result};

/// The version of a new room when nobody asks for another one.
pub const DEFAULT: RoomVersionId = RoomVersionId::V12;

/// Every room version the server can take part in, oldest first.
///
/// Version 1 is absent, since it has its own state resolution.
pub const SUPPORTED: [RoomVersionId; 11] = [
    RoomVersionId::V2,
    RoomVersionId::V3,
    RoomVersionId::V4,
    RoomVersionId::V5,
    RoomVersionId::V6,
    RoomVersionId::V7,
    RoomVersionId::V8,
    RoomVersionId::V9,
    RoomVersionId::V10,
    RoomVersionId::V11,
    RoomVersionId::V12,
];

/// Version 10 with owned state (MSC3757): a piece of state whose key starts with a user's id belongs to that user. Rooms are
/// created with it only by those who ask for it, since it is an experiment.
pub const OWNED_STATE: &str = "org.matrix.msc3757.10";

/// Whether pieces of state belong to the users whose ids their keys start with.
pub fn has_owned_state(version: &RoomVersionId) -> bool {
    version.as_str() == OWNED_STATE
}

/// The rules of a room version, without those of owned state, which `auth_rules` adds.
///
/// # Errors
///
/// [`Kind::UnsupportedRoomVersion`] when the version is neither in [`SUPPORTED`] nor [`OWNED_STATE`].
pub fn rules(version: &RoomVersionId) -> Result<&'static RoomVersionRules> {
    Ok(match version {
        RoomVersionId::V2 => &RoomVersionRules::V2,
        RoomVersionId::V3 => &RoomVersionRules::V3,
        RoomVersionId::V4 => &RoomVersionRules::V4,
        RoomVersionId::V5 => &RoomVersionRules::V5,
        RoomVersionId::V6 => &RoomVersionRules::V6,
        RoomVersionId::V7 => &RoomVersionRules::V7,
        RoomVersionId::V8 => &RoomVersionRules::V8,
        RoomVersionId::V9 => &RoomVersionRules::V9,
        RoomVersionId::V10 => &RoomVersionRules::V10,
        RoomVersionId::V11 => &RoomVersionRules::V11,
        RoomVersionId::V12 => &RoomVersionRules::V12,
        other if has_owned_state(other) => &RoomVersionRules::V10,
        other => {
            return Err(Kind::UnsupportedRoomVersion.with(format!("this server does not support room version {other}")));
        }
    })
}

/// What the server tells clients about a version in `m.room_versions`; `None` when it does not support it.
///
/// Versions 2 to 5 do not pin down how numbers are written in JSON, so the server takes part in such rooms and
/// advises against making new ones.
pub fn stability(version: &RoomVersionId) -> Option<RoomVersionStability> {
    let rules = rules(version).ok()?;
    Some(match rules.authorization.strict_canonical_json && !has_owned_state(version) {
        true => RoomVersionStability::Stable,
        false => RoomVersionStability::Unstable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_supported_and_stable() {
        assert!(SUPPORTED.contains(&DEFAULT));
        assert_eq!(stability(&DEFAULT), Some(RoomVersionStability::Stable));
    }

    #[test]
    fn every_supported_version_has_the_rules_that_ruma_knows_for_it() {
        for version in SUPPORTED {
            let ours = rules(&version).unwrap();
            let theirs = version.rules().unwrap();
            assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{version}");
        }
    }

    #[test]
    fn versions_without_strict_json_are_not_recommended() {
        let stable: Vec<_> =
            SUPPORTED.into_iter().filter(|v| stability(v) == Some(RoomVersionStability::Stable)).collect();
        assert_eq!(stable, SUPPORTED[4..]);
    }

    #[test]
    fn the_experiment_of_owned_state_is_known_and_not_recommended() {
        let version = RoomVersionId::try_from(OWNED_STATE).unwrap();
        assert!(rules(&version).is_ok());
        assert_eq!(stability(&version), Some(RoomVersionStability::Unstable));
    }

    #[test]
    fn other_versions_are_refused() {
        for version in ["1", "13", "org.example.experiment"] {
            let version = RoomVersionId::try_from(version).unwrap();
            assert_eq!(rules(&version).unwrap_err().kind, Kind::UnsupportedRoomVersion);
            assert_eq!(stability(&version), None);
        }
    }
}
