//! People send each other files, which arrive as they were and harm nobody's browser.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{PATIENCE, Server, encode, eventually, files_in, id_of};

fn download_path(uri: &str) -> String {
    format!("/_matrix/client/v1/media/download/{}", id_of(uri))
}

#[tokio::test]
async fn a_file_arrives_as_it_was_sent_even_after_a_crash() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    // More than a JSON body may have.
    let content: Vec<u8> = (0..5 << 20).map(|n: u32| (n % 251) as u8).collect();
    let uri = alice.upload(content.clone(), "video/mp4", "holiday.mp4").await;
    assert!(uri.starts_with("mxc://story.example/"));
    server.kill_and_restart().await;

    let answer = bob.download(&uri).await;
    assert_eq!(answer.header("content-type"), "video/mp4");
    assert_eq!(answer.header("content-disposition"), r#"inline; filename="holiday.mp4""#);
    assert_eq!(answer.header("content-length"), content.len().to_string());
    assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
    assert!(answer.header("content-security-policy").starts_with("sandbox; default-src 'none';"));
    assert!(answer.expect_ok() == content, "other bytes arrived");
}

#[tokio::test]
async fn only_who_is_logged_in_reads_and_sends_files() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let uri = alice.upload("secret plans", "text/plain", "").await;
    let anyone = server.stranger();
    anyone.download(&uri).await.expect_error(401, "M_MISSING_TOKEN");
    anyone.try_upload("spam", "text/plain", "").await.expect_error(401, "M_MISSING_TOKEN");
    anyone.get("/_matrix/client/v1/media/config").await.expect_error(401, "M_MISSING_TOKEN");
    // The old addresses are frozen: they exist, and what is new is not there.
    anyone.fetch(&format!("/_matrix/media/v3/download/{}", id_of(&uri)), &[]).await.expect_error(404, "M_NOT_FOUND");
    assert_eq!(alice.download(&uri).await.expect_ok(), b"secret plans");
}

#[tokio::test]
async fn old_clients_read_files_where_the_operator_lets_them() {
    let server = Server::start_with("[media]\nunauthenticated_access = \"on\"").await;
    let alice = server.register("alice").await;
    let uri = alice.upload("hello", "text/plain", "a.txt").await;
    for version in ["v3", "r0"] {
        let path = format!("/_matrix/media/{version}/download/{}", id_of(&uri));
        assert_eq!(server.stranger().fetch(&path, &[]).await.expect_ok(), b"hello");
        let renamed = server.stranger().fetch(&format!("{path}/b.txt"), &[]).await;
        assert_eq!(renamed.header("content-disposition"), r#"inline; filename="b.txt""#);
    }
}

#[tokio::test]
async fn nobody_reads_files_without_logging_in_where_the_operator_forbids_it() {
    let server = Server::start_with("[media]\nunauthenticated_access = \"off\"").await;
    let alice = server.register("alice").await;
    let uri = alice.upload("hello", "text/plain", "a.txt").await;
    // A token makes no difference: clients that have one use the new addresses.
    for who in [server.stranger(), &*alice] {
        for path in ["download/{}", "download/{}/a.txt", "thumbnail/{}?width=32&height=32"] {
            let path = format!("/_matrix/media/v3/{}", path.replace("{}", id_of(&uri)));
            who.fetch(&path, &[]).await.expect_error(404, "M_NOT_FOUND");
        }
    }
    assert_eq!(alice.download(&uri).await.expect_ok(), b"hello");
}

#[tokio::test]
async fn a_client_learns_how_large_a_file_may_be() {
    let server = Server::start_with("[media]\nmax_upload_size = \"100 KiB\"").await;
    let alice = server.register("alice").await;
    for path in ["/_matrix/client/v1/media/config", "/_matrix/media/v3/config", "/_matrix/media/r0/config"] {
        assert_eq!(alice.get(path).await.expect_ok(), json!({"m.upload.size": 100 << 10}));
    }
    let folder = server.data_folder().join("media");
    alice.upload(vec![0; 100 << 10], "image/png", "").await;
    assert_eq!(files_in(&folder), 1);
    alice.try_upload(vec![0; (100 << 10) + 1], "image/png", "").await.expect_error(413, "M_TOO_LARGE");
    // Who does not say how much there is to come is stopped on the way.
    let chunks = (0..40).map(|_| Ok::<_, std::io::Error>(vec![0; 10 << 10]));
    let endless = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    alice.try_upload(endless, "image/png", "").await.expect_error(413, "M_TOO_LARGE");
    assert_eq!(files_in(&folder), 1);
}

#[tokio::test]
async fn an_upload_that_is_cut_off_leaves_nothing_behind() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let folder = server.data_folder().join("media");
    let address = server.stranger().base_url();
    let mut connection = TcpStream::connect(address.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: story.example\r\nAuthorization: Bearer {}\r\n\
         Content-Type: image/png\r\nContent-Length: 50000000\r\n\r\n",
        alice.token().unwrap(),
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&vec![7; 3 << 20]).await.unwrap();
    eventually("the upload to begin", PATIENCE, async || (files_in(&folder) == 1).then_some(())).await;
    drop(connection);
    eventually("the upload to be cleaned up", PATIENCE, async || (files_in(&folder) == 0).then_some(())).await;
}

#[tokio::test]
async fn an_upload_that_a_crash_cut_off_is_cleaned_up_at_the_next_start() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let kept = alice.upload("content", "text/plain", "").await;
    let folder = server.data_folder().join("media");
    let address = server.stranger().base_url();
    let mut connection = TcpStream::connect(address.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: story.example\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 50000000\r\n\r\n",
        alice.token().unwrap(),
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&vec![7; 3 << 20]).await.unwrap();
    eventually("the upload to begin", PATIENCE, async || (files_in(&folder) == 2).then_some(())).await;
    server.kill_and_restart().await;
    eventually("the upload to be cleaned up", PATIENCE, async || (files_in(&folder) == 1).then_some(())).await;
    assert_eq!(alice.download(&kept).await.expect_ok(), b"content");
}

#[tokio::test]
async fn a_browser_fetches_what_it_lacks() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let path = download_path(&alice.upload("0123456789", "audio/ogg", "").await);
    let whole = alice.fetch(&path, &[]).await;
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let etag = whole.header("etag").to_owned();

    let part = alice.fetch(&path, &[("range", "bytes=2-5")]).await;
    assert_eq!((part.status.as_u16(), part.header("content-range")), (206, "bytes 2-5/10"));
    assert_eq!((part.header("content-length"), &*part.bytes), ("4", &b"2345"[..]));
    let end = alice.fetch(&path, &[("range", "bytes=-3"), ("if-range", &etag)]).await;
    assert_eq!((end.status.as_u16(), &*end.bytes), (206, &b"789"[..]));
    let nothing = alice.fetch(&path, &[("range", "bytes=10-")]).await;
    assert_eq!((nothing.status.as_u16(), nothing.header("content-range")), (416, "bytes */10"));

    let known = alice.fetch(&path, &[("if-none-match", &etag)]).await;
    assert_eq!((known.status.as_u16(), known.bytes.len()), (304, 0));
    let head = alice.fetch_by(Method::HEAD, &path, &[]).await;
    assert_eq!((head.status.as_u16(), head.header("content-length"), head.bytes.len()), (200, "10", 0));
}

#[tokio::test]
async fn a_file_keeps_its_name_and_can_do_no_harm_with_it() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let names = [
        ("name;with;semicolons", r#"inline; filename="name;with;semicolons""#),
        ("🐔", r#"inline; filename="_"; filename*=UTF-8''%F0%9F%90%94"#),
        ("a\r\nX-Evil: 1\".png", r#"inline; filename="aX-Evil: 1_.png"; filename*=UTF-8''aX-Evil%3A%201%22.png"#),
        ("../../etc/passwd", r#"inline; filename="../../etc/passwd""#),
    ];
    for (name, expected) in names {
        let uri = alice.upload("content", "image/png", name).await;
        let stored = alice.download(&uri).await;
        assert_eq!(stored.header("content-disposition"), expected);
        assert!(!stored.headers.contains_key("x-evil"));
        // The same holds for a name in the address.
        let other = alice.upload("content", "image/png", "").await;
        let given = alice.fetch(&format!("{}/{}", download_path(&other), encode(name)), &[]).await;
        assert_eq!(given.header("content-disposition"), expected);
    }
    alice.try_upload("content", "image/png", &"x".repeat(256)).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_could_run_in_a_browser_is_saved_and_not_shown() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    for (content_type, expected) in [
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/javascript", "attachment"),
        ("nonsense", "attachment"),
        ("image/png", "inline"),
    ] {
        let uri = alice.upload("<script>alert(1)</script>", content_type, "").await;
        assert_eq!(alice.download(&uri).await.header("content-disposition"), expected, "{content_type}");
    }
}

#[tokio::test]
async fn an_address_leads_to_no_other_file_than_those_uploaded() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    alice.upload("content", "text/plain", "").await;
    let secret = server.data_folder().join("signing.key");
    assert!(secret.exists());
    for id in ["..%2Fsigning.key", "%2e%2e%2f%2e%2e%2fsigning.key", "a%00b", "a%5Cb", "nothing", &"a".repeat(300)] {
        let path = format!("/_matrix/client/v1/media/download/story.example/{id}");
        alice.fetch(&path, &[]).await.expect_error(404, "M_NOT_FOUND");
    }
    alice.fetch("/_matrix/client/v1/media/download/elsewhere.example/abc", &[]).await.expect_error(404, "M_NOT_FOUND");
    alice.fetch("/_matrix/client/v1/media/download/no%2Fserver/abc", &[]).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn who_uploads_without_end_has_to_wait() {
    let limits = "[limits]\nenabled = true\nuploads = { per_second = 0.001, burst = 2 }";
    let server = Server::start_with(limits).await;
    let alice = server.register("alice").await;
    for _ in 0..2 {
        alice.upload("content", "text/plain", "").await;
    }
    let refused = alice.try_upload("content", "text/plain", "").await;
    let wait = refused.expect_error(429, "M_LIMIT_EXCEEDED")["retry_after_ms"].as_u64().unwrap();
    assert!(Duration::from_millis(wait) > Duration::from_secs(60));
}
