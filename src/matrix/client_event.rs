//! Events as clients receive them: the stored parts as they are, and `unsigned` for the one who reads.

use std::borrow::Cow;

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, RoomId, TransactionId, UserId,
    events::{
        AnyStateEvent, AnyStrippedStateEvent, AnySyncStateEvent, AnySyncTimelineEvent, AnyTimelineEvent,
        TimelineEventType, room::member::MembershipState,
    },
    serde::Raw,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::event::Event;

/// An event of a timeline where the answer names the room elsewhere, as `/sync` does.
pub fn sync_timeline(event: &Event, unsigned: &Unsigned<'_>) -> Raw<AnySyncTimelineEvent> {
    Raw::from_json(render(event, unsigned, None))
}

/// An event of a timeline with its room id.
pub fn timeline(event: &Event, unsigned: &Unsigned<'_>) -> Raw<AnyTimelineEvent> {
    Raw::from_json(render(event, unsigned, Some(&event.room_id)))
}

/// A state event where the answer names the room elsewhere, as `/sync` does.
pub fn sync_state(event: &Event, unsigned: &Unsigned<'_>) -> Raw<AnySyncStateEvent> {
    Raw::from_json(render(event, unsigned, None))
}

/// A state event with its room id.
pub fn state(event: &Event, unsigned: &Unsigned<'_>) -> Raw<AnyStateEvent> {
    Raw::from_json(render(event, unsigned, Some(&event.room_id)))
}

/// A state event reduced to what someone outside of the room may know (client-server API, "Stripped state").
pub fn stripped_state(event: &Event) -> Raw<AnyStrippedStateEvent> {
    Raw::from_json(raw(&Stripped::new(event)))
}

/// The event by which its reader was invited or knocks, with its id and its time, which clients show.
pub fn stripped_own_membership(event: &Event) -> Raw<AnyStrippedStateEvent> {
    let (event_id, time) = (Some(&*event.id), Some(event.origin_server_ts));
    Raw::from_json(raw(&Stripped { event_id, origin_server_ts: time, ..Stripped::new(event) }))
}

#[derive(Serialize)]
struct Stripped<'a> {
    content: &'a RawValue,
    sender: &'a UserId,
    state_key: &'a str,
    #[serde(rename = "type")]
    kind: &'a TimelineEventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_server_ts: Option<MilliSecondsSinceUnixEpoch>,
}

impl<'a> Stripped<'a> {
    fn new(event: &'a Event) -> Self {
        Self {
            content: &event.content,
            sender: &event.sender,
            state_key: event.state_key.as_deref().unwrap_or_default(),
            kind: &event.kind,
            event_id: None,
            origin_server_ts: None,
        }
    }
}

/// What an event carries for its reader and nobody has signed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Unsigned<'a> {
    /// Milliseconds since the event was sent, by this server's clock; negative when the sender's clock is ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<i64>,
    /// The reader's membership at the event, its own effect included; `leave` when they had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipState>,
    /// The id that the sending device gave to the request, for that device only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<&'a TransactionId>,
    /// The id under which the event waited before it was sent (MSC4140), for its sender only.
    #[serde(rename = "org.matrix.msc4140.delay_id", skip_serializing_if = "Option::is_none")]
    pub delay_id: Option<&'a TransactionId>,
    /// The content of the state event that this one replaced, where the reader may see that event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_content: Option<&'a RawValue>,
    /// The state event that this one replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces_state: Option<&'a EventId>,
    /// The redaction of this event in client format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted_because: Option<&'a RawValue>,
    /// The bundled aggregations.
    #[serde(rename = "m.relations", skip_serializing_if = "Option::is_none")]
    pub relations: Option<&'a RawValue>,
    /// The room as an invited user sees it, in a member event that invites.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub invite_room_state: &'a [Raw<AnyStrippedStateEvent>],
    /// The room as a knocking user sees it, in a member event that knocks.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub knock_room_state: &'a [Raw<AnyStrippedStateEvent>],
}

impl Unsigned<'_> {
    /// Nothing but the age of an event at `now`.
    pub fn at(now: MilliSecondsSinceUnixEpoch, event: &Event) -> Self {
        let age = i64::from(now.get()) - i64::from(event.origin_server_ts.get());
        Self { age: Some(age), ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        let Self {
            age,
            membership,
            transaction_id,
            delay_id,
            prev_content,
            replaces_state,
            redacted_because,
            relations,
            invite_room_state,
            knock_room_state,
        } = self;
        age.is_none()
            && membership.is_none()
            && transaction_id.is_none()
            && delay_id.is_none()
            && prev_content.is_none()
            && replaces_state.is_none()
            && redacted_because.is_none()
            && relations.is_none()
            && invite_room_state.is_empty()
            && knock_room_state.is_empty()
    }
}

/// The client format; field names as on the wire, in the order of canonical JSON.
#[derive(Serialize)]
struct ClientEvent<'a> {
    content: &'a RawValue,
    event_id: &'a EventId,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacts: Option<&'a EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a RoomId>,
    sender: &'a UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_key: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'a TimelineEventType,
    #[serde(skip_serializing_if = "Unsigned::is_empty")]
    unsigned: &'a Unsigned<'a>,
}

fn render(event: &Event, unsigned: &Unsigned<'_>, room_id: Option<&RoomId>) -> Box<RawValue> {
    raw(&ClientEvent {
        content: &content(event),
        event_id: &event.id,
        origin_server_ts: event.origin_server_ts,
        redacts: event.redacts.as_deref(),
        room_id,
        sender: &event.sender,
        state_key: event.state_key.as_deref(),
        kind: &event.kind,
        unsigned,
    })
}

/// The content for a client, in which a redaction names its target whatever the room version.
///
/// Old clients look for `redacts` at the top of the event and new ones in its content, so both get it.
fn content(event: &Event) -> Cow<'_, RawValue> {
    let Some(redacts) = &event.redacts else {
        return Cow::Borrowed(&event.content);
    };
    let mut content: serde_json::Map<_, _> = event.content_as().unwrap_or_default();
    content.insert("redacts".to_owned(), redacts.as_str().into());
    Cow::Owned(raw(&content))
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("strings, numbers and JSON always serialise")
}

#[cfg(test)]
mod tests {
    use ruma::{RoomVersionId, owned_event_id};
    use serde_json::{Value, json};

    use super::*;
    use crate::matrix::fixtures::{Room, user};

    fn value<T>(raw: &Raw<T>) -> Value {
        serde_json::from_str(raw.json().get()).unwrap()
    }

    #[test]
    fn a_message_has_its_fields_and_nothing_of_the_wire() {
        let mut room = Room::new(RoomVersionId::V12, "invite");
        let event = room.message("creator", "hi").unwrap();
        let mut expected = json!({
            "content": { "body": "hi", "msgtype": "m.text" }, "event_id": event.id, "sender": user("creator"),
            "type": "m.room.message", "origin_server_ts": event.origin_server_ts,
        });
        assert_eq!(value(&sync_timeline(&event, &Unsigned::default())), expected);
        expected["room_id"] = json!(room.id);
        assert_eq!(value(&timeline(&event, &Unsigned::default())), expected);
    }

    #[test]
    fn a_state_event_has_its_state_key_also_when_empty() {
        let mut room = Room::new(RoomVersionId::V12, "invite");
        let event = room.set("creator", "m.room.name", json!({ "name": "n" })).unwrap();
        assert_eq!(value(&sync_state(&event, &Unsigned::default()))["state_key"], "");
        assert_eq!(value(&state(&event, &Unsigned::default()))["room_id"], json!(room.id));
        assert_eq!(
            value(&stripped_state(&event)),
            json!({
                "content": { "name": "n" }, "sender": user("creator"), "state_key": "", "type": "m.room.name",
            })
        );
    }

    #[test]
    fn the_create_event_of_version_12_names_the_room_it_makes() {
        let room = Room::created(RoomVersionId::V12, json!({}));
        let create = value(&timeline(&room.newest, &Unsigned::default()));
        assert_eq!(create["room_id"], json!(room.id));
        assert!(value(&sync_timeline(&room.newest, &Unsigned::default())).get("room_id").is_none());
    }

    #[test]
    fn a_redaction_names_its_target_in_both_places_in_every_version() {
        for version in [RoomVersionId::V3, RoomVersionId::V10, RoomVersionId::V11, RoomVersionId::V12] {
            let mut room = Room::new(version.clone(), "invite");
            let mut draft = room.draft("creator", "m.room.redaction", None, json!({ "reason": "spam" })).unwrap();
            draft.redacts = Some(owned_event_id!("$gone"));
            let event = room.apply(draft).unwrap();
            let client = value(&sync_timeline(&event, &Unsigned::default()));
            assert_eq!(client["redacts"], "$gone", "{version}");
            assert_eq!(client["content"], json!({ "reason": "spam", "redacts": "$gone" }), "{version}");
        }
    }

    #[test]
    fn unsigned_holds_what_is_known_and_no_nulls() {
        let mut room = Room::new(RoomVersionId::V12, "invite");
        let event = room.set("creator", "m.room.name", json!({ "name": "n" })).unwrap();
        let redaction = room.message("creator", "stands for a redaction").unwrap();
        let because = sync_timeline(&redaction, &Unsigned::default());
        let previous = raw(&json!({ "name": "before" }));
        let relations = raw(&json!({ "m.thread": { "count": 1 } }));
        let stripped = [stripped_state(&event)];
        let replaced = owned_event_id!("$before");
        let unsigned = Unsigned {
            age: Some(-5),
            membership: Some(MembershipState::Leave),
            delay_id: None,
            transaction_id: Some("t1".into()),
            prev_content: Some(&previous),
            replaces_state: Some(&replaced),
            redacted_because: Some(because.json()),
            relations: Some(&relations),
            invite_room_state: &stripped,
            knock_room_state: &[],
        };
        assert_eq!(
            value(&sync_timeline(&event, &unsigned))["unsigned"],
            json!({
                "age": -5, "membership": "leave", "transaction_id": "t1", "prev_content": { "name": "before" },
                "replaces_state": "$before", "redacted_because": value(&because),
                "m.relations": { "m.thread": { "count": 1 } }, "invite_room_state": [value(&stripped[0])],
            })
        );
    }

    #[test]
    fn age_is_the_time_since_the_event_was_sent() {
        let room = Room::created(RoomVersionId::V12, json!({}));
        let sent = room.newest.origin_server_ts;
        let later = MilliSecondsSinceUnixEpoch(sent.0 + ruma::uint!(1500));
        let earlier = MilliSecondsSinceUnixEpoch(sent.0 - ruma::uint!(20));
        assert_eq!(Unsigned::at(later, &room.newest).age, Some(1500));
        assert_eq!(Unsigned::at(earlier, &room.newest).age, Some(-20));
    }

    #[test]
    fn ruma_reads_what_clients_get() {
        let mut room = Room::new(RoomVersionId::V12, "public");
        let unsigned = Unsigned { age: Some(1), ..Unsigned::default() };
        let events = [
            room.membership("bob", "bob", "join").unwrap(),
            room.message("bob", "hi").unwrap(),
            room.set("creator", "m.room.topic", json!({ "topic": "t" })).unwrap(),
        ];
        for event in events {
            let full = timeline(&event, &unsigned).deserialize().unwrap();
            assert_eq!(full.event_id(), event.id);
            let short = sync_timeline(&event, &unsigned).deserialize().unwrap();
            assert_eq!(short.sender(), event.sender);
        }
    }
}
