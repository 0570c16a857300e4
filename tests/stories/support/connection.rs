//! Requests to a server, with or without somebody's access token.

use std::{
    fmt::Write as _,
    sync::{Arc, RwLock},
};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use super::Answer;

/// Somebody's way to a server; it leads to the same server after a restart.
///
/// A path that does not start with a slash is one of the client-server API: `account/whoami`.
#[derive(Clone, Debug)]
pub struct Connection {
    http: Client,
    /// Where the server listens, which is elsewhere after a restart.
    base_url: Arc<RwLock<String>>,
    token: Option<String>,
}

impl Connection {
    /// A connection without a token.
    pub(super) fn new(base_url: Arc<RwLock<String>>) -> Self {
        // The client asks for cryptography although it speaks plain HTTP; it fails only when some is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { http: Client::new(), base_url, token: None }
    }

    /// The same with an access token.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The access token, if there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PUT, path, Some(body)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }

    /// Any method, with or without a JSON body.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, |request| match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    /// Any request at all: `build` completes it.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        build: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Answer {
        let base_url = self.base_url.read().unwrap().clone();
        let separator = if path.starts_with('/') { "" } else { "/_matrix/client/v3/" };
        let request = format!("{method} {path}");
        let mut builder = self.http.request(method, format!("{base_url}{separator}{path}"));
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token);
        }
        let response = build(builder).send().await;
        Answer::read(request.clone(), response.unwrap_or_else(|cause| panic!("{request}: no answer: {cause:?}"))).await
    }
}

/// Percent-encodes a value for a path or a query, such as the alias `#tea:example.org`.
pub fn encode(value: &str) -> String {
    value.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => write!(encoded, "%{byte:02X}").unwrap(),
        }
        encoded
    })
}
