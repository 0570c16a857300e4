//! An application service that stands in for a real one, on loopback in the test's own process.

use std::{
    collections::VecDeque,
    fs, future,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{Connection, Manner, PATIENCE, Server, eventually};

/// A service whose registration lies in a folder; both are gone when the story ends.
pub struct Appservice {
    shared: Arc<Shared>,
    id: String,
}

struct Shared {
    manner: Mutex<Manner>,
    hs_token: String,
    /// What was told and taken, by transaction id, and no story has asked for yet.
    told: Mutex<VecDeque<(String, Value)>>,
    /// Every transaction that came, whatever was answered.
    came: Mutex<Vec<(String, String)>>,
    /// What it was asked, as method and path.
    asked: Mutex<Vec<String>>,
    /// What it answers with where it is asked.
    answers: Mutex<Vec<(String, Value)>>,
}

/// A folder for registrations.
pub fn registrations() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The configuration of a server that reads registrations from `folder`.
pub fn with_registrations(folder: &TempDir) -> String {
    format!("[appservices]\nfolder = {:?}\n", folder.path())
}

impl Appservice {
    /// A service called `id` with the localparts that begin with `_{id}_` to itself; `extra` are more lines of its registration.
    pub async fn start(folder: &TempDir, id: &str, extra: &str) -> Self {
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::Takes),
            hs_token: format!("hs-{id}"),
            told: Mutex::default(),
            came: Mutex::default(),
            asked: Mutex::default(),
            answers: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let registration = format!(
            "id: {id}\nurl: http://{address}\nas_token: as-{id}\nhs_token: hs-{id}\nsender_localpart: _{id}\n\
             namespaces:\n  users:\n  - exclusive: true\n    regex: '@_{id}_.*'\n  aliases:\n  - exclusive: true\n    \
             regex: '#_{id}_.*'\n{extra}\n"
        );
        fs::write(folder.path().join(format!("{id}.yaml")), registration).unwrap();
        Self { shared, id: id.to_owned() }
    }

    /// Changes what it does from now on.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Answers with `answer` when it is asked for a path that ends with `path`.
    pub fn knows(&self, path: &str, answer: Value) {
        self.shared.answers.lock().unwrap().push((path.to_owned(), answer));
    }

    /// The next transaction that it took, with its id.
    pub async fn next_transaction(&self) -> (String, Value) {
        eventually("a transaction", PATIENCE, async || self.shared.told.lock().unwrap().pop_front()).await
    }

    /// The next event that passes `wanted`, from whatever transaction.
    pub async fn event(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (_, transaction) = self.next_transaction().await;
            if let Some(event) = transaction["events"].as_array().unwrap().iter().find(|event| wanted(event)) {
                return event.clone();
            }
        }
    }

    /// The next thing in a list of this name that passes `wanted`, from whatever transaction.
    pub async fn extra(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (_, transaction) = self.next_transaction().await;
            let found = transaction[name].as_array().into_iter().flatten().find(|it| wanted(it));
            if let Some(found) = found {
                return found.clone();
            }
        }
    }

    /// Every transaction that came so far, with its id and its whole body.
    pub fn came(&self) -> Vec<(String, String)> {
        self.shared.came.lock().unwrap().clone()
    }

    /// Waits until more than `count` transactions came.
    pub async fn called_after(&self, count: usize) {
        eventually("a transaction that comes", PATIENCE, async || (self.came().len() > count).then_some(())).await;
    }

    /// What it was asked besides transactions.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The service as a client of the server.
    pub fn client(&self, server: &Server) -> Connection {
        server.stranger().with_token(format!("as-{}", self.id))
    }

    /// Registers the user `_{id}_{name}` without a session and gives their id.
    pub async fn ghost(&self, server: &Server, name: &str) -> String {
        let username = format!("_{}_{name}", self.id);
        let body = json!({"type": "m.login.application_service", "username": username, "inhibit_login": true});
        let made = self.client(server).post("register", body).await.expect_ok();
        made["user_id"].as_str().unwrap().to_owned()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
    if bearer != Some(&format!("Bearer {}", shared.hs_token)) {
        return (StatusCode::FORBIDDEN, r#"{"errcode": "M_FORBIDDEN"}"#).into_response();
    }
    let body = String::from_utf8(body.to_vec()).expect("a service is told text");
    let transaction = uri.path().strip_prefix("/_matrix/app/v1/transactions/").map(str::to_owned);
    match &transaction {
        Some(id) => shared.came.lock().unwrap().push((id.clone(), body.clone())),
        None => shared.asked.lock().unwrap().push(format!("{method} {uri}")),
    }
    let manner = *shared.manner.lock().unwrap();
    match manner {
        Manner::Takes | Manner::Rejects => {}
        Manner::Answers(status) => return StatusCode::from_u16(status).unwrap().into_response(),
        Manner::Hangs => return future::pending().await,
    }
    if let Some(id) = transaction {
        let body = serde_json::from_str(&body).expect("a service is told JSON");
        shared.told.lock().unwrap().push_back((id, body));
        return "{}".into_response();
    }
    if uri.path() == "/_matrix/app/v1/ping" {
        return "{}".into_response();
    }
    let answers = shared.answers.lock().unwrap();
    match answers.iter().find(|(path, _)| uri.path().ends_with(path)) {
        Some((_, answer)) => answer.to_string().into_response(),
        None => (StatusCode::NOT_FOUND, r#"{"errcode": "M_NOT_FOUND"}"#).into_response(),
    }
}
