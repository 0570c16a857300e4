//! Does something pass a client's filter: events, and what has only a type and a sender.

use ruma::{
    OwnedUserId, RoomId, UserId,
    api::client::filter::{Filter, RoomEventFilter, RoomFilter, UrlFilter},
};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    event::Event,
    glob::{self, QuestionMark},
};

/// Whether an event of a room passes (client-server API, "Filtering"). Limits and lazy loading are not decided here.
pub fn passes(filter: &RoomEventFilter, event: &Event) -> bool {
    passes_by_type(filter, &event.kind.to_string(), Some(&event.sender))
        && passes_by_room(filter, &event.room_id)
        && passes_by_url(filter, event)
}

/// Whether something in a room that is no event of its timeline passes, such as typing, receipts or account data.
///
/// Without a `sender`, a filter that names the senders it wants lets nothing through.
pub fn passes_by_type(filter: &RoomEventFilter, kind: &str, sender: Option<&UserId>) -> bool {
    type_passes(filter.types.as_deref(), &filter.not_types, kind)
        && sender_passes(filter.senders.as_deref(), &filter.not_senders, sender)
}

/// Whether events of a room can pass at all.
pub fn passes_by_room(filter: &RoomEventFilter, room_id: &RoomId) -> bool {
    listed(filter.rooms.as_deref(), &filter.not_rooms, |id| id == room_id)
}

/// Whether a sync shows a room at all.
pub fn room_passes(filter: &RoomFilter, room_id: &RoomId) -> bool {
    listed(filter.rooms.as_deref(), &filter.not_rooms, |id| id == room_id)
}

/// Whether presence or global account data passes.
pub fn passes_outside_rooms(filter: &Filter, kind: &str, sender: Option<&UserId>) -> bool {
    type_passes(filter.types.as_deref(), &filter.not_types, kind)
        && sender_passes(filter.senders.as_deref(), &filter.not_senders, sender)
}

fn passes_by_url(filter: &RoomEventFilter, event: &Event) -> bool {
    #[derive(Deserialize)]
    struct Content {
        url: Option<IgnoredAny>,
    }

    let wanted = match &filter.url_filter {
        None => return true,
        Some(UrlFilter::EventsWithUrl) => true,
        Some(UrlFilter::EventsWithoutUrl) => false,
    };
    let has_url = event.content_as::<Content>().is_ok_and(|content| content.url.is_some());
    has_url == wanted
}

fn type_passes(wanted: Option<&[String]>, unwanted: &[String], kind: &str) -> bool {
    listed(wanted, unwanted, |pattern| glob::matches(pattern, kind, QuestionMark::Literal))
}

fn sender_passes(wanted: Option<&[OwnedUserId]>, unwanted: &[OwnedUserId], sender: Option<&UserId>) -> bool {
    listed(wanted, unwanted, |id| Some(&**id) == sender)
}

/// What is unwanted never passes; a list of what is wanted lets only that through, and no list lets everything through.
fn listed<T>(wanted: Option<&[T]>, unwanted: &[T], is: impl Fn(&T) -> bool) -> bool {
    !unwanted.iter().any(&is) && wanted.is_none_or(|wanted| wanted.iter().any(&is))
}

#[cfg(test)]
mod tests {
    use ruma::{RoomVersionId, owned_room_id};
    use serde_json::{Value, json};

    use super::*;
    use crate::matrix::fixtures::{Room, user};

    fn filter(json: Value) -> RoomEventFilter {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn events_pass_by_type_sender_room_and_url() {
        let mut room = Room::new(RoomVersionId::V12, "invite");
        let content = json!({ "body": "cat.png", "msgtype": "m.image", "url": "mxc://a.b/c" });
        let event = room.send("creator", "m.room.message", None, content).unwrap();
        let (me, here) = (user("creator"), &room.id);
        let table = [
            (json!({}), true),
            (json!({ "types": [] }), false),
            (json!({ "types": ["m.room.message"] }), true),
            (json!({ "types": ["m.room.member", "m.room.*"] }), true),
            (json!({ "types": ["*"] }), true),
            (json!({ "types": ["m.room.member"] }), false),
            (json!({ "types": ["m.room.messag?"] }), false),
            (json!({ "not_types": ["m.room.message"] }), false),
            (json!({ "types": ["m.room.message"], "not_types": ["m.*"] }), false),
            (json!({ "not_types": ["m.room.member"] }), true),
            (json!({ "senders": [me] }), true),
            (json!({ "senders": [user("bob")] }), false),
            (json!({ "senders": [] }), false),
            (json!({ "not_senders": [me] }), false),
            (json!({ "senders": [me], "not_senders": [me] }), false),
            (json!({ "not_senders": [user("bob")] }), true),
            (json!({ "rooms": [here] }), true),
            (json!({ "rooms": ["!other:a.b"] }), false),
            (json!({ "rooms": [] }), false),
            (json!({ "not_rooms": [here] }), false),
            (json!({ "rooms": [here], "not_rooms": [here] }), false),
            (json!({ "contains_url": true }), true),
            (json!({ "contains_url": false }), false),
            (json!({ "types": ["m.room.*"], "senders": [me], "rooms": [here], "contains_url": true }), true),
        ];
        for (json, expected) in table {
            assert_eq!(passes(&filter(json.clone()), &event), expected, "{json}");
        }
        let text = room.message("creator", "no picture").unwrap();
        assert!(!passes(&filter(json!({ "contains_url": true })), &text));
        assert!(passes(&filter(json!({ "contains_url": false })), &text));
    }

    #[test]
    fn what_has_no_sender_passes_unless_senders_are_wanted() {
        assert!(passes_by_type(&filter(json!({ "types": ["m.typing"] })), "m.typing", None));
        assert!(passes_by_type(&filter(json!({ "not_senders": [user("bob")] })), "m.typing", None));
        assert!(!passes_by_type(&filter(json!({ "senders": [user("bob")] })), "m.typing", None));
        assert!(!passes_by_type(&filter(json!({ "not_types": ["m.*"] })), "m.typing", None));
    }

    #[test]
    fn rooms_pass_by_their_lists() {
        let (one, two) = (owned_room_id!("!one:a.b"), owned_room_id!("!two:a.b"));
        let table = [
            (json!({}), true, true),
            (json!({ "rooms": ["!one:a.b"] }), true, false),
            (json!({ "not_rooms": ["!one:a.b"] }), false, true),
            (json!({ "rooms": [] }), false, false),
        ];
        for (json, first, second) in table {
            let filter: RoomFilter = serde_json::from_value(json.clone()).unwrap();
            assert_eq!((room_passes(&filter, &one), room_passes(&filter, &two)), (first, second), "{json}");
        }
    }

    #[test]
    fn presence_and_account_data_pass_by_type_and_sender() {
        let passes =
            |json: Value, kind| passes_outside_rooms(&serde_json::from_value(json).unwrap(), kind, Some(&user("bob")));
        assert!(passes(json!({}), "m.presence"));
        assert!(passes(json!({ "types": ["m.pres*"] }), "m.presence"));
        assert!(!passes(json!({ "not_types": ["m.presence"] }), "m.presence"));
        assert!(!passes(json!({ "senders": [user("alice")] }), "m.presence"));
        assert!(!passes(json!({ "not_senders": [user("bob")] }), "m.presence"));
    }
}
