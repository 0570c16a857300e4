//! Which texts of an event can be found.

use ruma::{
    OwnedEventId,
    events::{TimelineEventType, relation::RelationType},
};
use serde::{Deserialize, de::IgnoredAny};

use super::index::Key;
use crate::matrix::event::Event;

/// A text of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What it is.
    pub key: Key,
    /// The text.
    pub text: String,
    /// The message that it replaces the text of.
    pub edits: Option<OwnedEventId>,
}

/// The text of an event, if it has one: the body of a message, a room's name or its topic. What is encrypted has none.
pub fn content(event: &Event) -> Option<Content> {
    match (&event.kind, event.state_key.as_deref()) {
        (TimelineEventType::RoomMessage, None) => message(event),
        (TimelineEventType::RoomName, Some("")) => {
            let text = event.content_as::<Name>().ok()?.name;
            Some(Content { key: Key::Name, text, edits: None })
        }
        (TimelineEventType::RoomTopic, Some("")) => {
            let text = event.content_as::<Topic>().ok()?.topic;
            Some(Content { key: Key::Topic, text, edits: None })
        }
        _ => None,
    }
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct Topic {
    topic: String,
}

#[derive(Deserialize)]
struct Message {
    body: String,
    url: Option<IgnoredAny>,
    #[serde(rename = "m.new_content")]
    new_content: Option<NewContent>,
    #[serde(rename = "m.relates_to")]
    relates_to: Option<Relation>,
}

#[derive(Deserialize)]
struct NewContent {
    body: String,
    url: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Relation {
    rel_type: Option<RelationType>,
    event_id: Option<OwnedEventId>,
    #[serde(rename = "m.in_reply_to")]
    in_reply_to: Option<IgnoredAny>,
}

fn message(event: &Event) -> Option<Content> {
    let Message { body, url, new_content, relates_to } = event.content_as().ok()?;
    let key = |url: Option<IgnoredAny>| if url.is_some() { Key::File } else { Key::Body };
    let Some(relation) = relates_to else { return Some(Content { key: key(url), text: body, edits: None }) };
    if relation.rel_type == Some(RelationType::Replacement)
        && let (Some(NewContent { body, url }), edits @ Some(_)) = (new_content, relation.event_id)
    {
        return Some(Content { key: key(url), text: body, edits });
    }
    let text = match relation.in_reply_to {
        Some(_) => without_quotation(&body).to_owned(),
        None => body,
    };
    Some(Content { key: key(url), text, edits: None })
}

/// A reply without what older clients quote in front of it, which is another's text.
fn without_quotation(body: &str) -> &str {
    if !body.starts_with("> <") && !body.starts_with("> * <") {
        return body;
    }
    let mut rest = body;
    while let Some((line, after)) = rest.split_once('\n')
        && line.starts_with('>')
    {
        rest = after;
    }
    rest.trim_start_matches('\n')
}

#[cfg(test)]
mod tests {
    use ruma::RoomVersionId;
    use serde_json::json;

    use super::*;
    use crate::matrix::fixtures::Room;

    #[test]
    fn messages_names_and_topics_have_texts() {
        let mut room = Room::new(RoomVersionId::V12, "invite");
        let edit = json!({
            "msgtype": "m.text", "body": "* new", "m.new_content": { "msgtype": "m.text", "body": "new" },
            "m.relates_to": { "rel_type": "m.replace", "event_id": "$old" },
        });
        let reply = |body: &str| json!({ "body": body, "m.relates_to": { "m.in_reply_to": { "event_id": "$old" } } });
        let table = [
            ("m.room.message", None, json!({ "msgtype": "m.text", "body": "hi" }), Some((Key::Body, "hi", false))),
            (
                "m.room.message",
                None,
                json!({ "msgtype": "m.image", "body": "a.png", "url": "mxc://a.b/c" }),
                Some((Key::File, "a.png", false)),
            ),
            ("m.room.message", None, edit, Some((Key::Body, "new", true))),
            ("m.room.message", None, reply("> <@a:b.c> old\n> lines\n\nnew"), Some((Key::Body, "new", false))),
            ("m.room.message", None, reply("> <@a:b.c> only"), Some((Key::Body, "> <@a:b.c> only", false))),
            ("m.room.message", None, reply("plain"), Some((Key::Body, "plain", false))),
            ("m.room.message", None, json!({ "body": 5 }), None),
            ("m.room.message", None, json!({}), None),
            ("m.room.message", Some(""), json!({ "body": "hi" }), None),
            ("m.room.encrypted", None, json!({ "body": "hi", "ciphertext": "x" }), None),
            ("m.room.name", Some(""), json!({ "name": "Kitchen" }), Some((Key::Name, "Kitchen", false))),
            ("m.room.topic", Some(""), json!({ "topic": "Recipes" }), Some((Key::Topic, "Recipes", false))),
            ("m.room.topic", Some("x"), json!({ "topic": "Recipes" }), None),
        ];
        for (kind, state_key, content, expected) in table {
            let event = room.send("creator", kind, state_key, content.clone()).unwrap();
            let found = super::content(&event);
            let found = found.as_ref().map(|found| (found.key, &*found.text, found.edits.is_some()));
            assert_eq!(found, expected, "{kind} {content}");
        }
    }
}
