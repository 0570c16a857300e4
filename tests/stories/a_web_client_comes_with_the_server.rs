//! An operator puts a web client into a folder, and people open the server's own address in a browser.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use reqwest::Method;
use tempfile::TempDir;

use crate::support::{Server, id_of};

const PAGE: &str = "<!doctype html><title>A client</title>";
const SCRIPT: &str = "console.log('a client');";
const BUNDLE: &str = "assets/index-BbL4aG1q.js";
/// What a browser asks for when somebody follows a link.
const NAVIGATION: &[(&str, &str)] = &[("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")];

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

/// A folder beside which something lies that nobody may read, with a client in `client`.
fn unpacked() -> TempDir {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("client");
    write(outside.path(), "secret.txt", "a secret");
    write(&folder, "index.html", PAGE);
    write(&folder, "config.json", r#"{"default_server_name": "story.example"}"#);
    write(&folder, "version", "1.2.3");
    write(&folder, "sw.js", SCRIPT);
    write(&folder, "logo.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>");
    write(&folder, "olm.wasm", b"\0asm");
    write(&folder, "site.webmanifest", "{}");
    write(&folder, "fonts/Inter.woff2", "wOF2");
    write(&folder, BUNDLE, SCRIPT);
    write(&folder, "guide/index.html", "<title>A guide</title>");
    write(&folder, ".env", "a secret");
    write(&folder, ".git/config", "a secret");
    outside
}

async fn server_with(folder: &Path) -> Server {
    Server::start_with(&format!("[web]\nclient_dir = {:?}", folder.to_str().unwrap())).await
}

/// What is answered to a navigation to exactly this path.
fn exchange_literally(server: &Server, path: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\naccept: text/html\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn a_browser_gets_the_client_and_keeps_what_cannot_change() {
    let outside = unpacked();
    let server = server_with(&outside.path().join("client")).await;
    let (ask, keep, for_a_while) = ("no-cache", "public, max-age=31536000, immutable", "public, max-age=3600");
    let js = "text/javascript; charset=utf-8";
    for (path, content_type, cache) in [
        ("/", "text/html; charset=utf-8", ask),
        ("/index.html", "text/html; charset=utf-8", ask),
        ("/?loginToken=abc", "text/html; charset=utf-8", ask),
        ("/guide/", "text/html; charset=utf-8", ask),
        ("/config.json", "application/json", ask),
        ("/version", "text/plain; charset=utf-8", ask),
        ("/sw.js", js, ask),
        ("/assets/index-BbL4aG1q.js", js, keep),
        ("/logo.svg", "image/svg+xml", for_a_while),
        ("/olm.wasm", "application/wasm", ask),
        ("/site.webmanifest", "application/manifest+json", ask),
        ("/fonts/Inter.woff2", "font/woff2", for_a_while),
    ] {
        let answer = server.stranger().fetch(path, &[]).await;
        assert_eq!(answer.status, 200, "{path}");
        let got = (answer.header("content-type"), answer.header("cache-control"));
        assert_eq!(got, (content_type, cache), "{path}");
        assert_eq!(answer.header("x-frame-options"), "SAMEORIGIN");
        assert_eq!(answer.header("content-security-policy"), "frame-ancestors 'self'");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "strict-origin-when-cross-origin");
    }
    assert_eq!(server.stranger().fetch("/", &[]).await.expect_ok(), PAGE.as_bytes());

    let whole = server.stranger().fetch_by(Method::HEAD, "/sw.js", &[]).await;
    assert_eq!((whole.header("content-length"), whole.bytes.len()), ("24", 0));
    let redirect = server.stranger().fetch("/guide", &[]).await;
    assert_eq!(redirect.bytes, b"<title>A guide</title>", "the client is led to the folder");
}

#[tokio::test]
async fn a_browser_that_has_a_file_is_not_sent_it_again() {
    let outside = unpacked();
    let folder = outside.path().join("client");
    let server = server_with(&folder).await;
    let first = server.stranger().fetch("/", &[]).await;
    let (tag, time) = (first.header("etag"), first.header("last-modified"));

    let known = server.stranger().fetch("/", &[("if-none-match", tag)]).await;
    assert_eq!((known.status.as_u16(), known.bytes.len()), (304, 0));
    assert_eq!((known.header("etag"), known.header("cache-control")), (tag, "no-cache"));
    assert_eq!(known.header("x-frame-options"), "SAMEORIGIN");
    assert_eq!(server.stranger().fetch("/", &[("if-modified-since", time)]).await.status, 304);

    let part = server.stranger().fetch("/sw.js", &[("range", "bytes=0-6")]).await;
    assert_eq!((part.status.as_u16(), &*part.bytes), (206, &b"console"[..]));
    assert_eq!(part.header("content-range"), "bytes 0-6/24");
    assert_eq!(server.stranger().fetch("/sw.js", &[("range", "bytes=99-")]).await.status, 416);
    // Whoever has a part of what may be another file gets the whole of this one, and so does who wants several parts.
    for (range, more) in [("bytes=0-6", ("if-range", "\"other\"")), ("bytes=0-1,3-4", ("accept", "*/*"))] {
        assert_eq!(server.stranger().fetch("/sw.js", &[("range", range), more]).await.expect_ok(), SCRIPT.as_bytes());
    }

    // A new version as long as the old one, and as old as archives like to say that their files are.
    let page = PAGE.replace("A client", "A CLIENT");
    let as_old_as_before = fs::metadata(folder.join("index.html")).unwrap().modified().unwrap();
    write(&folder, "next.html", &page);
    let file = fs::File::options().write(true).open(folder.join("next.html")).unwrap();
    file.set_modified(as_old_as_before).unwrap();
    fs::rename(folder.join("next.html"), folder.join("index.html")).unwrap();
    let both = [("if-none-match", tag), ("if-modified-since", time)];
    let next = server.stranger().fetch("/", &both).await;
    assert_eq!(next.expect_ok(), page.as_bytes(), "a new version is there at once");
}

#[tokio::test]
async fn a_reloaded_page_is_there_again_and_a_missing_file_is_not() {
    let outside = unpacked();
    let server = server_with(&outside.path().join("client")).await;
    let anyone = server.stranger();
    for place in ["/home/", "/home/%21room%3Astory.example/", "/room/%24an%2Fevent", "/login/story.example", "/guide/x"]
    {
        let page = anyone.fetch(place, NAVIGATION).await;
        assert_eq!((page.header("cache-control"), page.header("vary")), ("no-cache", "Accept, Accept-Encoding"));
        assert_eq!(page.expect_ok(), PAGE.as_bytes(), "{place}");
        anyone.fetch(place, &[("accept", "*/*")]).await.expect_error(404, "M_NOT_FOUND");
    }
    for beside in ["/home/olm.wasm", "/home/%21room%3Astory.example/olm.wasm", "/room/%24an%2Fevent/olm.wasm"] {
        let file = anyone.fetch(beside, &[("accept", "*/*")]).await;
        assert_eq!(file.header("content-type"), "application/wasm");
        assert_eq!(file.expect_ok(), b"\0asm", "what a reloaded page loads from beside itself is at the root");
    }
    let missing = anyone.fetch("/assets/index-0ld0ne0A.js", &[]).await;
    assert_eq!(missing.header("cache-control"), "no-cache", "that a file was missing once is not remembered");
    missing.expect_error(404, "M_NOT_FOUND");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let refused = anyone.fetch_by(method, "/index.html", &[]).await;
        assert_eq!(refused.header("allow"), "GET, HEAD");
        refused.expect_error(405, "M_UNRECOGNIZED");
    }
}

#[tokio::test]
async fn nothing_outside_the_folder_and_nothing_hidden_is_handed_out() {
    let outside = unpacked();
    let folder = outside.path().join("client");
    symlink(outside.path().join("secret.txt"), folder.join("link.txt")).unwrap();
    symlink(outside.path(), folder.join("up")).unwrap();
    symlink(folder.join(".env"), folder.join("env.txt")).unwrap();
    symlink(outside.path().join("secret.txt"), folder.join("sw.js.gz")).unwrap();
    symlink(folder.join("config.json"), folder.join("config.chat.json")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
    let server = server_with(&folder).await;
    for path in [
        "/link.txt",
        "/up/secret.txt",
        "/up",
        "/env.txt",
        "/.env",
        "/.git/config",
        "/%2Eenv",
        "/..%2fsecret.txt",
        "/assets",
        "/assets/",
        "//secret.txt",
        "/pipe",
        "/index.html/",
        "/index.html/x",
        "/sw.js%00",
    ] {
        server.stranger().fetch(path, &[]).await.expect_error(404, "M_NOT_FOUND");
    }
    // As no browser would say it, since they tidy a path up first.
    for path in [
        "/.env",
        "/.git/config",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/assets/../../secret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/..%5csecret.txt",
        "//secret.txt",
        "/./index.html",
    ] {
        let answer = exchange_literally(&server, path);
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("M_NOT_FOUND"), "{path}: {answer}");
    }
    let plain = server.stranger().fetch("/sw.js", &[("accept-encoding", "gzip")]).await;
    assert_eq!(plain.expect_ok(), SCRIPT.as_bytes(), "what is compressed lies outside");
    server.stranger().fetch("/config.chat.json", &[]).await.expect_ok();
}

#[tokio::test]
async fn the_api_stays_where_it_is_whatever_the_folder_has() {
    let outside = unpacked();
    let folder = outside.path().join("client");
    for name in ["_matrix/client/versions", "_matrix/x", "_synapse/x", "_commonroom/x", ".well-known/x", "health"] {
        write(&folder, name, "the client's");
    }
    let url = "https://chat.story.example";
    let config = format!("[well_known]\nclient = {url:?}\n[web]\nclient_dir = {:?}", folder.to_str().unwrap());
    let server = Server::start_with(&config).await;
    let anyone = server.stranger();
    assert!(anyone.get("/_matrix/client/versions").await.expect_ok()["versions"].is_array());
    assert_eq!(anyone.get("/health").await.expect_ok()["status"], "ok");
    let well_known = anyone.get("/.well-known/matrix/client").await.expect_ok();
    assert_eq!(well_known["m.homeserver"]["base_url"], url, "the client finds the server");
    for path in ["/_matrix/x", "/%5Fmatrix/x", "/_matrix/", "/_synapse/x", "/_commonroom/x", "/.well-known/x"] {
        anyone.fetch(path, NAVIGATION).await.expect_error(404, "M_UNRECOGNIZED");
    }
    anyone.ask(Method::PATCH, "/_matrix/client/versions", None).await.expect_error(405, "M_UNRECOGNIZED");
}

#[tokio::test]
async fn what_was_compressed_beforehand_is_sent_compressed() {
    let outside = unpacked();
    let folder = outside.path().join("client");
    write(&folder, &format!("{BUNDLE}.br"), "with Brotli");
    write(&folder, &format!("{BUNDLE}.gz"), "with gzip");
    write(&folder, "sw.js.br", "of an earlier version");
    let long_ago = SystemTime::now() - Duration::from_secs(1_000_000);
    fs::File::options().write(true).open(folder.join("sw.js.br")).unwrap().set_modified(long_ago).unwrap();
    let server = server_with(&folder).await;
    let path = format!("/{BUNDLE}");
    for (accepted, encoding, body) in [
        ("gzip, deflate, br, zstd", Some("br"), "with Brotli"),
        ("gzip", Some("gzip"), "with gzip"),
        ("br;q=0, gzip;q=0", None, SCRIPT),
        ("identity", None, SCRIPT),
    ] {
        let answer = server.stranger().fetch(&path, &[("accept-encoding", accepted)]).await;
        let got = answer.headers.get("content-encoding").map(|encoding| encoding.to_str().unwrap());
        assert_eq!(got, encoding, "{accepted}");
        assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8");
        assert_eq!(answer.header("vary"), "Accept, Accept-Encoding");
        assert_eq!(answer.expect_ok(), body.as_bytes(), "{accepted}");
    }
    let fresh = server.stranger().fetch("/sw.js", &[("accept-encoding", "br")]).await;
    assert_eq!(fresh.expect_ok(), SCRIPT.as_bytes(), "what is older than its file is of another version");
}

#[tokio::test]
async fn a_folder_that_is_no_client_is_named_before_the_server_starts() {
    let outside = unpacked();
    let server = server_with(&outside.path().join("client")).await;
    let check = |folder: &str| {
        let output = server.command(&["check-config"]).env("COMMONROOM_WEB__CLIENT_DIR", folder).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    assert!(check(outside.path().join("client").to_str().unwrap()).0);
    let data = server.data_folder();
    write(data.parent().unwrap(), "index.html", PAGE);
    write(data.parent().unwrap(), "element/index.html", PAGE);
    assert!(check("element").0, "a relative path starts at the configuration's folder");
    for (folder, said) in [
        (outside.path().join("nowhere"), "nowhere: No such file"),
        (outside.path().join("secret.txt"), "secret.txt is not a folder"),
        (outside.path().to_owned(), "there is no index.html in"),
        (data.parent().unwrap().to_owned(), "holds the data folder"),
    ] {
        let (usable, error) = check(folder.to_str().unwrap());
        assert!(!usable && error.contains("web.client_dir") && error.contains(said), "{folder:?}: {error}");
    }
}

#[tokio::test]
async fn what_people_upload_can_do_nothing_in_the_clients_name() {
    let outside = unpacked();
    let client = outside.path().join("client");
    let config =
        format!("[media]\nunauthenticated_access = \"on\"\n[web]\nclient_dir = {:?}", client.to_str().unwrap());
    let server = Server::start_with(&config).await;
    let mallory = server.register("mallory").await;
    let evil = "<html xmlns='http://www.w3.org/1999/xhtml'><script>alert(document.domain)</script></html>";
    for content_type in ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/pdf", ""] {
        let uri = mallory.upload(evil, content_type, "cat.png.html").await;
        let id = id_of(&uri);
        for path in [
            format!("/_matrix/client/v1/media/download/{id}"),
            format!("/_matrix/client/v1/media/download/{id}/cat.png"),
            format!("/_matrix/media/v3/download/{id}"),
            format!("/_matrix/media/r0/download/{id}/page.html"),
        ] {
            let file = mallory.fetch(&path, NAVIGATION).await;
            assert_eq!(file.status, 200, "{path}");
            assert!(file.header("content-disposition").starts_with("attachment"), "{content_type}");
            let policy = file.header("content-security-policy");
            assert!(policy.starts_with("sandbox;") && policy.contains("script-src 'none'"), "{policy}");
            assert_eq!(file.header("x-content-type-options"), "nosniff");
        }
    }
    let script = id_of(&mallory.upload("alert(document.domain)", "text/javascript", "").await).to_owned();
    for path in [format!("/_matrix/client/v1/media/download/{script}"), format!("/_matrix/media/v3/download/{script}")]
    {
        for program in ["script", "worker", "sharedworker", "serviceworker", "style"] {
            mallory.fetch(&path, &[("sec-fetch-dest", program)]).await.expect_error(403, "M_FORBIDDEN");
        }
        for shown in ["empty", "image", "document"] {
            mallory.fetch(&path, &[("sec-fetch-dest", shown)]).await.expect_ok();
        }
    }
}
