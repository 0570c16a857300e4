//! The expected rule: who may see which event, from the specification's text alone ("Room History Visibility" of the
//! client-server API). It knows nothing of the server but the room's events in their order.

use std::collections::BTreeSet;

use serde_json::Value;

/// Where the text that tells an event from all others begins and ends.
const MARK: (&str, &str) = ("mark-", "-end");

/// An event, as somebody sees it who was in the room from its beginning.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: String,
    pub kind: String,
    pub state_key: Option<String>,
    pub sender: String,
    pub content: Value,
}

/// Somebody who reads.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    pub id: &'a str,
    /// The one whose messages they do not want to see.
    pub ignores: Option<&'a str>,
    /// Whether they asked to forget the room, which makes them a stranger to it.
    pub forgot: bool,
}

impl Event {
    pub fn of(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Self {
            id: text("event_id").expect("every event has an id"),
            kind: text("type").expect("every event has a type"),
            state_key: text("state_key"),
            sender: text("sender").expect("every event has a sender"),
            content: value["content"].clone(),
        }
    }

    /// The text in the content that no other event has.
    pub fn mark(&self) -> Option<String> {
        marks_in(&self.content.to_string()).pop_first()
    }

    /// Whether this is about the membership of a person.
    pub fn is_membership_of(&self, user: &str) -> bool {
        self.kind == "m.room.member" && self.state_key.as_deref() == Some(user)
    }

    fn replaces(&self, other: &Event) -> bool {
        self.state_key.is_some() && self.kind == other.kind && self.state_key == other.state_key
    }
}

/// Every mark in a text.
pub fn marks_in(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices(MARK.0).map(|(start, _)| &text[start..]);
    starts.filter_map(|rest| Some(rest[..rest.find(MARK.1)? + MARK.1.len()].to_owned())).collect()
}

/// Whether `reader` may see the event at `index` of the room's history.
pub fn may_see(events: &[Event], index: usize, reader: Reader<'_>) -> bool {
    let event = &events[index];
    if event.state_key.is_none() && reader.ignores == Some(&event.sender) {
        return false;
    }
    let joins = |event: &Event| event.is_membership_of(reader.id) && event.content["membership"] == "join";
    let joined_later = !reader.forgot && events[index + 1..].iter().any(joins);
    let allowed = |past: &[Event]| table(visibility(past), membership(past, reader), joined_later);
    // Only these two differ before and after themselves, and the better side counts.
    let is_change = event.kind == "m.room.history_visibility" || event.is_membership_of(reader.id);
    allowed(&events[..=index]) || (is_change && allowed(&events[..index]))
}

/// Whether `reader` may see the state event at `index` as a part of the room's state: if it was in force before or after some
/// event that they may see, since each event comes with what it replaced.
pub fn may_see_as_state(events: &[Event], index: usize, reader: Reader<'_>) -> bool {
    let event = &events[index];
    let later = events[index + 1..].iter().position(|later| later.replaces(event));
    let end = later.map_or(events.len(), |later| index + 2 + later);
    let unconditional = Reader { ignores: None, ..reader };
    event.state_key.is_some() && (index..end).any(|place| may_see(events, place, unconditional))
}

/// The moment (an index) whose state the reader may ask for: the last one for members and where the world may read, the one
/// of their leave for those who were members.
pub fn moment_of_state(events: &[Event], reader: Reader<'_>) -> Option<usize> {
    if visibility(events) == "world_readable" || membership(events, reader) == "join" {
        return Some(events.len() - 1);
    }
    (1..events.len()).rev().find(|end| membership(&events[..*end], reader) == "join")
}

/// Whether the state event at `index` is in force right after the one at `moment`.
pub fn in_force(events: &[Event], index: usize, moment: usize) -> bool {
    let event = &events[index];
    event.state_key.is_some()
        && index <= moment
        && !events[index + 1..=moment].iter().any(|later| later.replaces(event))
}

/// The reader's membership after these events.
pub fn membership<'a>(past: &'a [Event], reader: Reader<'_>) -> &'a str {
    let own = past.iter().rev().find(|event| !reader.forgot && event.is_membership_of(reader.id));
    own.and_then(|event| event.content["membership"].as_str()).unwrap_or("leave")
}

/// The room's history visibility after these events.
fn visibility(past: &[Event]) -> &str {
    let last = past.iter().rev().find(|event| event.kind == "m.room.history_visibility");
    last.and_then(|event| event.content["history_visibility"].as_str()).unwrap_or("shared")
}

/// The specification's five sentences.
fn table(visibility: &str, membership: &str, joined_later: bool) -> bool {
    match (visibility, membership) {
        ("world_readable", _) | (_, "join") => true,
        ("shared", _) => joined_later,
        ("invited", "invite") => true,
        _ => false,
    }
}

#[test]
fn the_rule_says_what_the_specification_says() {
    use serde_json::json;

    let event = |kind: &str, key: Option<&str>, content: Value| {
        let id = "$a".to_owned();
        Event { id, kind: kind.into(), state_key: key.map(Into::into), sender: "@a:b".into(), content }
    };
    let visible = |visibility: &str, memberships: &[&str]| {
        let set = event("m.room.history_visibility", Some(""), json!({"history_visibility": visibility}));
        let mut events = vec![set];
        for membership in memberships {
            events.push(event("m.room.member", Some("@r:b"), json!({"membership": membership})));
            events.push(event("m.room.message", None, json!({"body": "mark-1-end"})));
        }
        let reader = Reader { id: "@r:b", ignores: None, forgot: false };
        let messages = (0..events.len()).filter(|index| events[*index].kind == "m.room.message");
        messages.map(|index| may_see(&events, index, reader)).collect::<Vec<_>>()
    };
    assert_eq!(visible("joined", &["leave", "invite", "join", "leave", "join"]), [false, false, true, false, true]);
    assert_eq!(visible("invited", &["leave", "invite", "join", "ban", "knock"]), [false, true, true, false, false]);
    assert_eq!(visible("shared", &["leave", "invite", "join", "leave"]), [true, true, true, false]);
    assert_eq!(visible("shared", &["invite", "ban"]), [false, false]);
    assert_eq!(visible("world_readable", &["ban", "leave"]), [true, true]);
    assert_eq!(
        marks_in("a mark-1-end\", mark-2-end mark-").into_iter().collect::<Vec<_>>(),
        ["mark-1-end", "mark-2-end"]
    );
}
