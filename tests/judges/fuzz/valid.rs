//! Requests that are mostly right, with ids of rooms, events and devices that exist.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{dice::Dice, endpoints::Endpoint};
use crate::support::encode;

/// What a request may speak of, as ids by their sort.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Those that exist, whoever they belong to.
    all: BTreeMap<&'static str, Vec<String>>,
    /// Those of who sends the requests, which are taken more often: with others, most requests would end too early.
    own: BTreeMap<&'static str, Vec<String>>,
}

impl Names {
    pub fn add(&mut self, sort: &'static str, name: impl Into<String>) {
        insert(&mut self.all, sort, name.into());
    }

    pub fn add_own(&mut self, sort: &'static str, name: impl Into<String>) {
        let name = name.into();
        insert(&mut self.all, sort, name.clone());
        insert(&mut self.own, sort, name);
    }

    /// Forgets what is whose own.
    pub fn begin_anew(&mut self) {
        self.own.clear();
    }

    fn some(&self, sort: &str, dice: &mut Dice) -> String {
        let known = self.own.get(sort).filter(|_| dice.happens(65)).or_else(|| self.all.get(sort));
        known.map_or_else(|| "nothing".to_owned(), |known| dice.of(known).clone())
    }

    /// An id of any sort.
    pub fn any(&self, dice: &mut Dice) -> String {
        let sorts: Vec<_> = self.all.values().collect();
        let sort = *dice.of(&sorts);
        dice.of(sort).clone()
    }
}

fn insert(names: &mut BTreeMap<&'static str, Vec<String>>, sort: &'static str, name: String) {
    let known = names.entry(sort).or_default();
    // What was made long ago gives way, so that a long run stays within bounds.
    if known.len() > 60 {
        known.remove(30);
    }
    known.push(name);
}

const TYPES: &[&str] = &[
    "m.room.message",
    "m.room.member",
    "m.room.power_levels",
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.create",
    "m.room.canonical_alias",
    "m.room.encryption",
    "m.room.encrypted",
    "m.room.redaction",
    "m.room.tombstone",
    "m.room.server_acl",
    "m.room.third_party_invite",
    "m.reaction",
    "m.space.child",
    "m.space.parent",
    "m.room.pinned_events",
    "m.direct",
    "m.ignored_user_list",
    "m.push_rules",
    "m.fully_read",
    "m.tag",
    "m.room_key",
    "m.call.invite",
    "m.typing",
    "org.example.own",
];

/// The name of a value decides over what is likely in it.
pub fn text(name: &str, names: &Names, dice: &mut Dice) -> String {
    let lower = name.to_lowercase().replace('_', "");
    let sort = match &*lower {
        "roomid" | "roomidoralias" | "room" | "rooms" | "notrooms" | "replacementroom" => "room",
        "roomalias" | "alias" | "roomaliasname" => "alias",
        "userid" | "user" | "sender" | "senders" | "invite" | "users" => "user",
        "eventid" | "event" | "mfullyread" | "mread" | "threadid" | "redacts" => "event",
        "deviceid" | "devices" => "device",
        "mediaid" => "media",
        "since" | "from" | "to" | "at" | "nextbatch" | "start" | "end" => "token",
        "filter" | "filterid" => "filter",
        "version" => "version",
        "avatarurl" | "url" => "uri",
        "session" => "session",
        "username" | "localpart" => "localpart",
        "password" | "newpassword" => "password",
        _ => "",
    };
    if !sort.is_empty() {
        return names.some(sort, dice);
    }
    let choices: &[&str] = match &*lower {
        "eventtype" | "type" | "types" | "reltype" => TYPES,
        "statekey" => return if dice.happens(50) { String::new() } else { names.some("user", dice) },
        "servername" | "server" | "servers" | "via" => &["story.example", "other.example", "127.0.0.1:1"],
        "dir" => &["b", "f"],
        "scope" => &["global", "device"],
        "kind" => &["override", "underride", "content", "room", "sender", "http", "email"],
        "ruleid" => &[".m.rule.master", "own", ".m.rule.suppress_notices"],
        "keyname" => &["displayname", "avatar_url", "m.tz", "org.example.field"],
        "receipttype" => &["m.read", "m.read.private", "m.fully_read"],
        "tag" => &["m.favourite", "m.lowpriority", "u.own"],
        "membership" | "notmembership" => &["join", "leave", "invite", "ban", "knock"],
        "roomversion" | "newversion" => &["1", "3", "6", "9", "10", "11", "12", "99"],
        "medium" => &["email", "msisdn"],
        "email" | "address" => &["someone@mail.example", "full@mail.example"],
        "presence" | "setpresence" => &["online", "offline", "unavailable"],
        "algorithm" => &["m.megolm_backup.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "method" => &["crop", "scale"],
        "ts" | "timestamp" | "limit" | "width" | "height" | "before" => &["0", "1", "20", "1000", "1700000000000"],
        _ => &["a", "hello", "m.text", "body", "own", "12", "true"],
    };
    dice.pick(choices).to_owned()
}

/// A value that fits a schema. A key of an object may be missing.
pub fn value(name: &str, schema: &Value, names: &Names, dice: &mut Dice) -> Value {
    match schema {
        Value::Array(items) => {
            let item = items.first().cloned().unwrap_or_default();
            (0..dice.below(4)).map(|_| value(name, &item, names, dice)).collect()
        }
        Value::Object(fields) if fields.is_empty() => content(names, dice),
        Value::Object(fields) => object(fields, names, dice),
        Value::String(kind) => match kind.split_once([':', '=']) {
            None => match &**kind {
                "integer" | "number" => json!(*dice.of(&[0_i64, 1, 5, 20, 50, 100, 1_700_000_000_000])),
                "boolean" => json!(dice.happens(50)),
                "any" | "object" => content(names, dice),
                _ => json!(text(name, names, dice)),
            },
            Some(("", words)) => json!(dice.pick(&words.split('|').collect::<Vec<_>>())),
            Some((_, "mx-user-id")) => json!(names.some("user", dice)),
            Some((_, "mx-room-id")) => json!(names.some("room", dice)),
            Some((_, "mx-event-id")) => json!(names.some("event", dice)),
            Some((_, "mx-mxc-uri" | "uri")) => json!(names.some("uri", dice)),
            Some(_) => json!(text(name, names, dice)),
        },
        _ => content(names, dice),
    }
}

fn object(fields: &Map<String, Value>, names: &Names, dice: &mut Dice) -> Value {
    let mut object = Map::new();
    for (name, schema) in fields {
        if name == "*" {
            for _ in 0..dice.below(3) {
                object.insert(names.any(dice), value("", schema, names, dice));
            }
        } else if dice.happens(75) {
            object.insert(name.clone(), value(name, schema, names, dice));
        }
    }
    object.into()
}

/// What could be the content of some event, account data or whatever else is free in its form.
pub fn content(names: &Names, dice: &mut Dice) -> Value {
    let event = names.some("event", dice);
    let user = names.some("user", dice);
    let room = names.some("room", dice);
    let relation = *dice.of(&["m.thread", "m.replace", "m.annotation", "m.reference"]);
    let level = *dice.of(&[0_i64, 50, 100, -1, 9_007_199_254_740_991]);
    match dice.below(15) {
        0 => json!({"msgtype": "m.text", "body": "hello", "m.mentions": {"user_ids": [user], "room": true}}),
        1 => json!({"body": "again", "m.relates_to": {"rel_type": relation, "event_id": event, "key": "x",
                    "is_falling_back": true, "m.in_reply_to": {"event_id": event}}, "m.new_content": {"body": "new"}}),
        2 => json!({"membership": text("membership", names, dice), "displayname": "x", "reason": "y",
                    "join_authorised_via_users_server": user}),
        3 => json!({"users": {user: level}, "users_default": level, "events": {"m.room.name": level}, "ban": level}),
        4 => json!({"join_rule": *dice.of(&["public", "invite", "knock", "restricted", "private", "knock_restricted"]),
                    "allow": [{"type": "m.room_membership", "room_id": room}]}),
        5 => json!({"history_visibility": *dice.of(&["shared", "joined", "invited", "world_readable", "odd"])}),
        6 => json!({"alias": names.some("alias", dice), "alt_aliases": [names.some("alias", dice)]}),
        7 => json!({"name": "name", "topic": "topic", "url": names.some("uri", dice), "via": ["story.example"]}),
        8 => json!({"ignored_users": {user: {}}, "m.marked_unread": true, "order": 0.5}),
        9 => json!({"redacts": event, "reason": "z", "replacement_room": room, "body": "moved"}),
        10 => json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "abc", "sender_key": "k", "session_id": "s"}),
        11 => json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": "no",
                     "session": names.some("session", dice)}),
        12 => json!({"pinned": [event], "creator": user, "room_version": "11", "predecessor": {"room_id": room}}),
        13 => json!({"user_id": user, "device_id": names.some("device", dice), "keys": {"ed25519:A": "AAAA"},
                     "signatures": {user: {"ed25519:A": "AAAA"}}, "algorithms": []}),
        _ => json!({}),
    }
}

/// The filled-in path with its query, by their parts, so that a mutation can change one.
pub struct Target {
    /// What stands between slashes, encoded.
    pub segments: Vec<String>,
    /// Names and values, encoded.
    pub query: Vec<(String, String)>,
}

impl Target {
    pub fn new(endpoint: &Endpoint, names: &Names, dice: &mut Dice) -> Self {
        let segment = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => encode(&text(name, names, dice)),
            None => part.to_owned(),
        };
        let segments = endpoint.path.split('/').skip(1).map(segment).collect();
        let mut query = Vec::new();
        for (name, schema) in &endpoint.query {
            if name.contains("timeout") {
                // The server waits as long as it is asked to, so that this is left as it is.
                query.push((name.clone(), dice.pick(&["0", "0", "0", "-1", "0.5", "x", ""]).to_owned()));
            } else if dice.happens(60) {
                let value = match value(name, schema, names, dice) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                query.push((name.clone(), encode(&value)));
            }
        }
        Self { segments, query }
    }

    pub fn written(&self) -> Vec<u8> {
        let mut target: String = self.segments.iter().map(|segment| format!("/{segment}")).collect();
        for (index, (name, value)) in self.query.iter().enumerate() {
            target += if index == 0 { "?" } else { "&" };
            target += &format!("{name}={value}");
        }
        target.into_bytes()
    }
}
