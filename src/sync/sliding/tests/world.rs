//! People who do things in rooms, and a reader who syncs.

use std::{collections::BTreeSet, time::Duration};

use proptest::{prelude::*, sample::Index};
use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, UserId,
    api::client::room::create_room::v3::{Request, RoomPreset},
    device_id,
    events::receipt::ReceiptThread,
    owned_user_id, server_name,
};
use serde_json::{Value, json, value::to_raw_value};

use crate::{
    clock::Clock,
    config::HistoryVisibility,
    encryption::Encryption,
    matrix::signing::SigningKey,
    presence::Presence,
    rooms::{Mark, NoticeSettings, ReceiptKind, Rooms, Settings},
    shutdown::Shutdown,
    storage::Store,
    streams::{Ephemerals, Notifier},
    sync::{Sources, Sync},
    users::{AccountData, Users},
};

/// The people; the first of them is the one who syncs.
const PEOPLE: [&str; 3] = ["@alice:example.org", "@bob:example.org", "@carol:example.org"];

pub struct World {
    pub sync: Sync,
    rooms: Rooms,
    account_data: AccountData,
    ids: Vec<OwnedRoomId>,
    said: Vec<(OwnedRoomId, OwnedEventId)>,
    count: usize,
    ignored: BTreeSet<String>,
    ever_ignored: BTreeSet<String>,
}

/// Something that somebody does in a room.
#[derive(Clone, Debug)]
pub struct Deed {
    who: usize,
    room: Index,
    act: Act,
}

/// What two clients that ask at different times may know differently, because the reader ignored somebody for a while.
#[derive(Debug, Default)]
pub struct Unsure {
    /// Who was ever ignored: what they say meanwhile reaches who asks before or after, and not who asks in between.
    pub people: BTreeSet<String>,
    /// The rooms that somebody who is ignored now has invited the reader to: who asked before still knows of it.
    pub invitations: BTreeSet<String>,
}

#[derive(Clone, Debug)]
enum Act {
    Create { public: bool },
    Say,
    Rename(Option<u8>),
    Describe(u8),
    Invite(usize),
    Join,
    Leave,
    Kick(usize),
    Ban(usize),
    Unban(usize),
    Forget,
    Read { event: Index, private: bool },
    Type(bool),
    MarkDirect(bool),
    Tag(u8),
    Set(u8),
    Ignore(Option<usize>),
}

pub fn deeds() -> impl Strategy<Value = Deed> {
    let whom = || 0..PEOPLE.len();
    let act = prop_oneof![
        2 => any::<bool>().prop_map(|public| Act::Create { public }),
        10 => Just(Act::Say),
        1 => prop::option::of(0..3_u8).prop_map(Act::Rename),
        1 => (0..3_u8).prop_map(Act::Describe),
        3 => whom().prop_map(Act::Invite),
        4 => Just(Act::Join),
        2 => Just(Act::Leave),
        1 => whom().prop_map(Act::Kick),
        1 => whom().prop_map(Act::Ban),
        1 => whom().prop_map(Act::Unban),
        1 => Just(Act::Forget),
        4 => (any::<Index>(), any::<bool>()).prop_map(|(event, private)| Act::Read { event, private }),
        2 => any::<bool>().prop_map(Act::Type),
        1 => any::<bool>().prop_map(Act::MarkDirect),
        1 => (0..3_u8).prop_map(Act::Tag),
        1 => (0..3_u8).prop_map(Act::Set),
        2 => prop::option::of(1..PEOPLE.len()).prop_map(Act::Ignore),
    ];
    (whom(), any::<Index>(), act).prop_map(|(who, room, act)| Deed { who, room, act })
}

/// The one who syncs.
pub fn reader() -> OwnedUserId {
    owned_user_id!("@alice:example.org")
}

fn person(number: usize) -> &'static UserId {
    PEOPLE[number].try_into().unwrap()
}

impl World {
    pub async fn new() -> Self {
        let text = "server_name = \"example.org\"\ndata_dir = \"data\"";
        let config = crate::config::Config::read(text, "".as_ref(), []).unwrap();
        let (store, clock, notifier) = (Store::in_memory(), Clock::manual(1_000), Notifier::default());
        let (ephemerals, shutdown) = (Ephemerals::new(1), Shutdown::default());
        let users = Users::new(&store, &notifier, &clock, &config, &[]).unwrap();
        let settings = Settings {
            server_name: server_name!("example.org").to_owned(),
            default_version: RoomVersionId::V12,
            default_history_visibility: HistoryVisibility::Joined,
            server_notices: NoticeSettings {
                sender: owned_user_id!("@_server:example.org"),
                room_name: "Server notices".to_owned(),
                avatar_url: None,
            },
        };
        let encryption = Encryption::new(&store, &notifier, &clock, &users);
        let (key, ephemeral) = (SigningKey::generate(), ephemerals.clone());
        let rooms = Rooms::new(store.clone(), clock.clone(), notifier.clone(), ephemeral, &users, key, settings);
        let (people, ephemeral) = (rooms.clone(), ephemerals.clone());
        let presence = Presence::load(store.clone(), clock, notifier.clone(), ephemeral, people, None).await.unwrap();
        let account_data = users.account_data.clone();
        let (to_device, keys) = (encryption.to_device, encryption.keys);
        let sources = Sources {
            rooms: rooms.clone(),
            account_data: account_data.clone(),
            presence,
            to_device,
            keys,
            thread_subscriptions: users.thread_subscriptions,
        };
        let sync = Sync::new(store, notifier, ephemerals, shutdown, sources);
        Self {
            sync,
            rooms,
            account_data,
            ids: Vec::new(),
            said: Vec::new(),
            count: 0,
            ignored: BTreeSet::new(),
            ever_ignored: BTreeSet::new(),
        }
    }

    pub fn rooms(&self) -> &[OwnedRoomId] {
        &self.ids
    }

    /// What need not be the same for everybody who has synced.
    pub async fn unsure(&self) -> Unsure {
        let mut unsure = Unsure { people: self.ever_ignored.clone(), ..Unsure::default() };
        for id in &self.ids {
            let state = self.rooms.room(id).await.unwrap().current();
            if state.member(&reader()).is_some_and(|own| self.ignored.contains(own.sender.as_str())) {
                unsure.invitations.insert(id.to_string());
            }
        }
        unsure
    }

    /// Something happens, if it can.
    pub async fn happen(&mut self, deed: Deed) {
        let Deed { who, room, act } = deed;
        let user = person(who);
        if let Act::Create { public } = act {
            let mut request = Request::new();
            request.preset = Some(if public { RoomPreset::PublicChat } else { RoomPreset::PrivateChat });
            return self.ids.push(self.rooms.create(user, request).await.unwrap());
        }
        if self.ids.is_empty() {
            return;
        }
        let id = room.get(&self.ids).clone();
        self.count += 1;
        // What people may not do does not happen.
        match act {
            Act::Create { .. } => {}
            Act::Say => {
                let content = to_raw_value(&json!({ "msgtype": "m.text", "body": self.count.to_string() })).unwrap();
                let (sender, transaction) = ((user, device_id!("D")), self.count.to_string());
                let kind = "m.room.message".into();
                let said = self.rooms.send_message(&id, sender, kind, transaction.as_str().into(), content).await;
                self.said.extend(said.ok().map(|event| (id, event)));
            }
            Act::Rename(name) => {
                let name = name.map_or(json!({}), |name| json!({ "name": format!("name {name}") }));
                self.set(&id, user, "m.room.name", name).await;
            }
            Act::Describe(topic) => self.set(&id, user, "m.room.topic", json!({ "topic": topic.to_string() })).await,
            Act::Invite(whom) => drop(self.rooms.invite(&id, user, person(whom), None).await),
            Act::Join => drop(self.rooms.join(&id, user, None).await),
            Act::Leave => drop(self.rooms.leave(&id, user, None).await),
            Act::Kick(whom) => drop(self.rooms.kick(&id, user, person(whom), None).await),
            Act::Ban(whom) => drop(self.rooms.ban(&id, user, person(whom), None).await),
            Act::Unban(whom) => drop(self.rooms.unban(&id, user, person(whom), None).await),
            Act::Forget => drop(self.rooms.forget(&id, user).await),
            Act::Read { event, private } => self.read(user, event, private).await,
            Act::Type(true) => drop(self.rooms.start_typing(&id, user, Duration::from_secs(90)).await),
            Act::Type(false) => drop(self.rooms.stop_typing(&id, user).await),
            Act::MarkDirect(direct) => {
                let rooms = if direct { vec![id] } else { Vec::new() };
                self.keep(None, "m.direct", json!({ "@bob:example.org": rooms })).await;
            }
            Act::Tag(tag) => self.keep(Some(&id), "m.tag", json!({ "tags": { tag.to_string(): {} } })).await,
            Act::Set(value) => self.keep(None, "org.example.setting", json!({ "value": value })).await,
            Act::Ignore(whom) => {
                self.ignored = whom.map(|whom| PEOPLE[whom].to_owned()).into_iter().collect();
                self.ever_ignored.extend(self.ignored.clone());
                let ignored = whom.map_or(json!({}), |whom| json!({ PEOPLE[whom]: {} }));
                self.keep(None, "m.ignored_user_list", json!({ "ignored_users": ignored })).await;
            }
        }
    }

    async fn set(&self, id: &OwnedRoomId, user: &UserId, kind: &str, content: Value) {
        let content = to_raw_value(&content).unwrap();
        drop(self.rooms.set_state(id, user, (kind.into(), ""), content).await);
    }

    async fn read(&self, user: &UserId, event: Index, private: bool) {
        if self.said.is_empty() {
            return;
        }
        let (id, event) = event.get(&self.said);
        let kind = if private { ReceiptKind::Private } else { ReceiptKind::Public };
        let mark = Mark::Receipt { kind, thread: ReceiptThread::Unthreaded };
        drop(self.rooms.mark_read(id, user, &[(mark, event.clone())]).await);
    }

    /// The reader keeps something.
    async fn keep(&self, room: Option<&OwnedRoomId>, kind: &str, content: Value) {
        let content = to_raw_value(&content).unwrap();
        self.account_data.set(&reader(), room.map(|room| &**room), kind, content).await.unwrap();
    }
}
