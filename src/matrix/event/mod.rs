//! An event as the server works with it: the parsed parts of a signed PDU.

use std::borrow::Cow;

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::{StateEventType, TimelineEventType, relation::RelationType, room::member::MembershipState},
    room_version_rules::RoomVersionRules,
    signatures, state_res,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::error::{Kind, Result};

/// A parsed PDU, without the parts that only matter on the wire (hashes, signatures) and without `unsigned`.
///
/// It only comes into being through [`Event::parse`], so its id and room id always belong to its JSON.
#[derive(Clone, Debug)]
pub struct Event {
    /// The reference hash of the event, `$` in front; in version 2 what its server chose.
    pub id: OwnedEventId,
    /// The room of the event; known for every event, also where the PDU itself does not name it.
    pub room_id: OwnedRoomId,
    /// Who sent it.
    pub sender: OwnedUserId,
    /// The `type`.
    pub kind: TimelineEventType,
    /// The state key, which makes the event a state event.
    pub state_key: Option<Box<str>>,
    /// The content as canonical JSON.
    pub content: Box<RawValue>,
    /// The event that this one redacts, wherever the room version writes it.
    pub redacts: Option<OwnedEventId>,
    /// When the sender's server says that it was sent.
    pub origin_server_ts: MilliSecondsSinceUnixEpoch,
    /// The newest events of the room that the sender's server knew.
    pub prev_events: Box<[OwnedEventId]>,
    /// The state events that allow this one.
    pub auth_events: Box<[OwnedEventId]>,
    /// The reference hash, where it is not the id and those that follow write it beside that (version 2).
    pub reference_hash: Option<Box<str>>,
    /// One more than the greatest depth of `prev_events`.
    pub depth: u64,
    /// Whether the PDU leaves out `room_id` because its own hash is the room id.
    names_room: bool,
}

impl Event {
    /// Reads a stored or received PDU whose id and room are known.
    ///
    /// # Errors
    ///
    /// [`Kind::BadJson`] when the JSON is not a PDU in the format of the room version.
    pub fn parse(id: OwnedEventId, room_id: OwnedRoomId, json: &str, rules: &RoomVersionRules) -> Result<Self> {
        let pdu: Pdu<'_> = serde_json::from_str(json).map_err(|e| Kind::BadJson.with(format!("not an event: {e}")))?;
        let names_room =
            !(rules.authorization.room_create_event_id_as_room_id && pdu.kind == TimelineEventType::RoomCreate);
        let hashed = rules.event_format.require_event_id;
        if hashed && pdu.event_id.as_deref() != Some(id.as_str()) {
            return Err(Kind::BadJson.with("the event names another id than its own"));
        }
        Ok(Self {
            reference_hash: hashed.then(|| reference_hash(json, rules)).transpose()?,
            redacts: pdu.redacts(rules),
            id,
            room_id,
            sender: pdu.sender,
            kind: pdu.kind,
            state_key: pdu.state_key,
            content: pdu.content.to_owned(),
            origin_server_ts: pdu.origin_server_ts,
            prev_events: ids(pdu.prev_events, hashed)?,
            auth_events: ids(pdu.auth_events, hashed)?,
            depth: pdu.depth,
            names_room,
        })
    }

    /// Whether this is a state event.
    pub fn is_state(&self) -> bool {
        self.state_key.is_some()
    }

    /// The place of a state event in the room's state; `None` for a message event.
    pub fn state_place(&self) -> Option<(StateEventType, &str)> {
        Some((self.kind.to_string().into(), self.state_key.as_deref()?))
    }

    /// The content as a type.
    ///
    /// # Errors
    ///
    /// [`Kind::BadJson`] when the content does not have that shape.
    pub fn content_as<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.content.get())
            .map_err(|e| Kind::BadJson.with(format!("the content of {} event {} is unusual: {e}", self.kind, self.id)))
    }

    /// The membership that a member event gives to the user in its state key; `None` for every other event.
    pub fn membership(&self) -> Option<MembershipState> {
        #[derive(Deserialize)]
        struct Content {
            membership: MembershipState,
        }

        if self.kind != TimelineEventType::RoomMember || !self.is_state() {
            return None;
        }
        self.content_as::<Content>().ok().map(|content| content.membership)
    }

    /// The user whom a member event is about.
    pub fn target(&self) -> Option<&UserId> {
        match self.kind {
            TimelineEventType::RoomMember => <&UserId>::try_from(self.state_key.as_deref()?).ok(),
            _ => None,
        }
    }

    /// How the event relates to another one, when its content says so.
    pub fn relation(&self) -> Option<Relation<'_>> {
        Relation::of(&self.content)
    }

    /// Whether the event, which says that it replaces another one, is a valid replacement of an event of this sender and type
    /// (client-server API, "Validity of replacement events"); that the other is no replacement itself is for the caller to say.
    pub fn may_replace(&self, sender: &UserId, kind: &TimelineEventType) -> bool {
        #[derive(Deserialize)]
        struct Content<'a> {
            #[serde(rename = "m.new_content", borrow)]
            new_content: Option<&'a RawValue>,
        }

        // What an encrypted event replaces with is in the part that the server cannot read.
        let has_content = || {
            let content = serde_json::from_str::<Content<'_>>(self.content.get());
            content.is_ok_and(|content| content.new_content.is_some_and(|new| new.get().starts_with('{')))
        };
        !self.is_state()
            && self.sender == *sender
            && self.kind == *kind
            && (self.kind == TimelineEventType::RoomEncrypted || has_content())
    }

    /// The root of the thread that the event is in, when it says so itself (an edit or a reaction does not).
    pub fn thread_root(&self) -> Option<&EventId> {
        self.relation().filter(|relation| relation.kind == RelationType::Thread).map(|relation| relation.event_id)
    }

    /// The event that this one edits; state events edit nothing.
    pub fn replaces(&self) -> Option<&EventId> {
        if self.is_state() {
            return None;
        }
        self.relation().filter(|relation| relation.kind == RelationType::Replacement).map(|relation| relation.event_id)
    }
}

/// The `m.relates_to` of an event.
#[derive(Clone, Debug)]
pub struct Relation<'a> {
    /// The `rel_type`.
    pub kind: RelationType,
    /// The event that is related to.
    pub event_id: &'a EventId,
    /// The `key` of an annotation.
    pub key: Option<Cow<'a, str>>,
}

impl<'a> Relation<'a> {
    /// The relation that the content of an event speaks of.
    pub fn of(content: &'a RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Content<'a> {
            #[serde(rename = "m.relates_to", borrow)]
            relates_to: Option<RelatesTo<'a>>,
        }
        #[derive(Deserialize)]
        struct RelatesTo<'a> {
            #[serde(borrow)]
            rel_type: Cow<'a, str>,
            #[serde(borrow)]
            event_id: Cow<'a, str>,
            #[serde(borrow)]
            key: Option<&'a RawValue>,
        }

        let relates_to = serde_json::from_str::<Content<'_>>(content.get()).ok()?.relates_to?;
        let Cow::Borrowed(event_id) = relates_to.event_id else {
            // The id was written with escapes, which no event id needs.
            return None;
        };
        Some(Relation {
            kind: relates_to.rel_type.as_ref().into(),
            event_id: <&EventId>::try_from(event_id).ok()?,
            key: relates_to.key.and_then(|key| serde_json::from_str(key.get()).ok()),
        })
    }
}

/// The fields of a PDU as they are on the wire.
#[derive(Deserialize)]
struct Pdu<'a> {
    sender: OwnedUserId,
    #[serde(rename = "type")]
    kind: TimelineEventType,
    state_key: Option<Box<str>>,
    #[serde(borrow)]
    content: &'a RawValue,
    /// Raw, because a value of the wrong type makes the redaction void and not the event.
    #[serde(borrow)]
    redacts: Option<&'a RawValue>,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    prev_events: Vec<Link>,
    auth_events: Vec<Link>,
    depth: u64,
    #[serde(borrow)]
    event_id: Option<Cow<'a, str>>,
}

/// How a PDU names another one: by its id, or in version 2 with its hash beside that.
#[derive(Deserialize)]
#[serde(untagged)]
enum Link {
    Id(OwnedEventId),
    Hashed(OwnedEventId, serde::de::IgnoredAny),
}

/// The ids in a list of links, which are all of one kind.
fn ids(links: Vec<Link>, hashed: bool) -> Result<Box<[OwnedEventId]>> {
    let id = |link| match (link, hashed) {
        (Link::Id(id), false) | (Link::Hashed(id, _), true) => Ok(id),
        _ => Err(Kind::BadJson.with("the event names others in the way of another room version")),
    };
    links.into_iter().map(id).collect()
}

fn reference_hash(json: &str, rules: &RoomVersionRules) -> Result<Box<str>> {
    let pdu = serde_json::from_str(json).map_err(|e| Kind::BadJson.with(format!("not an event: {e}")))?;
    let hash = signatures::reference_hash(&pdu, rules);
    hash.map(String::into_boxed_str).map_err(|e| Kind::BadJson.with(format!("not an event: {e}")))
}

impl Pdu<'_> {
    fn redacts(&self, rules: &RoomVersionRules) -> Option<OwnedEventId> {
        #[derive(Deserialize)]
        struct Content {
            redacts: OwnedEventId,
        }

        if self.kind != TimelineEventType::RoomRedaction {
            return None;
        }
        if rules.redaction.content_field_redacts {
            return serde_json::from_str::<Content>(self.content.get()).ok().map(|content| content.redacts);
        }
        serde_json::from_str(self.redacts?.get()).ok()
    }
}

impl state_res::Event for Event {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.id
    }

    /// `None` where the PDU does not carry a room id, as the auth rules look at the PDU.
    fn room_id(&self) -> Option<&RoomId> {
        self.names_room.then_some(&*self.room_id)
    }

    fn sender(&self) -> &UserId {
        &self.sender
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.origin_server_ts
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.kind
    }

    fn content(&self) -> &RawValue {
        &self.content
    }

    fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.prev_events.iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.auth_events.iter())
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        self.redacts.as_ref()
    }

    /// Rejected events never become part of what the rules look at.
    fn rejected(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
