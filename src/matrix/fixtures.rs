//! A room in memory for the tests of this layer: it drafts, signs, checks and applies events, and keeps only the state.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, ServerName, UInt, UserId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::RoomVersionRules,
    server_name,
};
use serde_json::{Value, json, value::to_raw_value};

use super::{
    auth_rules,
    draft::{Draft, seal},
    event::Event,
    room_version,
    signing::SigningKey,
};
use crate::error::Result;

/// The server that signs every event of the tests.
pub fn server() -> &'static ServerName {
    server_name!("commonroom.example")
}

/// The same key in every test.
pub fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32], "a_test").unwrap()
}

/// The id of a user of [`server`].
pub fn user(name: &str) -> OwnedUserId {
    UserId::parse(format!("@{name}:{}", server())).unwrap()
}

/// A room of which only the current state is kept.
#[derive(Clone)]
pub struct Room {
    pub id: OwnedRoomId,
    pub rules: &'static RoomVersionRules,
    pub state: HashMap<(StateEventType, String), Arc<Event>>,
    pub newest: Arc<Event>,
}

impl Room {
    /// A room that `@creator` has created and joined, with power levels and the given join rule.
    pub fn new(version: RoomVersionId, join_rule: &str) -> Self {
        let mut room = Self::created(version, json!({}));
        let users = match room.rules.authorization.explicitly_privilege_room_creators {
            true => json!({}),
            false => json!({ user("creator"): 100 }),
        };
        room.membership("creator", "creator", "join").unwrap();
        room.set("creator", "m.room.power_levels", json!({ "users": users })).unwrap();
        room.set("creator", "m.room.join_rules", json!({ "join_rule": join_rule })).unwrap();
        room
    }

    /// A room with nothing but its create event.
    pub fn created(version: RoomVersionId, mut content: Value) -> Self {
        let rules = room_version::rules(&version).unwrap();
        content["room_version"] = json!(version);
        if !rules.authorization.use_room_create_sender {
            content["creator"] = json!(user("creator"));
        }
        let room_id = (!rules.authorization.room_create_event_id_as_room_id)
            .then(|| RoomId::parse(format!("!room:{}", server())).unwrap());
        let draft = Draft {
            room_id,
            sender: user("creator"),
            kind: TimelineEventType::RoomCreate,
            state_key: Some(String::new()),
            content: to_raw_value(&content).unwrap(),
            redacts: None,
            prev_events: vec![],
            auth_events: vec![],
            references: BTreeMap::new(),
            depth: 1,
            origin_server_ts: MilliSecondsSinceUnixEpoch(UInt::from(1_700_000_000u32)),
        };
        let (create, _) = seal(draft, rules, server(), &key()).unwrap();
        auth_rules::check(rules, &create, |_, _| None).unwrap();
        let create = Arc::new(create);
        let place = (StateEventType::RoomCreate, String::new());
        Self { id: create.room_id.clone(), rules, state: [(place, create.clone())].into(), newest: create }
    }

    /// The state event at a place.
    pub fn at(&self, kind: &StateEventType, state_key: &str) -> Option<Arc<Event>> {
        self.state.get(&(kind.clone(), state_key.to_owned())).cloned()
    }

    /// An event that is ready to be sealed.
    pub fn draft(&self, sender: &str, kind: &str, state_key: Option<&str>, content: Value) -> Result<Draft> {
        let mut draft = Draft {
            room_id: Some(self.id.clone()),
            sender: user(sender),
            kind: kind.into(),
            state_key: state_key.map(str::to_owned),
            content: to_raw_value(&content).unwrap(),
            redacts: None,
            prev_events: vec![self.newest.id.clone()],
            auth_events: vec![],
            references: BTreeMap::new(),
            depth: self.newest.depth + 1,
            origin_server_ts: MilliSecondsSinceUnixEpoch(self.newest.origin_server_ts.0 + UInt::from(1000u32)),
        };
        let places = auth_rules::auth_types(self.rules, &draft)?;
        let auth_events: Vec<_> = places.iter().filter_map(|(kind, key)| self.at(kind, key)).collect();
        draft.auth_events = auth_events.iter().map(|event| event.id.clone()).collect();
        let named = auth_events.iter().chain([&self.newest]);
        draft.references = named.filter_map(|event| Some((event.id.clone(), event.reference_hash.clone()?))).collect();
        Ok(draft)
    }

    /// Drafts, signs, checks and applies an event.
    pub fn send(&mut self, sender: &str, kind: &str, state_key: Option<&str>, content: Value) -> Result<Arc<Event>> {
        let draft = self.draft(sender, kind, state_key, content)?;
        self.apply(draft)
    }

    /// Signs, checks and applies a draft.
    pub fn apply(&mut self, draft: Draft) -> Result<Arc<Event>> {
        let (event, _) = seal(draft, self.rules, server(), &key())?;
        auth_rules::check(self.rules, &event, |kind, key| self.at(kind, key))?;
        let event = Arc::new(event);
        if let Some((kind, key)) = event.state_place() {
            self.state.insert((kind, key.to_owned()), event.clone());
        }
        self.newest = event.clone();
        Ok(event)
    }

    /// Sends a state event with an empty state key.
    pub fn set(&mut self, sender: &str, kind: &str, content: Value) -> Result<Arc<Event>> {
        self.send(sender, kind, Some(""), content)
    }

    /// Gives `target` a membership.
    pub fn membership(&mut self, sender: &str, target: &str, membership: &str) -> Result<Arc<Event>> {
        let target = user(target);
        self.send(sender, "m.room.member", Some(target.as_str()), json!({ "membership": membership }))
    }

    /// Sends a text message.
    pub fn message(&mut self, sender: &str, body: &str) -> Result<Arc<Event>> {
        self.send(sender, "m.room.message", None, json!({ "msgtype": "m.text", "body": body }))
    }
}
