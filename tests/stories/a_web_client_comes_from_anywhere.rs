//! A web client that another site hands out uses this server: its browser lets it read every answer, whatever that says.

use reqwest::{Method, header::HeaderMap};
use serde_json::json;

use crate::support::{Server, id_of};

const ORIGIN: (&str, &str) = ("origin", "https://app.elsewhere.example");
/// One pixel.
const PICTURE: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

#[track_caller]
fn assert_readable(headers: &HeaderMap, what: &str) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    assert_eq!(header("access-control-allow-origin"), "*", "{what}");
    assert_eq!(header("access-control-allow-credentials"), "", "{what}: there are no cookies to be sent");
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        assert!(header("access-control-allow-methods").contains(method), "{what}: {method}");
    }
    for name in ["Authorization", "Content-Type", "X-Requested-With"] {
        assert!(header("access-control-allow-headers").contains(name), "{what}: {name}");
    }
}

#[tokio::test]
async fn its_browser_may_ask_before_every_request() {
    let server = Server::start().await;
    for (path, method) in [
        ("/_matrix/client/versions", "GET"),
        ("/_matrix/client/v3/login", "POST"),
        ("/_matrix/client/v3/sync?timeout=0", "GET"),
        ("/_matrix/client/v3/rooms/!any:story.example/send/m.room.message/1", "PUT"),
        ("/_matrix/client/v3/room_keys/version/1", "DELETE"),
        ("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", "POST"),
        ("/_matrix/media/v3/upload", "POST"),
        ("/_matrix/client/v1/media/download/story.example/abc", "GET"),
        ("/_matrix/client/v1/media/thumbnail/story.example/abc?width=32&height=32", "GET"),
        ("/_matrix/key/v2/server", "GET"),
        ("/.well-known/matrix/client", "GET"),
        ("/_matrix/client/no/such/endpoint", "POST"),
    ] {
        let asked = [
            ORIGIN,
            ("access-control-request-method", method),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        let answer = server.stranger().fetch_by(Method::OPTIONS, path, &asked).await;
        assert_readable(&answer.headers, path);
        assert!(answer.expect_ok().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn it_reads_what_goes_wrong() {
    let limit = "[limits]\nenabled = true\nmax_body_size = \"64 KiB\"\nlogin = { per_second = 0.001, burst = 1 }";
    let server = Server::start_with(limit).await;
    let (anyone, alice) = (server.stranger(), server.register("alice").await);
    let too_much = json!({"body": "x".repeat(70_000)});
    let wrong = json!({
        "type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": "wrong",
    });
    let not_json = anyone.send(Method::POST, "login", |request| request.body("{")).await;
    let answers = [
        (404, anyone.get("/_matrix/client/v3/no/such/endpoint").await),
        (404, anyone.get("/no/such/thing").await),
        (404, anyone.get("/.well-known/matrix/client").await),
        (405, anyone.ask(Method::PATCH, "/_matrix/client/versions", None).await),
        (401, anyone.get("account/whoami").await),
        (401, anyone.with_token("wrong").get("sync").await),
        (403, alice.get("rooms/!other:story.example/state").await),
        (413, alice.put("rooms/!other:story.example/send/m.room.message/1", too_much).await),
        (404, alice.get("/_matrix/client/v1/media/download/story.example/nothing").await),
        (401, anyone.get("/_matrix/client/v1/media/download/story.example/nothing").await),
        (404, anyone.get("/_matrix/media/v3/download/story.example/nothing").await),
        (401, anyone.post("register", json!({})).await),
    ];
    for (status, answer) in answers {
        assert_readable(&answer.headers, &format!("{status}: {}", answer.body));
        answer.expect_status(status);
    }
    assert_readable(&not_json.headers, "not JSON");
    let again = [anyone.post("login", wrong.clone()).await, anyone.post("login", wrong).await];
    let slowed = again.into_iter().find(|answer| answer.status == 429).expect("who guesses has to wait");
    assert_readable(&slowed.headers, "429");
    slowed.expect_error(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn it_shows_pictures() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let uploaded = alice.try_upload(PICTURE, "image/gif", "dot.gif").await;
    assert_readable(&uploaded.headers, "an upload");
    let uri = uploaded.expect_ok()["content_uri"].as_str().unwrap().to_owned();
    let path = format!("/_matrix/client/v1/media/download/{}", id_of(&uri));
    let tag = alice.fetch(&path, &[ORIGIN]).await.header("etag").to_owned();
    for (status, more) in [
        (200, ("accept", "image/*")),
        (206, ("range", "bytes=0-3")),
        (304, ("if-none-match", &*tag)),
        (416, ("range", "bytes=999-")),
    ] {
        let answer = alice.fetch(&path, &[ORIGIN, more]).await;
        assert_eq!(answer.status, status);
        assert_readable(&answer.headers, &format!("a picture with {status}"));
    }
    let thumbnail = format!("/_matrix/client/v1/media/thumbnail/{}?width=32&height=32", id_of(&uri));
    let thumbnail = alice.fetch(&thumbnail, &[ORIGIN]).await;
    assert_readable(&thumbnail.headers, "a thumbnail");
    thumbnail.expect_ok();
}

/// The files are everybody's, so that the one rule for every answer holds for them, too.
#[tokio::test]
async fn it_reads_the_files_of_the_client_that_this_server_hands_out() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "a page").unwrap();
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    let server = Server::start_with(&format!("[web]\nclient_dir = {:?}", folder.path().to_str().unwrap())).await;
    for path in ["/", "/config.json", "/missing.json"] {
        assert_readable(&server.stranger().fetch(path, &[ORIGIN]).await.headers, path);
    }
}
