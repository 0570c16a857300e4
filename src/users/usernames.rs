//! The grammar of user ids: which names new accounts may have, and whom a person means who logs in.

use ruma::{OwnedUserId, ServerName, UserId};

use crate::error::{Kind, Result};

/// The longest user id in bytes, with the `@` and the server name.
const MAXIMUM_LENGTH: usize = 255;

/// The id of a new account called `username`, which may be written with capital letters.
///
/// # Errors
///
/// `InvalidUsername` if the name is not in the grammar for new user ids ("User Identifiers" in the specification's
/// appendices), or if the id would be longer than 255 bytes.
pub fn new_user_id(username: &str, server_name: &ServerName) -> Result<OwnedUserId> {
    let localpart = username.to_ascii_lowercase();
    if localpart.is_empty() || !localpart.bytes().all(is_allowed) {
        return Err(Kind::InvalidUsername
            .with("A username consists of the letters a to z, digits, and the characters . _ = - / +"));
    }
    let id = format!("@{localpart}:{server_name}");
    if id.len() > MAXIMUM_LENGTH {
        return Err(Kind::InvalidUsername.with("This username is too long."));
    }
    UserId::parse(id).map_err(|_| Kind::InvalidUsername.with("This is not a valid username."))
}

/// Whom a person means who gives `name`, a localpart or a whole user id, to log in on this server.
///
/// Capital letters mean their small counterparts, because no two accounts differ only in them. `None` if no account of this
/// server can have this name.
pub fn local_user_id(name: &str, server_name: &ServerName) -> Option<OwnedUserId> {
    let localpart = match name.strip_prefix('@') {
        Some(id) => id.split_once(':').filter(|(_, server)| *server == server_name.as_str()).map(|(local, _)| local)?,
        None => name,
    };
    new_user_id(localpart, server_name).ok()
}

fn is_allowed(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'-' | b'/' | b'+')
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;

    #[test]
    fn new_names_are_lowercased() {
        let id = new_user_id("Alice.B_c=d-e/f+1", server_name!("example.org")).unwrap();
        assert_eq!(id, "@alice.b_c=d-e/f+1:example.org");
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        for name in ["", "a b", "é", "a:b", "@alice:example.org", "a!", "a\"", "a'", "a\\", "a\n", "a|b", "{a}", "[a]"]
        {
            let error = new_user_id(name, server_name!("example.org")).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidUsername, "{name:?}");
        }
    }

    #[test]
    fn the_whole_id_has_at_most_255_bytes() {
        let longest = "a".repeat(255 - "@:example.org".len());
        assert_eq!(new_user_id(&longest, server_name!("example.org")).unwrap().as_str().len(), 255);
        assert!(new_user_id(&format!("{longest}a"), server_name!("example.org")).is_err());
    }

    #[test]
    fn a_person_may_log_in_by_localpart_or_id_in_any_case() {
        for name in ["alice", "Alice", "@alice:example.org", "@ALICE:example.org"] {
            assert_eq!(local_user_id(name, server_name!("example.org")).unwrap(), "@alice:example.org");
        }
        for name in ["@alice:elsewhere.org", "@alice", "alice:example.org", ""] {
            assert_eq!(local_user_id(name, server_name!("example.org")), None, "{name:?}");
        }
    }
}
