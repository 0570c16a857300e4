//! A person with one device, who chats.

use std::{
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Answer, Connection, PATIENCE, Sync, encode};

/// An account that is logged in on one device; it can ask for any path as a [`Connection`] does.
pub struct User {
    /// The full user id.
    pub id: String,
    /// The device that this is.
    pub device_id: String,
    /// What they log in with.
    pub password: String,
    connection: Connection,
    /// Makes a transaction id for each request that needs one.
    transactions: AtomicU64,
}

impl User {
    /// The person of an answer to a registration or a login.
    pub(super) fn new(connection: &Connection, session: &Value, password: String) -> Self {
        let field = |name: &str| session[name].as_str().unwrap_or_else(|| panic!("no {name} in {session}")).to_owned();
        Self {
            id: field("user_id"),
            device_id: field("device_id"),
            password,
            connection: connection.with_token(field("access_token")),
            transactions: AtomicU64::new(0),
        }
    }

    /// The same person on another device.
    pub async fn log_in_again(&self) -> Self {
        let user = json!({"type": "m.id.user", "user": self.id});
        let body = json!({"type": "m.login.password", "identifier": user, "password": self.password});
        let session = self.post("login", body).await.expect_ok();
        Self::new(&self.connection, &session, self.password.clone())
    }

    /// Makes a room that others join when they are invited, and gives its id.
    pub async fn create_room(&self) -> String {
        self.create_room_with(json!({"preset": "private_chat"})).await
    }

    /// Makes a room with these parameters and gives its id.
    pub async fn create_room_with(&self, parameters: Value) -> String {
        id_in(&self.post("createRoom", parameters).await.expect_ok(), "room_id")
    }

    /// Does something about a room: `leave`, `kick`, `forget` and the like.
    pub async fn act(&self, room: &str, action: &str, body: Value) -> Answer {
        self.post(&format!("rooms/{}/{action}", encode(room)), body).await
    }

    /// Invites somebody.
    pub async fn invite(&self, room: &str, other: &User) {
        self.post(&format!("rooms/{}/invite", encode(room)), json!({"user_id": other.id})).await.expect_ok();
    }

    /// Joins a room by its id or alias and gives its id.
    pub async fn join(&self, room: &str) -> String {
        id_in(&self.post(&format!("join/{}", encode(room)), json!({})).await.expect_ok(), "room_id")
    }

    /// Leaves a room, or declines an invitation.
    pub async fn leave(&self, room: &str) {
        self.post(&format!("rooms/{}/leave", encode(room)), json!({})).await.expect_ok();
    }

    /// Says something and gives the event's id.
    pub async fn send_text(&self, room: &str, text: &str) -> String {
        self.send_event(room, "m.room.message", json!({"msgtype": "m.text", "body": text})).await
    }

    /// Sends an event and gives its id.
    pub async fn send_event(&self, room: &str, kind: &str, content: Value) -> String {
        let path = format!("rooms/{}/send/{}/{}", encode(room), encode(kind), self.transaction_id());
        id_in(&self.put(&path, content).await.expect_ok(), "event_id")
    }

    /// Sets a piece of the room's state and gives the event's id.
    pub async fn set_state(&self, room: &str, kind: &str, state_key: &str, content: Value) -> String {
        let path = format!("rooms/{}/state/{}/{}", encode(room), encode(kind), encode(state_key));
        id_in(&self.put(&path, content).await.expect_ok(), "event_id")
    }

    /// Redacts an event and gives the id of the redaction.
    pub async fn redact(&self, room: &str, event: &str) -> String {
        let path = format!("rooms/{}/redact/{}/{}", encode(room), encode(event), self.transaction_id());
        id_in(&self.put(&path, json!({})).await.expect_ok(), "event_id")
    }

    /// The newest `limit` events of a room that this person may see, newest first.
    pub async fn messages(&self, room: &str, limit: usize) -> Vec<Value> {
        let path = format!("rooms/{}/messages?dir=b&limit={limit}", encode(room));
        let mut page = self.get(&path).await.expect_ok();
        serde_json::from_value(page["chunk"].take()).expect("a page has a chunk")
    }

    /// Everything as of now, as a client asks that starts for the first time.
    pub async fn sync(&self) -> Sync {
        Sync(self.get("sync?timeout=0").await.expect_ok())
    }

    /// What changed since the sync that gave `since`, without waiting.
    pub async fn sync_since(&self, since: &str) -> Sync {
        Sync(self.get(&format!("sync?timeout=0&since={}", encode(since))).await.expect_ok())
    }

    /// What changed since the sync that gave `since`; waits for something up to `patience`, as a client that is idle does.
    pub async fn wait_since(&self, since: &str, patience: Duration) -> Sync {
        let path = format!("sync?timeout={}&since={}", patience.as_millis(), encode(since));
        Sync(self.get(&path).await.expect_ok())
    }

    /// Follows the syncs after `since` until one has `what` the story is about, and gives that one.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub async fn sync_until(&self, since: &str, what: &str, is_there: impl Fn(&Sync) -> bool) -> Sync {
        let (started, mut since) = (Instant::now(), since.to_owned());
        loop {
            let sync = self.wait_since(&since, Duration::from_secs(2)).await;
            if is_there(&sync) {
                return sync;
            }
            assert!(started.elapsed() < PATIENCE, "{} waited in vain for {what}; at last: {}", self.id, sync.0);
            since = sync.next_batch().to_owned();
        }
    }

    fn transaction_id(&self) -> String {
        format!("txn{}", self.transactions.fetch_add(1, Ordering::Relaxed))
    }
}

impl Deref for User {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

fn id_in(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_else(|| panic!("no {field} in {body}")).to_owned()
}
