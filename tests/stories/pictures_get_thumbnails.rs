//! Pictures are shown small without being fetched whole, and no picture harms the server.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use crate::support::{FileAnswer, Server, User, files_in, id_of};

fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let picture = RgbImage::from_fn(width, height, |x, y| Rgb([(x % 256) as u8, (y % 256) as u8, 100]));
    DynamicImage::from(picture).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A GIF that promises a picture of `side` times `side` pixels, with as many tiny frames as asked for.
fn gif_bomb(side: u16, frames: usize) -> Vec<u8> {
    let side = side.to_le_bytes();
    let mut bytes = [&b"GIF89a"[..], &side, &side, &[0x80, 0, 0], &[0; 6]].concat();
    for _ in 0..frames {
        bytes.extend([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0]);
    }
    bytes
}

impl User {
    async fn thumbnail(&self, uri: &str, query: &str) -> FileAnswer {
        self.fetch(&format!("/_matrix/client/v1/media/thumbnail/{}?{query}", id_of(uri)), &[]).await
    }
}

fn dimensions(answer: FileAnswer) -> (u32, u32) {
    let picture = image::load_from_memory(&answer.expect_ok()).expect("a thumbnail is a picture");
    (picture.width(), picture.height())
}

#[tokio::test]
async fn a_picture_is_shown_small() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let uri = alice.upload(picture(1_000, 500, ImageFormat::Jpeg), "image/jpeg", "holiday.jpg").await;
    let small = alice.thumbnail(&uri, "width=30&height=20&method=crop").await;
    assert_eq!(small.header("content-type"), "image/jpeg");
    assert_eq!(small.header("content-disposition"), r#"inline; filename="thumbnail.jpg""#);
    assert!(small.header("content-security-policy").starts_with("sandbox;"));
    assert_eq!(dimensions(small), (32, 32));
    assert_eq!(dimensions(alice.thumbnail(&uri, "width=300&height=200&method=scale").await), (320, 160));
    assert_eq!(dimensions(alice.thumbnail(&uri, "width=300&height=200").await), (320, 160));
    // What is asked for larger than any thumbnail is the picture itself, which is never made larger.
    assert_eq!(dimensions(alice.thumbnail(&uri, "width=5000&height=99999999999").await), (1_000, 500));
    // Thumbnails are kept.
    let folder = server.data_folder().join("media");
    assert_eq!(files_in(&folder), 3);
    server.restart().await;
    assert_eq!(dimensions(alice.thumbnail(&uri, "width=32&height=32&method=crop").await), (32, 32));
    assert_eq!(files_in(&folder), 3);
}

#[tokio::test]
async fn a_thumbnail_that_many_ask_for_is_made_once() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let uri = alice.upload(picture(900, 900, ImageFormat::Png), "image/png", "").await;
    let answers = futures_util::future::join_all((0..10).map(|_| alice.thumbnail(&uri, "width=32&height=32"))).await;
    let etags: Vec<_> = answers.iter().map(|answer| answer.header("etag").to_owned()).collect();
    assert!(etags.iter().all(|etag| *etag == etags[0]), "{etags:?}");
    assert_eq!(files_in(&server.data_folder().join("media")), 2);
}

#[tokio::test]
async fn only_who_is_logged_in_sees_thumbnails() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let uri = alice.upload(picture(100, 100, ImageFormat::Png), "image/png", "").await;
    let path = |start: &str| format!("{start}/thumbnail/{}?width=32&height=32&method=crop", id_of(&uri));
    let anyone = server.stranger();
    anyone.fetch(&path("/_matrix/client/v1/media"), &[]).await.expect_error(401, "M_MISSING_TOKEN");
    anyone.fetch(&path("/_matrix/media/v3"), &[]).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn what_is_no_picture_has_no_thumbnail() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let png = picture(400, 400, ImageFormat::Png);
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#.to_vec();
    for (content, content_type) in [
        (b"hello".to_vec(), "text/plain"),
        (png.clone(), "text/html"),
        (svg.clone(), "image/svg+xml"),
        (svg, "image/png"),
        (png[..60].to_vec(), "image/png"),
        (Vec::new(), "image/png"),
    ] {
        let uri = alice.upload(content, content_type, "").await;
        alice.thumbnail(&uri, "width=32&height=32").await.expect_error(400, "M_UNKNOWN");
    }
    let uri = alice.upload(png, "image/png", "").await;
    for query in ["width=0&height=32", "width=-1&height=32", "width=a&height=32", "width=32&height=32&method=melt"] {
        alice.thumbnail(&uri, query).await.expect_error(400, "M_INVALID_PARAM");
    }
    alice.thumbnail(&uri, "width=32").await.expect_error(400, "M_MISSING_PARAM");
    alice.thumbnail("mxc://story.example/..%2Fx", "width=32&height=32").await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_picture_that_is_a_bomb_does_not_go_off() {
    let server = Server::start_with("[media]\nmax_pixels = 1000000").await;
    let alice = server.register("alice").await;
    let before = server.resident_megabytes();
    let huge = alice.upload(gif_bomb(60_000, 1), "image/gif", "").await;
    alice.thumbnail(&huge, "width=32&height=32").await.expect_error(413, "M_TOO_LARGE");
    let endless = alice.upload(gif_bomb(1_000, 300_000), "image/gif", "").await;
    alice.thumbnail(&endless, "width=32&height=32&animated=true").await.expect_error(413, "M_TOO_LARGE");
    // The first of its frames is as good as any picture.
    assert_eq!(dimensions(alice.thumbnail(&endless, "width=32&height=32&method=crop").await), (32, 32));
    let grown = server.resident_megabytes() - before;
    assert!(grown < 200.0, "the server took {grown} MB");
    assert_eq!(alice.download(&huge).await.expect_ok(), gif_bomb(60_000, 1));
}
