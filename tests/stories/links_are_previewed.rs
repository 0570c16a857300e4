//! People see what a link leads to before they follow it, and nobody sees what is inside the operator's network.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use serde_json::Value;

use crate::support::{Answer, Server, User, Website, encode};

/// The stories' websites are on loopback, which has to be allowed.
const LOOPBACK: &str = "[outgoing]\nallowed_addresses = [\"127.0.0.1\"]\n";

async fn preview(user: &User, link: &str) -> Answer {
    user.get(&format!("/_matrix/client/v1/media/preview_url?url={}", encode(link))).await
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::new(width, height).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[tokio::test]
async fn a_page_is_shown_as_it_describes_itself() {
    let (mut server, site) = (Server::start_with(LOOPBACK).await, Website::open().await);
    let alice = server.register("alice").await;
    let picture = png(279, 129);
    site.show("/film.png", "image/png", picture.clone());
    site.show("/oembed.json", "application/json", r#"{"type": "video", "provider_name": "Films"}"#);
    site.show(
        "/film",
        "text/html; charset=utf-8",
        "<meta property='og:title' content='The Rock'><meta property=og:image content=/film.png>
        <meta property=og:image:width content=9999><link rel=alternate type=application/json+oembed href=/oembed.json>",
    );
    let shown = preview(&alice, &site.link("/film#cast")).await.expect_ok();
    assert_eq!(shown["og:title"], "The Rock");
    assert_eq!(shown["og:site_name"], "Films");
    assert_eq!(shown["og:image:type"], "image/png");
    assert_eq!((&shown["og:image:width"], &shown["og:image:height"]), (&279.into(), &129.into()));
    assert_eq!(shown["matrix:image:size"], picture.len());

    let visits = site.visits();
    assert_eq!(visits, ["/film", "/oembed.json", "/film.png"]);
    server.restart().await;
    assert_eq!(preview(&alice, &site.link("/film")).await.expect_ok(), shown, "it is remembered");
    assert_eq!(site.visits(), visits);

    let file = alice.download(shown["og:image"].as_str().unwrap()).await;
    assert_eq!(file.expect_ok(), picture);
}

#[tokio::test]
async fn what_is_no_page_has_little_to_show() {
    let (server, site) = (Server::start_with(LOOPBACK).await, Website::open().await);
    let alice = server.register("alice").await;
    site.show("/cat.png", "image/png", png(3, 4));
    let cat = preview(&alice, &site.link("/cat.png")).await.expect_ok();
    assert_eq!((&cat["og:image:width"], &cat["og:image:height"]), (&3.into(), &4.into()));
    site.show("/fake.png", "image/png", "<svg xmlns='http://www.w3.org/2000/svg'/>");
    site.show("/archive", "application/zip", vec![0; 1000]);
    for path in ["/fake.png", "/archive"] {
        assert_eq!(preview(&alice, &site.link(path)).await.expect_ok(), Value::Object(Default::default()), "{path}");
    }
    site.show("/lonely", "text/html", "<title>Lonely</title><meta property=og:image content=/missing.png>");
    let lonely = preview(&alice, &site.link("/lonely")).await.expect_ok();
    assert_eq!(lonely, serde_json::json!({"og:title": "Lonely"}), "a picture that cannot be had is left out");
    preview(&alice, &site.link("/missing")).await.expect_error(400, "M_UNKNOWN");
}

#[tokio::test]
async fn nobody_looks_into_the_operators_network() {
    let (server, site) = (Server::start().await, Website::open().await);
    let alice = server.register("alice").await;
    site.show("/admin", "text/html", "<title>Secrets</title>");
    let port = site.link("").rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "localhost", "0x7f000001", "[::1]", "[::ffff:7f00:1]", "10.0.0.1", "169.254.169.254"] {
        let link = format!("http://{host}:{port}/admin");
        preview(&alice, &link).await.expect_error(403, "M_FORBIDDEN");
    }
    for link in ["file:///etc/passwd", "ftp://example.org/", "javascript:alert(1)", "hello", "", "http://", "//x/"] {
        preview(&alice, link).await.expect_error(400, "M_INVALID_PARAM");
    }
    preview(&alice, "http://me:secret@example.org/").await.expect_error(400, "M_INVALID_PARAM");
    preview(&alice, &format!("http://example.org/{}", "x".repeat(2_000))).await.expect_error(400, "M_INVALID_PARAM");
    alice.get("/_matrix/client/v1/media/preview_url").await.expect_error(400, "M_MISSING_PARAM");
    assert!(site.visits().is_empty());
}

#[tokio::test]
async fn a_redirect_leads_no_further_than_a_link() {
    let (server, site) = (Server::start_with(LOOPBACK).await, Website::open().await);
    let alice = server.register("alice").await;
    site.show("/here", "text/html", "<title>Here</title>");
    site.redirect("/there", "/here");
    assert_eq!(preview(&alice, &site.link("/there")).await.expect_ok()["og:title"], "Here");
    for place in ["http://127.0.0.2/", "http://192.168.0.1/", "http://[fe80::1]/", "file:///etc/passwd"] {
        site.redirect("/inside", place);
        preview(&alice, &site.link("/inside")).await.expect_error(403, "M_FORBIDDEN");
    }
    site.show("/picture", "text/html", "<title>x</title><meta property=og:image content=http://127.0.0.2/secret.png>");
    let shown = preview(&alice, &site.link("/picture")).await.expect_ok();
    assert_eq!(shown, serde_json::json!({"og:title": "x"}));
}

#[tokio::test]
async fn an_operator_bounds_previews_or_switches_them_off() {
    let site = Website::open().await;
    site.show("/large", "text/html", format!("<title>Large</title>{}", "x".repeat(2_000)));
    let small = Server::start_with(&format!("{LOOPBACK}[previews]\nmax_size = \"1 KiB\"\n")).await;
    let alice = small.register("alice").await;
    preview(&alice, &site.link("/large")).await.expect_error(413, "M_TOO_LARGE");
    let off = Server::start_with(&format!("{LOOPBACK}[previews]\nenabled = false\n")).await;
    let bob = off.register("bob").await;
    preview(&bob, &site.link("/large")).await.expect_error(403, "M_FORBIDDEN");
}
