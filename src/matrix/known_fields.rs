//! The shapes of the fields that the specification defines in the content of events, where others read them: what has another
//! shape is refused when it is sent, so that nobody's client has to cope with it.
//!
//! Only what is there is looked at, and `null` is as nothing: what has to be there depends on who reads. Power levels and aliases
//! are not among these, since services look into them more closely.

use ruma::canonical_json::{CanonicalJsonObject, CanonicalJsonValue};

use crate::error::{Kind, Result};

/// What a field holds.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Flag,
    Integer,
    Object,
    List,
    Texts,
    OneOf(&'static [&'static str]),
}

use Shape::{Flag, Integer, List, Object, OneOf, Text, Texts};

type Fields = &'static [(&'static str, Shape)];

/// The fields of state events by type.
const STATE: &[(&str, Fields)] = &[
    ("m.room.create", &[("type", Text), ("m.federate", Flag), ("predecessor", Object), ("additional_creators", Texts)]),
    (
        "m.room.member",
        &[
            ("membership", Text),
            ("displayname", Text),
            ("avatar_url", Text),
            ("is_direct", Flag),
            ("reason", Text),
            ("join_authorised_via_users_server", Text),
            ("third_party_invite", Object),
        ],
    ),
    ("m.room.name", &[("name", Text)]),
    ("m.room.topic", &[("topic", Text), ("m.topic", Object)]),
    ("m.room.avatar", &[("url", Text), ("info", Object)]),
    // What `allow` holds may be anything: who reads it leaves out what it does not know, and an `allow` that is none lets nobody in.
    ("m.room.join_rules", &[("join_rule", Text)]),
    ("m.room.history_visibility", &[("history_visibility", OneOf(&["invited", "joined", "shared", "world_readable"]))]),
    ("m.room.guest_access", &[("guest_access", OneOf(&["can_join", "forbidden"]))]),
    ("m.room.encryption", &[("algorithm", Text), ("rotation_period_ms", Integer), ("rotation_period_msgs", Integer)]),
    ("m.room.server_acl", &[("allow", Texts), ("deny", Texts), ("allow_ip_literals", Flag)]),
    ("m.room.pinned_events", &[("pinned", Texts)]),
    ("m.room.tombstone", &[("body", Text), ("replacement_room", Text)]),
    (
        "m.room.third_party_invite",
        &[("display_name", Text), ("key_validity_url", Text), ("public_key", Text), ("public_keys", List)],
    ),
    ("m.space.child", &[("via", Texts), ("order", Text), ("suggested", Flag)]),
    ("m.space.parent", &[("via", Texts), ("canonical", Flag)]),
];

/// The fields of other events by type.
const MESSAGES: &[(&str, Fields)] = &[
    ("m.room.message", &[("msgtype", Text), ("body", Text)]),
    ("m.sticker", &[("body", Text), ("url", Text), ("info", Object)]),
    ("m.room.encrypted", &[("algorithm", Text)]),
    ("m.room.redaction", &[("reason", Text)]),
];

/// The fields of all of these.
const ANY_MESSAGE: Fields = &[("m.relates_to", Object), ("m.mentions", Object)];

/// Checks the content of an event of a type, which is a state event or not.
///
/// # Errors
///
/// [`Kind::BadJson`] that names a field of another shape than the specification says.
pub fn check(kind: &str, is_state: bool, content: &CanonicalJsonObject) -> Result<()> {
    let (by_type, of_all) = if is_state { (STATE, &[][..]) } else { (MESSAGES, ANY_MESSAGE) };
    let of_type = by_type.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, fields)| fields);
    for (name, shape) in of_type.iter().chain(of_all) {
        match content.get(*name) {
            None | Some(CanonicalJsonValue::Null) => {}
            Some(value) if shape.fits(value) => {}
            Some(_) => {
                let message = format!("In the content of {kind}, \"{name}\" must be {}.", shape.in_words());
                return Err(Kind::BadJson.with(message));
            }
        }
    }
    Ok(())
}

impl Shape {
    fn fits(self, value: &CanonicalJsonValue) -> bool {
        match (self, value) {
            (Text, CanonicalJsonValue::String(_))
            | (Flag, CanonicalJsonValue::Bool(_))
            | (Integer, CanonicalJsonValue::Integer(_))
            | (Object, CanonicalJsonValue::Object(_))
            | (List, CanonicalJsonValue::Array(_)) => true,
            (Texts, CanonicalJsonValue::Array(values)) => values.iter().all(|value| Text.fits(value)),
            (OneOf(words), CanonicalJsonValue::String(word)) => words.contains(&word.as_str()),
            _ => false,
        }
    }

    fn in_words(self) -> String {
        match self {
            Text => "a text".to_owned(),
            Flag => "true or false".to_owned(),
            Integer => "an integer".to_owned(),
            Object => "an object".to_owned(),
            List => "a list".to_owned(),
            Texts => "a list of texts".to_owned(),
            OneOf(words) => format!("one of {}", words.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn passes(kind: &str, is_state: bool, content: serde_json::Value) -> bool {
        check(kind, is_state, &serde_json::from_value(content).unwrap()).is_ok()
    }

    #[test]
    fn known_fields_have_the_shape_that_they_should() {
        for (kind, good, bad) in [
            ("m.room.name", json!({"name": "a"}), json!({"name": 1})),
            ("m.room.name", json!({}), json!({"name": {}})),
            ("m.room.name", json!({"name": null, "other": 1}), json!({"name": ["a"]})),
            ("m.room.join_rules", json!({"join_rule": "org.example"}), json!({"join_rule": 5})),
            ("m.room.join_rules", json!({"allow": {}}), json!({"allow": {}, "join_rule": []})),
            ("m.room.history_visibility", json!({"history_visibility": "shared"}), json!({"history_visibility": "x"})),
            ("m.room.guest_access", json!({"guest_access": "forbidden"}), json!({"guest_access": true})),
            ("m.room.encryption", json!({"rotation_period_ms": 1}), json!({"rotation_period_ms": "1"})),
            ("m.room.pinned_events", json!({"pinned": ["$a"]}), json!({"pinned": ["$a", 1]})),
            ("m.room.server_acl", json!({"allow_ip_literals": true}), json!({"allow_ip_literals": "true"})),
            ("m.room.member", json!({"displayname": "a"}), json!({"displayname": 1})),
            ("m.room.create", json!({"predecessor": {}}), json!({"type": 5})),
            ("org.example", json!({"name": "a"}), json!(null)),
        ] {
            assert!(passes(kind, true, good.clone()), "{kind} {good}");
            assert!(bad.is_null() || !passes(kind, true, bad.clone()), "{kind} {bad}");
            assert!(bad.is_null() || passes(kind, false, bad.clone()), "a message of type {kind}: {bad}");
        }
        for (kind, good, bad) in [
            ("m.room.message", json!({"body": "a", "msgtype": "m.text"}), json!({"body": 5})),
            ("m.room.message", json!({"m.mentions": {}}), json!({"m.mentions": []})),
            ("org.example", json!({"m.relates_to": {}}), json!({"m.relates_to": "x"})),
        ] {
            assert!(passes(kind, false, good.clone()), "{kind} {good}");
            assert!(!passes(kind, false, bad.clone()), "{kind} {bad}");
        }
    }
}
