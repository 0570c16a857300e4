//! A file is announced, named in a message, and uploaded later; who asks for it meanwhile waits.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, PATIENCE, Server, User, id_of};

impl User {
    /// Makes a URI for a file that is to come.
    async fn announce(&self) -> String {
        let answer = self.post("/_matrix/media/v1/create", json!({})).await.expect_ok();
        assert!(answer["unused_expires_at"].is_u64(), "{answer}");
        answer["content_uri"].as_str().expect("an announcement has a URI").to_owned()
    }

    /// Uploads to a URI that was announced.
    async fn upload_to(&self, uri: &str, content: &'static str) -> Answer {
        let path = format!("/_matrix/media/v3/upload/{}?filename=a.txt", id_of(uri));
        self.send(Method::PUT, &path, |request| request.header("content-type", "text/plain").body(content)).await
    }
}

fn download(uri: &str, patience: Duration) -> String {
    format!("/_matrix/client/v1/media/download/{}?timeout_ms={}", id_of(uri), patience.as_millis())
}

#[tokio::test]
async fn who_asks_early_gets_the_file_when_it_comes() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let uri = alice.announce().await;
    bob.fetch(&download(&uri, Duration::from_millis(1)), &[]).await.expect_error(504, "M_NOT_YET_UPLOADED");

    let started = Instant::now();
    let asks_early = download(&uri, PATIENCE);
    let (early, uploaded) = tokio::join!(bob.fetch(&asks_early, &[]), alice.upload_to(&uri, "at last"));
    assert_eq!(uploaded.expect_ok(), json!({}));
    assert_eq!(early.header("content-disposition"), r#"inline; filename="a.txt""#);
    assert_eq!(early.expect_ok(), b"at last");
    assert!(started.elapsed() < PATIENCE, "it was not woken");
}

#[tokio::test]
async fn a_file_is_uploaded_once_and_only_by_who_announced_it() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let uri = alice.announce().await;
    bob.upload_to(&uri, "bob's").await.expect_error(403, "M_FORBIDDEN");
    alice.upload_to(&uri, "alice's").await.expect_ok();
    alice.upload_to(&uri, "another").await.expect_error(409, "M_CANNOT_OVERWRITE_MEDIA");
    assert_eq!(bob.download(&uri).await.expect_ok(), b"alice's");
    for unknown in ["mxc://story.example/never", "mxc://elsewhere.example/never", "mxc://story.example/..%2Fx"] {
        alice.upload_to(unknown, "lost").await.expect_error(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn nobody_announces_without_end() {
    let server = Server::start_with("[media]\nmax_announced = 2").await;
    let alice = server.register("alice").await;
    let first = alice.announce().await;
    alice.announce().await;
    alice.post("/_matrix/media/v1/create", json!({})).await.expect_error(429, "M_LIMIT_EXCEEDED");
    alice.upload_to(&first, "done").await.expect_ok();
    alice.announce().await;
    server.stranger().post("/_matrix/media/v1/create", json!({})).await.expect_error(401, "M_MISSING_TOKEN");
}
