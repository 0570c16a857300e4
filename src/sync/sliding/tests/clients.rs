//! Two clients of the same person, and what they know.

use std::collections::{BTreeMap, BTreeSet};

use ruma::owned_device_id;
use serde_json::{Value, json};

use super::world::{Unsure, World, reader};
use crate::{
    presence::Availability,
    sync::{SlidingRequest, StateExtent, StateStyle, SyncRequest, SyncToken},
};

/// What a client knows.
#[derive(Debug, Default)]
pub struct Known {
    rooms: BTreeMap<String, Room>,
    account_data: BTreeMap<String, Value>,
}

/// What it knows of a room.
#[derive(Clone, Debug, Default)]
struct Room {
    membership: String,
    state: BTreeMap<(String, String), String>,
    /// The newest events without a gap.
    timeline: Vec<Told>,
    unread: (u64, u64),
    members: (u64, u64),
    /// By reader and kind.
    receipts: BTreeMap<(String, String), String>,
    typing: BTreeSet<String>,
    account_data: BTreeMap<String, Value>,
    stripped: BTreeMap<(String, String), Value>,
}

/// What it knows of an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    id: String,
    sender: String,
    is_state: bool,
}

/// A client that uses `/sync`.
#[derive(Default)]
pub struct Classic {
    pub known: Known,
    since: Option<SyncToken>,
}

/// A client that uses sliding sync.
#[derive(Default)]
pub struct Sliding {
    pub known: Known,
    name: &'static str,
    pos: Option<String>,
}

impl Known {
    /// Fails unless both know the same of what concerns the person now, and is not `unsure`.
    pub fn expect_same(&self, other: &Self, unsure: &Unsure) {
        let current = |known: &Self| {
            let current = known.rooms.iter().filter(|(id, room)| {
                room.membership != "leave" && room.membership != "ban" && !unsure.invitations.contains(*id)
            });
            current.map(|(id, room)| (id.clone(), room.clone())).collect::<BTreeMap<_, _>>()
        };
        let (one, two) = (current(self), current(other));
        assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>(), "the rooms");
        assert_eq!(self.account_data, other.account_data, "the account data");
        for (id, one) in &one {
            one.expect_same(&two[id], id, unsure);
        }
    }
}

impl Room {
    fn expect_same(&self, other: &Self, id: &str, unsure: &Unsure) {
        assert_eq!(self.membership, other.membership, "the membership in {id}");
        assert_eq!(self.stripped, other.stripped, "the invitation to {id}");
        // `/sync` has no place for the account data of a room that one is only invited to.
        if self.membership != "join" {
            return;
        }
        assert_eq!(self.account_data, other.account_data, "the account data of {id}");
        assert_eq!(self.state, other.state, "the state of {id}");
        assert_eq!(self.unread, other.unread, "the unread counts of {id}");
        assert_eq!(self.members, other.members, "the numbers of members of {id}");
        let is_sure = |person: &str| !unsure.people.contains(person);
        let receipts = |room: &Self| {
            let mut receipts = room.receipts.clone();
            receipts.retain(|(reader, _), _| is_sure(reader));
            receipts
        };
        assert_eq!(receipts(self), receipts(other), "the receipts of {id}");
        let typing = |room: &Self| room.typing.iter().filter(|person| is_sure(person)).cloned().collect::<Vec<_>>();
        assert_eq!(typing(self), typing(other), "who types in {id}");
        let timeline = |room: &Self| {
            let sure = room.timeline.iter().filter(|event| event.is_state || is_sure(&event.sender));
            sure.cloned().collect::<Vec<_>>()
        };
        let (one, two) = (timeline(self), timeline(other));
        let shared = one.len().min(two.len());
        assert_eq!(one[one.len() - shared..], two[two.len() - shared..], "the timeline of {id}");
        if unsure.people.is_empty() {
            assert_eq!(self.timeline.is_empty(), other.timeline.is_empty(), "the timeline of {id}");
        }
    }

    fn take_state(&mut self, events: &Value) {
        for event in list(events) {
            self.state.insert(place(event), text(&event["event_id"]));
        }
    }

    fn take_timeline(&mut self, events: &Value, replaces: bool) {
        if replaces {
            self.timeline.clear();
        }
        let new = list(events).map(|event| Told {
            id: text(&event["event_id"]),
            sender: text(&event["sender"]),
            is_state: event["state_key"].is_string(),
        });
        self.timeline.extend(new);
        let unique: BTreeSet<_> = self.timeline.iter().collect();
        assert_eq!(unique.len(), self.timeline.len(), "an event came twice: {:?}", self.timeline);
    }

    fn take_receipts(&mut self, content: &Value) {
        for (event, kinds) in content.as_object().into_iter().flatten() {
            for (kind, readers) in kinds.as_object().unwrap() {
                for reader in readers.as_object().unwrap().keys() {
                    self.receipts.insert((reader.clone(), kind.clone()), event.clone());
                }
            }
        }
    }

    fn take_typing(&mut self, content: &Value) {
        self.typing = list(&content["user_ids"]).map(text).collect();
    }
}

fn take_account_data(known: &mut BTreeMap<String, Value>, events: &Value) {
    for event in list(events) {
        match event["content"].as_object().unwrap().is_empty() {
            true => drop(known.remove(&text(&event["type"]))),
            false => drop(known.insert(text(&event["type"]), event["content"].clone())),
        }
    }
}

impl Classic {
    pub async fn sync(&mut self, world: &World, limit: u64) {
        let mut request = SyncRequest {
            user: reader(),
            device: owned_device_id!("D"),
            since: self.since,
            filter: Default::default(),
            relations: Default::default(),
            extent: StateExtent::Changes,
            state_style: StateStyle::After,
            appearance: Availability::Offline,
            timeout: Default::default(),
        };
        request.filter.room.timeline.limit = Some(u32::try_from(limit).unwrap().into());
        let answer = world.sync.sync(request).await.unwrap();
        self.since = Some(answer.next);
        let account_data = serde_json::to_value(&answer.account_data).unwrap();
        take_account_data(&mut self.known.account_data, &account_data["events"]);
        let rooms = serde_json::to_value(&answer.rooms).unwrap();
        for (id, told) in rooms["join"].as_object().into_iter().flatten() {
            let room = self.known.rooms.entry(id.clone()).or_default();
            if room.membership != "join" {
                *room = Room { membership: "join".to_owned(), ..Room::default() };
            }
            room.take_state(&told["state_after"]["events"]);
            room.take_timeline(&told["timeline"]["events"], told["timeline"]["limited"] == true);
            take_account_data(&mut room.account_data, &told["account_data"]["events"]);
            for event in list(&told["ephemeral"]["events"]) {
                match event["type"] == "m.typing" {
                    true => room.take_typing(&event["content"]),
                    false => room.take_receipts(&event["content"]),
                }
            }
            let unread = &told["unread_notifications"];
            room.unread = (number(&unread["notification_count"]), number(&unread["highlight_count"]));
            if let Some(joined) = told["summary"]["m.joined_member_count"].as_u64() {
                room.members = (joined, number(&told["summary"]["m.invited_member_count"]));
            }
        }
        for (section, membership) in [("invite", "invite"), ("knock", "knock"), ("leave", "leave")] {
            for (id, told) in rooms[section].as_object().into_iter().flatten() {
                let mut room = Room { membership: membership.to_owned(), ..Room::default() };
                let stripped = list(&told["invite_state"]["events"]);
                room.stripped = stripped.map(|event| (place(event), event["content"].clone())).collect();
                self.known.rooms.insert(id.clone(), room);
            }
        }
    }
}

impl Sliding {
    pub fn named(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Asks without taking note of the answer.
    pub async fn ask(&self, world: &World, mut body: Value) -> Value {
        body["conn_id"] = json!(self.name);
        body["pos"] = json!(self.pos);
        let request = SlidingRequest {
            user: reader(),
            device: owned_device_id!("E"),
            appearance: Availability::Offline,
            timeout: Default::default(),
            body: serde_json::from_value(body).unwrap(),
        };
        serde_json::to_value(world.sync.sliding(request).await.unwrap()).unwrap()
    }

    pub async fn sync(&mut self, world: &World, body: Value) {
        let answer = self.ask(world, body).await;
        self.pos = Some(text(&answer["pos"]));
        for (id, told) in answer["rooms"].as_object().into_iter().flatten() {
            self.take_room(id, told);
        }
        let extensions = &answer["extensions"];
        take_account_data(&mut self.known.account_data, &extensions["account_data"]["global"]);
        let of_rooms = |extension: &str| extensions[extension]["rooms"].as_object().cloned().unwrap_or_default();
        for (id, events) in of_rooms("account_data") {
            take_account_data(&mut self.room(&id).account_data, &events);
        }
        for (id, event) in of_rooms("receipts") {
            self.room(&id).take_receipts(&event["content"]);
        }
        for (id, event) in of_rooms("typing") {
            self.room(&id).take_typing(&event["content"]);
        }
    }

    fn take_room(&mut self, id: &str, told: &Value) {
        let room = self.known.rooms.entry(id.to_owned()).or_default();
        if told["initial"] == true {
            *room = Room::default();
        }
        if let Some(membership) = told["membership"].as_str() {
            membership.clone_into(&mut room.membership);
        }
        room.take_state(&told["required_state"]);
        let replaces = told["limited"] == true || told["unstable_expanded_timeline"] == true;
        room.take_timeline(&told["timeline"], replaces);
        if let Some(count) = told["notification_count"].as_u64() {
            room.unread = (count, number(&told["highlight_count"]));
        }
        if let Some(joined) = told["joined_count"].as_u64() {
            room.members = (joined, number(&told["invited_count"]));
        }
        if let Some(stripped) = told["invite_state"].as_array() {
            room.stripped = stripped.iter().map(|event| (place(event), event["content"].clone())).collect();
        }
    }

    fn room(&mut self, id: &str) -> &mut Room {
        self.known.rooms.get_mut(id).unwrap_or_else(|| panic!("an extension speaks of {id}, of which nothing was told"))
    }
}

fn list(events: &Value) -> impl Iterator<Item = &Value> {
    events.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn place(event: &Value) -> (String, String) {
    (text(&event["type"]), text(&event["state_key"]))
}
