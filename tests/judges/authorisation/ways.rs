//! The ways to read a room. A new one is one entry in `WAYS` and a function that says what it shows.

use std::collections::BTreeSet;

use futures_util::future::{BoxFuture, FutureExt as _};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    cast::{Person, Room},
    rule::Event,
};
use crate::support::encode;

/// The ways that the server does not have yet. The test fails when one of them is there, so that it leaves this list.
pub const NOT_YET: &[&str] = &[];

/// A way to read a room.
pub struct Way {
    pub name: &'static str,
    /// What it has to show of what the reader may see; whatever it shows besides must be allowed.
    pub shows: Shows,
    /// Reads the room in this way.
    pub look: for<'a> fn(&'a Person, &'a Room) -> BoxFuture<'a, Looked>,
}

/// What a way has to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shows {
    /// Every event that the reader may see, and nothing more.
    Everything,
    /// Every message that the reader may see, and nothing more.
    Messages,
    /// The state that the reader may ask for.
    State,
    /// Those pieces of it that the test has set.
    OwnState,
    /// The newest message to those who are in the room.
    Newest,
    /// What it likes, within what is allowed.
    Something,
}

/// What a way showed.
#[derive(Debug)]
pub enum Shown {
    /// Events of the timeline.
    Events(Value),
    /// What was shown as the room's state at some moment.
    State(Value),
}

/// The server does not know the way.
#[derive(Debug)]
pub struct Unknown;

/// What was seen; nothing if the server refused.
pub type Looked = Result<Vec<Shown>, Unknown>;

/// Every way there is.
pub const WAYS: &[Way] = &[
    Way { name: "event", shows: Shows::Everything, look: |person, room| event(person, room).boxed() },
    Way { name: "context", shows: Shows::Messages, look: |person, room| context(person, room).boxed() },
    Way {
        name: "messages backwards",
        shows: Shows::Everything,
        look: |person, room| messages(person, room, "b").boxed(),
    },
    Way {
        name: "messages forwards",
        shows: Shows::Everything,
        look: |person, room| messages(person, room, "f").boxed(),
    },
    Way { name: "state", shows: Shows::State, look: |person, room| state(person, room).boxed() },
    Way { name: "one piece of state", shows: Shows::OwnState, look: |person, room| pieces(person, room).boxed() },
    Way { name: "members at a moment", shows: Shows::Something, look: |person, room| members(person, room).boxed() },
    Way { name: "initial sync", shows: Shows::Newest, look: |person, room| sync(person, room, None, false).boxed() },
    Way {
        name: "initial sync, left rooms",
        shows: Shows::Newest,
        look: |person, room| sync(person, room, None, true).boxed(),
    },
    Way {
        name: "sync since the start",
        shows: Shows::Newest,
        look: |person, room| sync(person, room, Some(0), false).boxed(),
    },
    Way {
        name: "sync since part 2",
        shows: Shows::Newest,
        look: |person, room| sync(person, room, Some(2), false).boxed(),
    },
    Way {
        name: "sync since part 3",
        shows: Shows::Newest,
        look: |person, room| sync(person, room, Some(3), true).boxed(),
    },
    Way {
        name: "notifications",
        shows: Shows::Something,
        look: |person, _| simple(person, "notifications?limit=1000".into()).boxed(),
    },
    Way { name: "summary", shows: Shows::Something, look: |person, room| summary(person, room).boxed() },
    Way {
        name: "joined_members",
        shows: Shows::Something,
        look: |person, room| in_room(person, room, "joined_members").boxed(),
    },
    Way { name: "search", shows: Shows::Something, look: |person, room| search(person, room).boxed() },
    Way { name: "relations", shows: Shows::Something, look: |person, room| relations(person, room).boxed() },
    Way {
        name: "threads",
        shows: Shows::Something,
        look: |person, room| v1(person, room, "threads?include=all&limit=100").boxed(),
    },
    Way { name: "timestamp_to_event", shows: Shows::Something, look: |person, room| timestamp(person, room).boxed() },
    Way { name: "hierarchy", shows: Shows::Something, look: |person, room| v1(person, room, "hierarchy").boxed() },
    Way {
        name: "initialSync of the room",
        shows: Shows::Something,
        look: |person, room| room_initial_sync(person, room).boxed(),
    },
    Way { name: "initialSync", shows: Shows::Something, look: |person, _| initial_sync(person).boxed() },
    Way { name: "events", shows: Shows::Something, look: |person, room| events(person, room).boxed() },
    Way { name: "sliding sync", shows: Shows::Something, look: |person, room| sliding(person, room).boxed() },
];

/// The body of an answer; `None` if the server refused.
async fn ask(person: &Person, method: Method, path: &str, body: Option<Value>) -> Result<Option<Value>, Unknown> {
    let answer = person.user.ask(method, path, body).await;
    match (answer.status.as_u16(), answer.body["errcode"].as_str()) {
        (200, _) => Ok(Some(answer.body)),
        (404 | 405, Some("M_UNRECOGNIZED")) => Err(Unknown),
        (403, Some("M_FORBIDDEN")) | (404, Some("M_NOT_FOUND")) => Ok(None),
        _ => panic!("{} of {path}: {answer:?}", person.name),
    }
}

async fn get(person: &Person, path: &str) -> Result<Option<Value>, Unknown> {
    ask(person, Method::GET, path, None).await
}

/// Everything in the answer counts as events.
async fn simple(person: &Person, path: String) -> Looked {
    Ok(get(person, &path).await?.map(Shown::Events).into_iter().collect())
}

async fn in_room(person: &Person, room: &Room, rest: &str) -> Looked {
    simple(person, format!("rooms/{}/{rest}", encode(&room.id))).await
}

async fn v1(person: &Person, room: &Room, rest: &str) -> Looked {
    simple(person, format!("/_matrix/client/v1/rooms/{}/{rest}", encode(&room.id))).await
}

async fn summary(person: &Person, room: &Room) -> Looked {
    simple(person, format!("/_matrix/client/v1/room_summary/{}", encode(&room.id))).await
}

/// Takes a part of an answer out of it and counts it as state.
fn take_state(answer: &mut Value, pointer: &str, shown: &mut Vec<Shown>) {
    if let Some(state) = answer.pointer_mut(pointer) {
        shown.push(Shown::State(state.take()));
    }
}

async fn event(person: &Person, room: &Room) -> Looked {
    let mut shown = Vec::new();
    for event in &room.events {
        shown.extend(in_room(person, room, &format!("event/{}", encode(&event.id))).await?);
    }
    Ok(shown)
}

/// The whole state comes with each answer, so that not every event is asked for.
async fn context(person: &Person, room: &Room) -> Looked {
    let mut shown = Vec::new();
    let is_telling = |event: &&Event| {
        event.kind == "m.room.message"
            || event.kind == "m.room.history_visibility"
            || event.is_membership_of(&person.user.id)
    };
    for event in room.events.iter().filter(is_telling) {
        let path = format!("rooms/{}/context/{}?limit=3", encode(&room.id), encode(&event.id));
        if let Some(mut answer) = get(person, &path).await? {
            take_state(&mut answer, "/state", &mut shown);
            assert_eq!(answer["event"]["event_id"], *event.id, "{path}");
            shown.push(Shown::Events(answer));
        }
    }
    Ok(shown)
}

async fn messages(person: &Person, room: &Room, direction: &str) -> Looked {
    let (mut shown, mut from) = (Vec::new(), String::new());
    for _ in 0..room.events.len() {
        let path = format!("rooms/{}/messages?dir={direction}&limit=40{from}", encode(&room.id));
        let Some(mut page) = get(person, &path).await? else { break };
        take_state(&mut page, "/state", &mut shown);
        let end = page["end"].as_str().map(encode);
        shown.push(Shown::Events(page));
        match end {
            Some(end) => from = format!("&from={end}"),
            None => break,
        }
    }
    Ok(shown)
}

async fn state(person: &Person, room: &Room) -> Looked {
    let state = get(person, &format!("rooms/{}/state", encode(&room.id))).await?;
    Ok(state.map(Shown::State).into_iter().collect())
}

async fn pieces(person: &Person, room: &Room) -> Looked {
    let mut shown = Vec::new();
    let is_own = |event: &&Event| event.kind.starts_with("org.example") || event.is_membership_of(&person.user.id);
    let places: BTreeSet<_> =
        room.events.iter().filter(is_own).filter_map(|event| Some((&event.kind, event.state_key.as_ref()?))).collect();
    for (kind, key) in places {
        for format in ["", "?format=event"] {
            let path = format!("rooms/{}/state/{}/{}{format}", encode(&room.id), encode(kind), encode(key));
            shown.extend(get(person, &path).await?.map(Shown::State));
        }
    }
    Ok(shown)
}

async fn members(person: &Person, room: &Room) -> Looked {
    let mut shown = Vec::new();
    for at in person.tokens.iter().map(|token| format!("?at={}", encode(token))).chain([String::new()]) {
        let members = get(person, &format!("rooms/{}/members{at}", encode(&room.id))).await?;
        shown.extend(members.map(Shown::State));
    }
    Ok(shown)
}

/// The room in a sync, with as much of its timeline as there is, or only a little when the timeline is not the point.
async fn sync(person: &Person, room: &Room, since: Option<usize>, leave: bool) -> Looked {
    let limit = if since == Some(2) { 8 } else { 1_000 };
    let filter = json!({"room": {"timeline": {"limit": limit}, "include_leave": leave, "rooms": [room.id]}});
    let since = since.map(|part| format!("&since={}", encode(&person.tokens[part]))).unwrap_or_default();
    let path = format!("sync?timeout=0&filter={}{since}", encode(&filter.to_string()));
    let Some(mut answer) = get(person, &path).await? else { return Ok(Vec::new()) };
    let mut shown = Vec::new();
    for (section, state) in
        [("join", "state"), ("leave", "state"), ("invite", "invite_state"), ("knock", "knock_state")]
    {
        let pointer = format!("/rooms/{section}/{}/{state}", room.id.replace('~', "~0").replace('/', "~1"));
        take_state(&mut answer, &pointer, &mut shown);
    }
    shown.push(Shown::Events(answer));
    Ok(shown)
}

async fn search(person: &Person, room: &Room) -> Looked {
    let mut shown = Vec::new();
    for filter in [json!({"limit": 100}), json!({"limit": 100, "rooms": [room.id]})] {
        let context = json!({"before_limit": 3, "after_limit": 3});
        let events = json!({"search_term": "mark", "filter": filter, "event_context": context, "include_state": true});
        let body = json!({"search_categories": {"room_events": events}});
        if let Some(mut answer) = ask(person, Method::POST, "search", Some(body)).await? {
            take_state(&mut answer, "/search_categories/room_events/state", &mut shown);
            shown.push(Shown::Events(answer));
        }
    }
    Ok(shown)
}

async fn relations(person: &Person, room: &Room) -> Looked {
    let mut shown = Vec::new();
    let texts = room.events.iter().filter(|event| event.content["body"].is_string());
    for event in texts {
        let (room, event) = (encode(&room.id), encode(&event.id));
        for rest in ["?dir=f&recurse=true&limit=100", "/m.thread?limit=100", "/m.replace/m.room.message"] {
            let path = format!("/_matrix/client/v1/rooms/{room}/relations/{event}{rest}");
            shown.extend(simple(person, path).await?);
        }
    }
    Ok(shown)
}

/// It gives an id and no content; the id alone is what must not be told.
async fn timestamp(person: &Person, room: &Room) -> Looked {
    let mut shown = Vec::new();
    for (ts, direction) in [("0", "f"), ("9000000000000", "b")] {
        let path = format!("timestamp_to_event?ts={ts}&dir={direction}");
        let found = v1(person, room, &path).await?;
        shown.extend(found.into_iter().map(|found| match found {
            Shown::Events(found) => Shown::Events(json!({"event_id": found["event_id"], "type": "found"})),
            state => state,
        }));
    }
    Ok(shown)
}

async fn room_initial_sync(person: &Person, room: &Room) -> Looked {
    let path = format!("rooms/{}/initialSync?limit=1000", encode(&room.id));
    let Some(mut answer) = get(person, &path).await? else { return Ok(Vec::new()) };
    let mut shown = Vec::new();
    take_state(&mut answer, "/state", &mut shown);
    shown.push(Shown::Events(answer));
    Ok(shown)
}

async fn initial_sync(person: &Person) -> Looked {
    let Some(mut answer) = get(person, "initialSync?limit=100&archived=true").await? else { return Ok(Vec::new()) };
    let mut shown = Vec::new();
    for room in answer["rooms"].as_array_mut().into_iter().flatten() {
        for name in ["state", "invite"] {
            shown.push(Shown::State(room[name].take()));
        }
    }
    shown.push(Shown::Events(answer));
    Ok(shown)
}

async fn events(person: &Person, room: &Room) -> Looked {
    let mut shown = Vec::new();
    for token in &person.tokens {
        for room in [String::new(), format!("&room_id={}", encode(&room.id))] {
            shown.extend(simple(person, format!("events?timeout=0&from={}{room}", encode(token))).await?);
        }
    }
    Ok(shown)
}

async fn sliding(person: &Person, room: &Room) -> Looked {
    let wish = json!({"required_state": [["*", "*"]], "timeline_limit": 1_000});
    let list = json!({"ranges": [[0, 100]], "required_state": [["*", "*"]], "timeline_limit": 1_000});
    let body = json!({"lists": {"all": list}, "room_subscriptions": {&room.id: wish}});
    let path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0";
    let Some(mut answer) = ask(person, Method::POST, path, Some(body)).await? else { return Ok(Vec::new()) };
    let mut shown = Vec::new();
    for room in answer["rooms"].as_object_mut().into_iter().flat_map(|rooms| rooms.values_mut()) {
        for name in ["required_state", "invite_state", "stripped_state"] {
            shown.push(Shown::State(room[name].take()));
        }
    }
    shown.push(Shown::Events(answer));
    Ok(shown)
}
