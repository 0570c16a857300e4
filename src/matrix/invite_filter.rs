//! Whose invitations somebody wants: "Invite permission" in the client-server specification, and the lists of MSC4155.

use ruma::{
    UserId,
    events::invite_permission_config::{InvitePermissionAction, InvitePermissionConfigEventContent},
};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};

use super::glob::{QuestionMark, matches};

/// The type of the account data that blocks all invitations, as it is called since version 1.18.
pub const PERMISSION: &str = "m.invite_permission_config";
/// What MSC4380 called it before that.
pub const UNSTABLE_PERMISSION: &str = "org.matrix.msc4380.invite_permission_config";
/// The type of the account data with lists of users and servers (MSC4155).
pub const LISTS: &str = "org.matrix.msc4155.invite_permission_config";

/// What becomes of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteVerdict {
    /// It reaches the user.
    Deliver,
    /// The user is not told of it, and the inviter does not learn that.
    Ignore,
    /// The inviter is told that the user wants none.
    Block,
}

/// Whether account data of the type [`PERMISSION`] or [`UNSTABLE_PERMISSION`] blocks all invitations.
pub fn blocks_all(content: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Unstable {
        block_all: bool,
    }

    let config: Result<InvitePermissionConfigEventContent, _> = serde_json::from_str(content.get());
    let old: Result<Unstable, _> = serde_json::from_str(content.get());
    config.is_ok_and(|config| config.default_action == Some(InvitePermissionAction::Block))
        || old.is_ok_and(|old| old.block_all)
}

/// The lists of MSC4155: globs of user ids and of server names. What has another shape is no pattern.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct InviteLists {
    #[serde(deserialize_with = "patterns")]
    allowed_users: Vec<String>,
    #[serde(deserialize_with = "patterns")]
    ignored_users: Vec<String>,
    #[serde(deserialize_with = "patterns")]
    blocked_users: Vec<String>,
    #[serde(deserialize_with = "patterns")]
    allowed_servers: Vec<String>,
    #[serde(deserialize_with = "patterns")]
    ignored_servers: Vec<String>,
    #[serde(deserialize_with = "patterns")]
    blocked_servers: Vec<String>,
}

impl InviteLists {
    /// The lists in account data of the type [`LISTS`]; empty ones if it is something else.
    pub fn parse(content: &RawValue) -> Self {
        serde_json::from_str(content.get()).unwrap_or_default()
    }

    /// What becomes of invitations from `inviter`. Lists of users win over lists of servers, and the friendlier list wins.
    pub fn judge(&self, inviter: &UserId) -> InviteVerdict {
        let server = inviter.server_name();
        let server_in = |patterns: &[String]| is_in(patterns, server.as_str()) || is_in(patterns, server.host());
        let user_in = |patterns: &[String]| is_in(patterns, inviter.as_str());
        let lists = [
            (user_in(&self.allowed_users), InviteVerdict::Deliver),
            (user_in(&self.ignored_users), InviteVerdict::Ignore),
            (user_in(&self.blocked_users), InviteVerdict::Block),
            (server_in(&self.allowed_servers), InviteVerdict::Deliver),
            (server_in(&self.ignored_servers), InviteVerdict::Ignore),
            (server_in(&self.blocked_servers), InviteVerdict::Block),
        ];
        lists.into_iter().find(|(is_in, _)| *is_in).map_or(InviteVerdict::Deliver, |(_, verdict)| verdict)
    }
}

fn is_in(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, text, QuestionMark::AnyCharacter))
}

/// The texts of a list; nothing if it is none, such as `null`.
fn patterns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let Value::Array(items) = Value::deserialize(deserializer)? else { return Ok(Vec::new()) };
    let text = |item| if let Value::String(text) = item { Some(text) } else { None };
    Ok(items.into_iter().filter_map(text).collect())
}

#[cfg(test)]
mod tests {
    use ruma::user_id;
    use serde_json::{json, value::to_raw_value};

    use super::*;

    fn judge(lists: &Value, inviter: &UserId) -> InviteVerdict {
        InviteLists::parse(&to_raw_value(lists).unwrap()).judge(inviter)
    }

    #[test]
    fn the_most_exact_and_the_friendliest_list_decides() {
        use InviteVerdict::{Block, Deliver, Ignore};
        let bob = user_id!("@bob:evil.example:8448");
        let cases = [
            (json!({}), Deliver),
            (json!({"blocked_users": ["@bob:evil.example:8448"]}), Block),
            (json!({"blocked_users": ["@BOB:evil.example:8448"]}), Deliver),
            (json!({"ignored_users": ["@b?b:*"]}), Ignore),
            (json!({"blocked_users": ["@b?:*"]}), Deliver),
            (json!({"blocked_servers": ["*.example"]}), Block),
            (json!({"blocked_servers": ["evil.example"]}), Block),
            (json!({"ignored_servers": ["evil.example:8448"]}), Ignore),
            (json!({"blocked_servers": ["evil"]}), Deliver),
            (json!({"allowed_users": ["@bob:*"], "blocked_users": ["*"], "ignored_servers": ["*"]}), Deliver),
            (json!({"ignored_users": ["@bob:*"], "blocked_users": ["*"]}), Ignore),
            (json!({"blocked_users": ["@bob:*"], "allowed_servers": ["*"]}), Block),
            (json!({"allowed_servers": ["*.example"], "blocked_servers": ["*"]}), Deliver),
        ];
        for (lists, expected) in cases {
            assert_eq!(judge(&lists, bob), expected, "{lists}");
        }
    }

    #[test]
    fn what_is_no_list_of_patterns_blocks_nobody() {
        let bob = user_id!("@bob:example.org");
        for lists in [
            json!([]),
            json!({"blocked_users": null, "blocked_servers": "*", "ignored_users": {"*": {}}}),
            json!({"blocked_users": [null, 1, ["*"]]}),
        ] {
            assert_eq!(judge(&lists, bob), InviteVerdict::Deliver, "{lists}");
        }
        // One wrong item does not take the others along.
        assert_eq!(judge(&json!({"blocked_users": [1, "@bob:*"]}), bob), InviteVerdict::Block);
    }

    #[test]
    fn all_invitations_are_blocked_by_the_old_words_and_by_the_new() {
        let cases = [
            (json!({"default_action": "block"}), true),
            (json!({"default_action": "allow"}), false),
            (json!({"default_action": ["block"]}), false),
            (json!({"block_all": true}), true),
            (json!({"block_all": "true"}), false),
            (json!({}), false),
        ];
        for (content, expected) in cases {
            assert_eq!(blocks_all(&to_raw_value(&content).unwrap()), expected, "{content}");
        }
    }
}
