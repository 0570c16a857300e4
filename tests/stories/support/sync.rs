//! The answer of a sync, read the way a client would.

use serde_json::Value;

/// What changed for one device.
#[derive(Clone, Debug)]
pub struct Sync(pub Value);

impl Sync {
    /// The token from which the next sync goes on.
    pub fn next_batch(&self) -> &str {
        self.0["next_batch"].as_str().expect("every sync has a next_batch")
    }

    /// A joined room; `null` if nothing changed there.
    pub fn joined(&self, room: &str) -> &Value {
        &self.0["rooms"]["join"][room]
    }

    /// A room with an open invitation; `null` if there is none.
    pub fn invited(&self, room: &str) -> &Value {
        &self.0["rooms"]["invite"][room]
    }

    /// A room that was left; `null` if it is not listed.
    pub fn left(&self, room: &str) -> &Value {
        &self.0["rooms"]["leave"][room]
    }

    /// The timeline of a joined room.
    pub fn timeline(&self, room: &str) -> &[Value] {
        events(&self.joined(room)["timeline"])
    }

    /// The content of a piece of a joined room's state, as far as this sync tells it.
    pub fn state(&self, room: &str, kind: &str, state_key: &str) -> Option<&Value> {
        let before = events(&self.joined(room)["state"]);
        let mut events = before.iter().chain(self.timeline(room)).rev();
        events.find(|event| event["type"] == kind && event["state_key"] == state_key).map(|event| &event["content"])
    }

    /// What was said in a joined room, in order.
    pub fn texts(&self, room: &str) -> Vec<&str> {
        let messages = self.timeline(room).iter().filter(|event| event["type"] == "m.room.message");
        messages.filter_map(|event| event["content"]["body"].as_str()).collect()
    }

    /// The newest event of a type in a list of events such as `account_data`, `presence` or a room's `ephemeral`.
    pub fn newest<'a>(section: &'a Value, kind: &str) -> Option<&'a Value> {
        events(section).iter().rev().find(|event| event["type"] == kind)
    }
}

fn events(section: &Value) -> &[Value] {
    section["events"].as_array().map_or(&[], Vec::as_slice)
}
