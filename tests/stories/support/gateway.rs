//! A push gateway that stands in for a real one, on loopback in the test's own process.

use std::{
    collections::VecDeque,
    future,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{PATIENCE, User, eventually};

/// The configuration of a server that may call gateways on loopback.
pub const GATEWAYS_ON_LOOPBACK: &str = r#"
    [push]
    allow_http = true
    [outgoing]
    allowed_addresses = ["127.0.0.0/8"]
"#;

/// What the gateway does with what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes it.
    Takes,
    /// Answers with this status.
    Answers(u16),
    /// Never answers.
    Hangs,
    /// Says that it does not know the pushkey.
    Rejects,
}

/// A gateway; it is gone when the story ends.
pub struct Gateway {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Mutex<Manner>,
    /// What was told and taken, and no story has asked for yet.
    told: Mutex<VecDeque<Value>>,
    /// How often it was called, whatever it answered.
    calls: Mutex<usize>,
}

impl Gateway {
    /// A gateway that takes what it is told.
    pub async fn start() -> Self {
        let shared =
            Arc::new(Shared { manner: Mutex::new(Manner::Takes), told: Mutex::default(), calls: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/_matrix/push/v1/notify", post(notify)).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    /// Changes what it does from now on.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// How often it was called so far, whatever it answered.
    pub fn calls(&self) -> usize {
        *self.shared.calls.lock().unwrap()
    }

    /// Waits until it was called more often than `calls` times.
    pub async fn called_after(&self, calls: usize) {
        eventually("a call of the gateway", PATIENCE, async || (self.calls() > calls).then_some(())).await;
    }

    /// The next notification that it took.
    pub async fn next(&self) -> Value {
        eventually("a push", PATIENCE, async || self.shared.told.lock().unwrap().pop_front()).await
    }

    /// Whether it took nothing that no story has asked for.
    pub fn is_quiet(&self) -> bool {
        self.shared.told.lock().unwrap().is_empty()
    }

    /// Has a device of `user` be told through this gateway, with `data` besides the address.
    pub async fn tell(&self, user: &User, pushkey: &str, data: Value) {
        let mut data = data;
        data["url"] = format!("http://{}/_matrix/push/v1/notify", self.address).into();
        let pusher = json!({
            "pushkey": pushkey, "kind": "http", "app_id": "org.example.phone", "app_display_name": "Phone",
            "device_display_name": "phone", "lang": "en", "append": true, "data": data,
        });
        user.post("pushers/set", pusher).await.expect_ok();
    }
}

async fn notify(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let mut body: Value = serde_json::from_str(&body).expect("a gateway is told JSON");
    *shared.calls.lock().unwrap() += 1;
    let manner = *shared.manner.lock().unwrap();
    let notification = body["notification"].take();
    match manner {
        Manner::Takes => {
            shared.told.lock().unwrap().push_back(notification);
            "{\"rejected\": []}".into_response()
        }
        Manner::Answers(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Manner::Hangs => future::pending().await,
        Manner::Rejects => json!({"rejected": [notification["devices"][0]["pushkey"]]}).to_string().into_response(),
    }
}
