//! Every way to read a room × every relation that a person can have to it × every history visibility, against one rule.

mod cast;
mod rule;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::Value;

use self::{
    cast::{PHASES, Person, Room, play},
    rule::{Event, in_force, marks_in, may_see, may_see_as_state, membership, moment_of_state},
    ways::{Looked, NOT_YET, Shown, Shows, WAYS, Way},
};
use crate::support::Server;

#[tokio::test]
async fn each_way_shows_what_the_rule_allows_and_nothing_else() {
    let server = Server::start().await;
    let (people, rooms) = play(&server).await;
    let mut disagreements = Vec::new();
    let mut missing = BTreeSet::new();
    let mut decisions = 0;
    for way in WAYS {
        for room in &rooms {
            let looks = join_all(people.iter().map(|person| (way.look)(person, room))).await;
            for (person, looked) in people.iter().zip(looks) {
                decisions += room.events.len();
                match judge(way, person, room, looked) {
                    Some(found) => disagreements.extend(found),
                    None => drop(missing.insert(way.name)),
                }
            }
        }
    }
    println!("{decisions} decisions");
    let total = disagreements.len();
    disagreements.truncate(60);
    assert!(total == 0, "{total} disagreements, such as:\n{}", disagreements.join("\n"));
    let expected: BTreeSet<_> = NOT_YET.iter().copied().collect();
    assert_eq!(missing, expected, "NOT_YET lists exactly the ways that the server does not have");
}

/// How an answer disagrees with the rule; `None` if the server does not have the way.
fn judge(way: &Way, person: &Person, room: &Room, looked: Looked) -> Option<Vec<String>> {
    let (seen, seen_as_state) = found(looked.ok()?, room);
    let reader = person.reader();
    let mut problems = Vec::new();
    for (index, event) in room.events.iter().enumerate() {
        let visible = may_see(&room.events, index, reader);
        let as_state = may_see_as_state(&room.events, index, reader);
        // What happens to oneself is told in syncs even where nothing else is.
        let is_own = event.is_membership_of(reader.id);
        let leak = match way.shows {
            Shows::Everything | Shows::Messages => seen.contains(&event.id) && !visible,
            _ => seen.contains(&event.id) && !visible && !is_own,
        };
        let state_leak = seen_as_state.contains(&event.id) && !as_state && !visible && !is_own;
        let lacks = match way.shows {
            Shows::Everything => visible && !seen.contains(&event.id),
            Shows::Messages => event.kind == "m.room.message" && visible && !seen.contains(&event.id),
            Shows::OwnState if !event.kind.starts_with("org.example") => false,
            Shows::State | Shows::OwnState => {
                let moment = moment_of_state(&room.events, reader);
                moment.is_some_and(|moment| in_force(&room.events, index, moment)) && !seen_as_state.contains(&event.id)
            }
            Shows::Newest => is_newest(room, event) && is_inside(person, room) && !seen.contains(&event.id),
            Shows::Something => false,
        };
        let what = match (leak, state_leak, lacks) {
            (true, ..) => "is shown",
            (_, true, _) => "is shown as state",
            (.., true) => "is not shown",
            _ => continue,
        };
        let name = event.mark().unwrap_or_else(|| format!("{} {:?}", event.kind, event.state_key));
        problems.push(format!("{}: {name} {what} to {} of the room {}", way.name, person.name, room.name));
    }
    Some(problems)
}

fn is_inside(person: &Person, room: &Room) -> bool {
    membership(&room.events, person.reader()) == "join"
}

fn is_newest(room: &Room, event: &Event) -> bool {
    event.content["body"] == format!("mark-{}-{}-reply-end", room.name, PHASES - 1)
}

/// The ids of the room's events in what was shown: as events, and as state.
///
/// # Panics
///
/// If something shows that was redacted.
fn found(shown: Vec<Shown>, room: &Room) -> (BTreeSet<String>, BTreeSet<String>) {
    let by_mark: BTreeMap<_, _> = room.events.iter().filter_map(|event| Some((event.mark()?, &event.id))).collect();
    let ids: BTreeSet<_> = room.events.iter().map(|event| &*event.id).collect();
    let (mut seen, mut seen_as_state) = (BTreeSet::new(), BTreeSet::new());
    let add = |value: &Value, set: &mut BTreeSet<String>| {
        let mut named = BTreeSet::new();
        event_ids(value, &mut named);
        set.extend(named.into_iter().filter(|id| ids.contains(&**id)));
        let marks = marks_in(&value.to_string());
        assert!(!marks.iter().any(|mark| mark.contains("taken_back")), "what was redacted shows: {value}");
        set.extend(marks.iter().filter_map(|mark| by_mark.get(mark)).map(|id| (*id).clone()));
    };
    for shown in shown {
        match shown {
            Shown::State(state) => add(&state, &mut seen_as_state),
            Shown::Events(mut events) => {
                // What a state event replaced was the state before it.
                for replaced in take_replaced(&mut events) {
                    add(&replaced, &mut seen_as_state);
                }
                add(&events, &mut seen);
            }
        }
    }
    (seen, seen_as_state)
}

/// The ids of all events in a value, however deep.
fn event_ids(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let (Some(Value::String(id)), true) = (fields.get("event_id"), fields.contains_key("type")) {
                found.insert(id.clone());
            }
            fields.values().for_each(|value| event_ids(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| event_ids(value, found)),
        _ => {}
    }
}

/// Takes the contents that state events replaced out of a value.
fn take_replaced(value: &mut Value) -> Vec<Value> {
    match value {
        Value::Object(fields) => {
            let own = fields.get_mut("unsigned").and_then(|unsigned| unsigned.get_mut("prev_content")).map(Value::take);
            own.into_iter().chain(fields.values_mut().flat_map(take_replaced)).collect()
        }
        Value::Array(items) => items.iter_mut().flat_map(take_replaced).collect(),
        _ => Vec::new(),
    }
}
