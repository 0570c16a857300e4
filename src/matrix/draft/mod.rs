//! From an intent to a signed event: canonical JSON, limits, hashes, signature and ids.

mod unique_keys;

use std::collections::BTreeMap;

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, ServerName,
    canonical_json::{CanonicalJsonObject, CanonicalJsonValue, to_canonical_value},
    events::TimelineEventType,
    room_version_rules::RoomVersionRules,
    serde::base64::{Base64, UrlSafe},
    signatures::{self, JsonError},
};
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use self::unique_keys::UniqueKeys;
use super::{event::Event, known_fields, signing::SigningKey};
use crate::error::{Error, Kind, Result};

/// The size in bytes that the canonical JSON of a whole event must not exceed, signatures included.
pub const MAX_EVENT_BYTES: usize = 65_536;

/// The size in bytes that ids, types and state keys must not exceed.
pub const MAX_KEY_BYTES: usize = 255;

/// How many events an event may follow directly (room versions, "Event format").
pub const MAX_PREV_EVENTS: usize = 20;

/// How deeply lists and objects in a content may be nested. The specification sets no limit; this one leaves room for
/// the JSON around the content under the 128 levels at which many parsers give up, ours among them.
pub const MAX_CONTENT_DEPTH: usize = 100;

/// An event that is not signed yet: what its sender wants, and where in the room's history it goes.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The room; `None` only for the create event of a room whose id is the hash of that event (version 12 and later).
    pub room_id: Option<OwnedRoomId>,
    /// Who sends it.
    pub sender: OwnedUserId,
    /// The `type`.
    pub kind: TimelineEventType,
    /// The state key of a state event.
    pub state_key: Option<String>,
    /// The content, in any spelling of JSON.
    pub content: Box<RawValue>,
    /// The event that an `m.room.redaction` redacts; `None` leaves it to `redacts` in the content. [`seal`] writes it
    /// where the room version wants it.
    pub redacts: Option<OwnedEventId>,
    /// The newest events of the room.
    pub prev_events: Vec<OwnedEventId>,
    /// The state events that allow this one.
    pub auth_events: Vec<OwnedEventId>,
    /// The reference hashes of these events, which version 2 writes beside their ids.
    pub references: BTreeMap<OwnedEventId, Box<str>>,
    /// One more than the greatest depth of `prev_events`.
    pub depth: u64,
    /// When it was sent.
    pub origin_server_ts: MilliSecondsSinceUnixEpoch,
}

/// Signs a draft: the event, and its canonical JSON as it is stored and sent to other servers.
///
/// # Errors
///
/// [`Kind::BadJson`] when the content is not an object of canonical JSON (floats, integers beyond ±(2^53 − 1)) and
/// [`Kind::TooLarge`] when the event or one of its keys is larger than the specification allows ("Size limits").
/// Versions 2 to 5 would tolerate other numbers, but leave open how they are hashed; here they are refused as well.
pub fn seal(
    draft: Draft,
    rules: &RoomVersionRules,
    server_name: &ServerName,
    key: &SigningKey,
) -> Result<(Event, Box<str>)> {
    let content = canonical_content(&draft.content)?;
    sign(draft, content, rules, server_name, key)
}

/// As [`seal`], for what somebody here wants to send: the fields that everybody knows must have the shape that they should.
///
/// # Errors
///
/// As [`seal`]; [`Kind::BadJson`] too when one of those fields has another shape than the specification says.
pub fn seal_checked(
    draft: Draft,
    rules: &RoomVersionRules,
    server_name: &ServerName,
    key: &SigningKey,
) -> Result<(Event, Box<str>)> {
    let content = checked_content(&draft.kind, draft.state_key.is_some(), &draft.content)?;
    sign(draft, content, rules, server_name, key)
}

fn sign(
    draft: Draft,
    content: CanonicalJsonObject,
    rules: &RoomVersionRules,
    server_name: &ServerName,
    key: &SigningKey,
) -> Result<(Event, Box<str>)> {
    check_keys(&draft)?;
    if draft.prev_events.len() > MAX_PREV_EVENTS {
        return Err(Error::internal(format!("an event cannot follow {} events", draft.prev_events.len())));
    }
    let names_room = draft.room_id.clone();
    let mut pdu = to_object(draft, content, rules)?;
    let chosen_id = rules.event_format.require_event_id.then(|| choose_id(&pdu, server_name)).transpose()?;
    if let Some(id) = &chosen_id {
        pdu.insert("event_id".to_owned(), CanonicalJsonValue::String(id.to_string()));
    }

    signatures::hash_and_sign_event(server_name.as_str(), key, &mut pdu, &rules.redaction).map_err(refusal)?;
    let hash = signatures::reference_hash(&pdu, rules).map_err(refusal)?;
    let json = serde_json::to_string(&pdu).map_err(Error::internal)?;
    if json.len() > MAX_EVENT_BYTES {
        return Err(too_large());
    }

    let id = match chosen_id {
        Some(id) => id,
        None => EventId::parse(format!("${hash}")).map_err(Error::internal)?,
    };
    let room_id = match names_room {
        Some(room_id) => room_id,
        None => RoomId::parse(format!("!{hash}")).map_err(Error::internal)?,
    };
    let event = Event::parse(id, room_id, &json, rules)?;
    Ok((event, json.into_boxed_str()))
}

/// An id for an event of version 2, where the server that makes an event chooses its id. Nothing but the event itself goes into
/// it, so that different events have different ids.
fn choose_id(pdu: &CanonicalJsonObject, server_name: &ServerName) -> Result<OwnedEventId> {
    let json = serde_json::to_string(pdu).map_err(Error::internal)?;
    let opaque = Base64::<UrlSafe, _>::new(Sha256::digest(json)).encode();
    EventId::parse(format!("${opaque}:{server_name}")).map_err(Error::internal)
}

/// Parses the content of an event as an object of canonical JSON.
///
/// # Errors
///
/// [`Kind::BadJson`] when it is something else, or nested more than [`MAX_CONTENT_DEPTH`] deep.
pub fn canonical_content(json: &RawValue) -> Result<CanonicalJsonObject> {
    serde_json::from_str::<UniqueKeys>(json.get())
        .map_err(|e| Kind::BadJson.with(format!("the content is not canonical JSON: {e}")))?;
    let value: CanonicalJsonValue = serde_json::from_str(json.get())
        .map_err(|e| Kind::BadJson.with(format!("the content is not canonical JSON: {e}")))?;
    if depth(&value) > MAX_CONTENT_DEPTH {
        return Err(Kind::BadJson.with(format!("the content is nested more than {MAX_CONTENT_DEPTH} levels deep")));
    }
    match value {
        CanonicalJsonValue::Object(object) => Ok(object),
        _ => Err(Kind::BadJson.with("the content of an event must be an object")),
    }
}

/// As [`canonical_content`], for an event of this type, of which the fields that everybody knows are checked as well.
///
/// # Errors
///
/// [`Kind::BadJson`] when one of those has another shape than the specification says, or the content is no content at all.
pub fn checked_content(kind: &TimelineEventType, is_state: bool, json: &RawValue) -> Result<CanonicalJsonObject> {
    let content = canonical_content(json)?;
    known_fields::check(&kind.to_string(), is_state, &content)?;
    Ok(content)
}

/// The levels of lists and objects in a value; parsing has bounded them already.
fn depth(value: &CanonicalJsonValue) -> usize {
    match value {
        CanonicalJsonValue::Array(values) => 1 + values.iter().map(depth).max().unwrap_or_default(),
        CanonicalJsonValue::Object(object) => 1 + object.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

fn to_object(draft: Draft, mut content: CanonicalJsonObject, rules: &RoomVersionRules) -> Result<CanonicalJsonObject> {
    let mut pdu = CanonicalJsonObject::new();
    let mut put = |key: &str, value: CanonicalJsonValue| pdu.insert(key.to_owned(), value);

    if draft.kind == TimelineEventType::RoomRedaction {
        // Clients may write the target into the content in every room version.
        let written = content.remove("redacts");
        let target = draft.redacts.map(|id| CanonicalJsonValue::String(id.into())).or(written);
        match (target, rules.redaction.content_field_redacts) {
            (Some(target), true) => content.insert("redacts".to_owned(), target),
            (Some(target), false) => put("redacts", target),
            (None, _) => None,
        };
    }
    if let Some(room_id) = draft.room_id {
        put("room_id", canonical(room_id)?);
    } else if !rules.authorization.room_create_event_id_as_room_id || draft.kind != TimelineEventType::RoomCreate {
        return Err(Error::internal(format!("a draft of type {} lacks the id of its room", draft.kind)));
    }
    if let Some(state_key) = draft.state_key {
        put("state_key", CanonicalJsonValue::String(state_key));
    }
    put("sender", canonical(draft.sender)?);
    put("type", canonical(draft.kind)?);
    put("content", CanonicalJsonValue::Object(content));
    let links = |ids: Vec<OwnedEventId>| match rules.event_format.require_event_id {
        true => canonical(with_hashes(ids, &draft.references)?),
        false => canonical(ids),
    };
    put("prev_events", links(draft.prev_events)?);
    put("auth_events", links(draft.auth_events)?);
    put("depth", canonical(draft.depth)?);
    put("origin_server_ts", canonical(draft.origin_server_ts)?);
    Ok(pdu)
}

/// Ids as version 2 writes them ("Event format" of room version 1).
fn with_hashes(
    ids: Vec<OwnedEventId>,
    references: &BTreeMap<OwnedEventId, Box<str>>,
) -> Result<Vec<(OwnedEventId, BTreeMap<&str, &str>)>> {
    let link = |id: OwnedEventId| {
        let hash = references.get(&id).ok_or_else(|| Error::internal(format!("the hash of {id} is not known")))?;
        Ok((id, BTreeMap::from([("sha256", &**hash)])))
    };
    ids.into_iter().map(link).collect()
}

fn canonical(value: impl Serialize) -> Result<CanonicalJsonValue> {
    to_canonical_value(value).map_err(|e| Kind::BadJson.with(e.to_string()))
}

/// Checks the size of what a client can choose; sizes are in bytes, not characters.
fn check_keys(draft: &Draft) -> Result<()> {
    let room_id = draft.room_id.as_ref().map_or("", |id| id.as_str());
    let kind = draft.kind.to_string();
    let keys = [
        ("type", kind.as_str()),
        ("state_key", draft.state_key.as_deref().unwrap_or_default()),
        ("sender", draft.sender.as_str()),
        ("room_id", room_id),
        ("redacts", draft.redacts.as_ref().map_or("", |id| id.as_str())),
    ];
    match keys.into_iter().find(|(_, value)| value.len() > MAX_KEY_BYTES) {
        Some((name, _)) => Err(Kind::TooLarge.with(format!("{name} is longer than {MAX_KEY_BYTES} bytes"))),
        None => Ok(()),
    }
}

fn refusal(error: JsonError) -> Error {
    match error {
        JsonError::PduTooLarge => too_large(),
        other => Kind::BadJson.with(other.to_string()),
    }
}

fn too_large() -> Error {
    Kind::TooLarge.with(format!("the event is larger than {MAX_EVENT_BYTES} bytes"))
}

#[cfg(test)]
mod tests;
