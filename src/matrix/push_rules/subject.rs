//! An event as push rules look at it: its properties by their paths.

use std::{borrow::Cow, iter, sync::OnceLock};

use ruma::{RoomId, UserId, push::ScalarJsonValue};
use serde_json::Value;

use crate::matrix::{event::Event, glob};

/// An event that rules are asked about, prepared once for all readers.
#[derive(Debug)]
pub struct Subject<'a> {
    event: &'a Event,
    kind: String,
    content: Value,
    /// The body in lower case, once a rule has asked for it.
    lower_body: OnceLock<Option<String>>,
}

impl<'a> Subject<'a> {
    /// Prepares an event.
    pub fn new(event: &'a Event) -> Self {
        let content = event.content_as().unwrap_or_default();
        Self { event, kind: event.kind.to_string(), content, lower_body: OnceLock::new() }
    }

    /// Who sent it.
    pub(super) fn sender(&self) -> &UserId {
        &self.event.sender
    }

    /// Where it was sent.
    pub(super) fn room_id(&self) -> &RoomId {
        &self.event.room_id
    }

    /// Whether the sender's client says whom the event mentions, so that nobody need guess it from the text.
    pub(super) fn says_whom_it_mentions(&self) -> bool {
        self.content.get("m.mentions").is_some()
    }

    /// The property at a dot-separated path (appendices, "Dot-separated property paths").
    pub(super) fn property(&self, path: &str) -> Option<Property<'_>> {
        Some(match path {
            "type" => Property::Text(&self.kind),
            "sender" => Property::Text(self.event.sender.as_str()),
            "room_id" => Property::Text(self.event.room_id.as_str()),
            "event_id" => Property::Text(self.event.id.as_str()),
            "state_key" => Property::Text(self.event.state_key.as_deref()?),
            "redacts" => Property::Text(self.event.redacts.as_deref()?.as_str()),
            "origin_server_ts" => Property::Time(self.event.origin_server_ts.get().into()),
            _ => Property::Json(self.inside_content(path)?),
        })
    }

    fn inside_content(&self, path: &str) -> Option<&Value> {
        let mut names = names(path);
        (names.next()? == "content").then_some(())?;
        names.try_fold(&self.content, |value, name| value.as_object()?.get(&*name))
    }

    /// Whether the body has the pattern between word boundaries.
    pub(super) fn body_has(&self, pattern: &str) -> bool {
        self.lower_body().is_some_and(|body| glob::matches_words(&pattern.to_lowercase(), body))
    }

    /// Whether the body has a name, letter by letter, between word boundaries.
    pub(super) fn body_names(&self, name: &str) -> bool {
        self.lower_body().is_some_and(|body| glob::contains_words(&name.to_lowercase(), body))
    }

    fn lower_body(&self) -> Option<&str> {
        let read = || self.content.get("body").and_then(Value::as_str).map(str::to_lowercase);
        self.lower_body.get_or_init(read).as_deref()
    }
}

/// A property of an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Property<'a> {
    Text(&'a str),
    Time(i64),
    Json(&'a Value),
}

impl<'a> Property<'a> {
    /// The value when it is a string.
    pub(super) fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Time(_) => None,
            Self::Json(value) => value.as_str(),
        }
    }

    /// Whether this is exactly the wanted value.
    pub(super) fn is(self, wanted: &ScalarJsonValue) -> bool {
        match self {
            Self::Text(text) => wanted.as_str() == Some(text),
            Self::Time(time) => wanted.as_integer().map(i64::from) == Some(time),
            Self::Json(value) => same(value, wanted),
        }
    }

    /// Whether this is a list with exactly the wanted value in it.
    pub(super) fn contains(self, wanted: &ScalarJsonValue) -> bool {
        match self {
            Self::Json(Value::Array(values)) => values.iter().any(|value| same(value, wanted)),
            _ => false,
        }
    }
}

/// Whether a value is exactly the wanted one; values of other types, and lists and objects, never are.
fn same(value: &Value, wanted: &ScalarJsonValue) -> bool {
    match wanted {
        ScalarJsonValue::Null => value.is_null(),
        ScalarJsonValue::Bool(wanted) => value.as_bool() == Some(*wanted),
        ScalarJsonValue::Integer(wanted) => value.as_i64() == Some(i64::from(*wanted)),
        ScalarJsonValue::String(wanted) => value.as_str() == Some(wanted),
    }
}

/// The names in a dot-separated path, with `\.` and `\\` taken for a dot and a backslash.
fn names(path: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(path);
    iter::from_fn(move || {
        let text = rest?;
        let mut escaped = false;
        let end = text.bytes().position(|byte| {
            let ends = byte == b'.' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let name = &text[..end.unwrap_or(text.len())];
        rest = end.map(|end| &text[end + 1..]);
        Some(unescape(name))
    })
}

fn unescape(name: &str) -> Cow<'_, str> {
    if !name.contains('\\') {
        return Cow::Borrowed(name);
    }
    let mut plain = String::with_capacity(name.len());
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        let escapes = character == '\\' && matches!(characters.peek(), Some('.' | '\\'));
        plain.push(if escapes { characters.next().unwrap_or(character) } else { character });
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ruma::{Int, RoomVersionId, int};
    use serde_json::json;

    use super::*;
    use crate::matrix::fixtures::{Room, user};

    #[test]
    fn properties_are_found_by_their_path() {
        let mut room = Room::new(RoomVersionId::V12, "invite");
        let content = json!({
            "a": { "b.c": { "d": "deep" } }, "x\\y": "slash", "list": ["one", 2, null, { "no": 1 }, [3]],
            "n": 7, "nothing": null, "": { "": "empty" },
        });
        let event = room.set("creator", "org.example.kind", content).unwrap();
        let subject = Subject::new(&event);
        let text = |path: &str| subject.property(path).and_then(Property::as_str).map(str::to_owned);

        assert_eq!(text("type").as_deref(), Some("org.example.kind"));
        assert_eq!(text("sender"), Some(user("creator").to_string()));
        assert_eq!(text("room_id"), Some(room.id.to_string()));
        assert_eq!(text("event_id"), Some(event.id.to_string()));
        assert_eq!(text("state_key").as_deref(), Some(""));
        assert_eq!(text(r"content.a.b\.c.d").as_deref(), Some("deep"));
        assert_eq!(text(r"content.x\\y").as_deref(), Some("slash"));
        assert_eq!(text("content..").as_deref(), Some("empty"));
        for absent in
            ["content.a.b.c.d", "content.n", "content.a", "content.missing", "a", "", "content.list.0", "hashes"]
        {
            assert_eq!(text(absent), None, "{absent}");
        }

        let is = |path: &str, wanted: ScalarJsonValue| subject.property(path).is_some_and(|p| p.is(&wanted));
        assert!(is("content.n", int!(7).into()) && !is("content.n", "7".into()) && !is("content.n", int!(8).into()));
        assert!(is("content.nothing", ScalarJsonValue::Null) && !is("content.missing", ScalarJsonValue::Null));
        assert!(is("type", "org.example.kind".into()) && !is("type", "org.example.KIND".into()));
        let sent = Int::try_from(i64::from(event.origin_server_ts.get())).unwrap();
        assert!(is("origin_server_ts", sent.into()) && !is("origin_server_ts", int!(0).into()));

        let has = |wanted: ScalarJsonValue| subject.property("content.list").is_some_and(|p| p.contains(&wanted));
        assert!(has("one".into()) && has(int!(2).into()) && has(ScalarJsonValue::Null));
        assert!(!has("on".into()) && !has(int!(3).into()) && !has(true.into()));
        assert!(!subject.property("type").unwrap().contains(&"org.example.kind".into()));
    }

    #[test]
    fn a_path_is_split_at_dots_that_are_not_escaped() {
        let table: [(&str, &[&str]); 8] = [
            ("content.body", &["content", "body"]),
            (r"content.m\.relates_to.rel_type", &["content", "m.relates_to", "rel_type"]),
            (r"a\\.b", &[r"a\", "b"]),
            (r"a\\\.b", &[r"a\.b"]),
            (r"a\x.b", &[r"a\x", "b"]),
            (r"a\", &[r"a\"]),
            ("", &[""]),
            ("..", &["", "", ""]),
        ];
        for (path, expected) in table {
            assert_eq!(names(path).collect::<Vec<_>>(), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn escaped_names_come_back(parts in prop::collection::vec("[a.\\\\]{0,4}", 1..4)) {
            let escape = |name: &String| name.replace('\\', r"\\").replace('.', r"\.");
            let path = parts.iter().map(escape).collect::<Vec<_>>().join(".");
            prop_assert_eq!(names(&path).collect::<Vec<_>>(), parts);
        }
    }
}
