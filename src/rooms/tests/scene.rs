//! A room with people in it, for the tests of what can be read there.

use std::sync::atomic::{AtomicU64, Ordering};

use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId, UserId,
    api::client::{filter::RoomEventFilter, room::create_room::v3::Request},
    device_id,
};
use serde_json::{Value, json, value::to_raw_value};

use crate::{error::Result, rooms::*, storage::Direction};

/// A room that `@alice` made, in which everybody has the device `D`.
pub(in crate::rooms) struct Scene {
    pub rooms: Rooms,
    pub id: OwnedRoomId,
    transactions: AtomicU64,
}

pub(in crate::rooms) fn user(name: &str) -> OwnedUserId {
    UserId::parse(format!("@{name}:example.org")).unwrap()
}

pub(in crate::rooms) fn reader(user: &UserId) -> Reader<'_> {
    Reader { user, device: device_id!("D") }
}

impl Scene {
    /// A room of this version whose history visibility is as said.
    pub async fn new(version: RoomVersionId, history_visibility: &str) -> Self {
        let mut request = Request::new();
        request.room_version = Some(version);
        let visibility = json!({
            "type": "m.room.history_visibility", "state_key": "",
            "content": { "history_visibility": history_visibility },
        });
        request.initial_state = vec![ruma::serde::Raw::from_json(to_raw_value(&visibility).unwrap())];
        let rooms = super::rooms();
        let id = rooms.create(&user("alice"), request).await.unwrap();
        Self { rooms, id, transactions: AtomicU64::new(0) }
    }

    /// The room of a private group as it is by default.
    pub async fn private() -> Self {
        Self::new(RoomVersionId::V12, "joined").await
    }

    /// The room after a restart of the server.
    pub fn after_restart(&self) -> Self {
        let rooms = super::rooms_in(self.rooms.shared.store.clone());
        Self { rooms, id: self.id.clone(), transactions: AtomicU64::new(1_000) }
    }

    pub async fn say(&self, name: &str, text: &str) -> OwnedEventId {
        self.send(name, "m.room.message", json!({ "msgtype": "m.text", "body": text })).await.unwrap()
    }

    pub async fn send(&self, name: &str, kind: &str, content: Value) -> Result<OwnedEventId> {
        let transaction = self.transactions.fetch_add(1, Ordering::Relaxed).to_string();
        let content = to_raw_value(&content).unwrap();
        let sender = user(name);
        let sender = (&*sender, device_id!("D"));
        self.rooms.send_message(&self.id, sender, kind.into(), transaction.as_str().into(), content).await
    }

    pub async fn set(&self, name: &str, kind: &str, state_key: &str, content: Value) -> Result<OwnedEventId> {
        let content = to_raw_value(&content).unwrap();
        self.rooms.set_state(&self.id, &user(name), (kind.into(), state_key), content).await
    }

    pub async fn redact(&self, name: &str, target: &OwnedEventId) -> Result<OwnedEventId> {
        let transaction = self.transactions.fetch_add(1, Ordering::Relaxed).to_string();
        let sender = user(name);
        let sender = (&*sender, device_id!("D"));
        self.rooms.redact(&self.id, sender, target, transaction.as_str().into(), Some("because")).await
    }

    pub async fn join(&self, name: &str) {
        self.rooms.invite(&self.id, &user("alice"), &user(name), None).await.unwrap();
        self.rooms.join(&self.id, &user(name), None).await.unwrap();
    }

    pub async fn leave(&self, name: &str) {
        self.rooms.leave(&self.id, &user(name), None).await.unwrap();
    }

    /// The event as this person's client gets it.
    pub async fn event(&self, name: &str, id: &OwnedEventId) -> Result<Value> {
        let event = self.rooms.visible_event(&self.id, reader(&user(name)), id).await?;
        Ok(serde_json::from_str(event.json().get()).unwrap())
    }

    /// A piece of the state as this person's client gets it.
    pub async fn state(&self, name: &str, kind: &str) -> Result<Value> {
        let format = ruma::api::client::state::get_state_event_for_key::v3::StateEventFormat::Event;
        let event = self.rooms.state_event(&self.id, reader(&user(name)), (&kind.into(), ""), &format).await?;
        Ok(serde_json::from_str(event.get()).unwrap())
    }

    /// A page of the history in this direction.
    pub async fn page(
        &self,
        name: &str,
        from: Option<PageToken>,
        direction: Direction,
        limit: u64,
        filter: Value,
    ) -> Result<Messages> {
        let relations = &serde_json::from_value(filter.clone()).unwrap();
        let filter: RoomEventFilter = serde_json::from_value(filter).unwrap();
        let request = MessagesRequest { from, to: None, direction, limit, filter: &filter, relations };
        self.rooms.messages(&self.id, reader(&user(name)), request).await
    }

    /// What this person finds when they page through the whole history, as bodies of messages and types of other events, and
    /// the number of pages.
    pub async fn walk(&self, name: &str, direction: Direction, limit: u64, filter: Value) -> (Vec<String>, usize) {
        let (mut seen, mut from, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = self.page(name, from, direction, limit, filter.clone()).await.unwrap();
            seen.extend(page.chunk.iter().map(summary));
            pages += 1;
            match page.end {
                Some(end) => from = Some(end.to_string().parse().unwrap()),
                None => return (seen, pages),
            }
        }
    }
}

/// The body of a message, or the type of another event.
pub(super) fn summary<T>(event: &ruma::serde::Raw<T>) -> String {
    let event: Value = serde_json::from_str(event.json().get()).unwrap();
    event["content"]["body"].as_str().or(event["type"].as_str()).unwrap().to_owned()
}
