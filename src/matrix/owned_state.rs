//! Owned state (MSC3757): a piece of state whose key starts with a user's id can be set by that user, and by those with more
//! power than that user has.

use ruma::UserId;

use super::{event::Event, power_levels::PowerLevels};
use crate::error::{Error, Kind, Result};

/// Checks that the sender of a state event may set what belongs to the user whose id the state key starts with. Without a
/// user's id at its start the state is nobody's, and everybody with the level for its type may set it.
///
/// # Errors
///
/// [`Kind::BadJson`] if the state key starts like a user's id and holds none, [`Kind::Forbidden`] if it is another user's who
/// has at least as much power as the sender.
pub fn check(event: &Event, levels: &PowerLevels) -> Result<()> {
    let Some(state_key) = event.state_key.as_deref().filter(|key| key.starts_with('@')) else { return Ok(()) };
    let owner = owner(state_key).ok_or_else(|| {
        Kind::BadJson.with("A state key that starts with @ is a user's id, by itself or with an underscore behind it.")
    })?;
    if owner == event.sender || levels.of(&event.sender) > levels.of(owner) {
        return Ok(());
    }
    Err(Error::forbidden(format!("This piece of state belongs to {owner}, who has no less power than you.")))
}

/// The user whose id a state key is, or starts with if an underscore follows: no server's name has one in it.
fn owner(state_key: &str) -> Option<&UserId> {
    let colon = state_key.find(':')?;
    let end = state_key[colon..].find('_').map_or(state_key.len(), |length| colon + length);
    <&UserId>::try_from(&state_key[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_stands_at_the_start_of_the_key() {
        for (state_key, expected) in [
            ("@a:b.c", Some("@a:b.c")),
            ("@a:b.c_x", Some("@a:b.c")),
            ("@a:b.c_", Some("@a:b.c")),
            ("@a_b:b.c:80_x:!@#", Some("@a_b:b.c:80")),
            ("@a:[::1]_x", Some("@a:[::1]")),
            ("@a:b.cx", Some("@a:b.cx")),
            ("@oops", None),
            ("@a:b.c@x", None),
            ("@a:_x", None),
            ("@a:b.c x", None),
        ] {
            assert_eq!(owner(state_key).map(|user| user.as_str()), expected, "{state_key}");
        }
    }
}
