//! How long previews are kept, and what goes with them. What they show is told by the story of links.

use std::{path::Path, time::Instant};

use futures_util::FutureExt as _;
use ruma::server_name;
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use super::*;

struct Scene {
    previews: Previews,
    clock: Clock,
    store: Store,
    _folder: tempfile::TempDir,
}

fn scene() -> Scene {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = "server_name = \"example.org\"\ndata_dir = \"data\"\n[outgoing]\nresolve_names = false\nallowed_addresses = [\"127.0.0.1\"]";
    let config = config::Config::read(text, Path::new(""), []).unwrap();
    let (folder, store, clock) = (tempfile::tempdir().unwrap(), Store::in_memory(), Clock::manual(1_000));
    let name = server_name!("example.org").to_owned();
    let shutdown = Shutdown::default();
    let media = Media::new(store.clone(), clock.clone(), shutdown, name, config.media, folder.path()).unwrap();
    let outgoing = Outgoing::new(&config.outgoing).unwrap();
    let previews = Previews::new(store.clone(), clock.clone(), media, outgoing, config.previews);
    Scene { previews, clock, store, _folder: folder }
}

impl Scene {
    /// Keeps a preview with a picture, as if it had been fetched now.
    async fn keep(&self, url: &str) -> StoredPreview {
        let picture = picture::Picture { bytes: vec![1], content_type: "image/png", width: 1, height: 1 };
        let fetched = Fetched { picture: Some(picture), ..Fetched::default() };
        let preview = self.previews.with_picture(fetched).await.unwrap();
        self.previews.keep(&url.parse().unwrap(), &preview).await.unwrap();
        preview
    }

    async fn has_picture(&self, preview: &StoredPreview) -> bool {
        let uri = preview.picture.clone().unwrap();
        let (server, id) = uri.parts().unwrap();
        let found = self.previews.media.find(server, id, crate::media::Access::Authenticated, Duration::ZERO).await;
        found.is_ok()
    }

    async fn kept(&self) -> usize {
        let rows = PREVIEWS.scan(&self.store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX);
        rows.await.unwrap().len()
    }
}

#[tokio::test]
async fn old_previews_go_with_their_pictures_and_new_ones_stay() {
    let scene = scene();
    let day = scene.previews.options.keep_for;
    let first = scene.keep("https://example.com/a").await;
    scene.clock.advance(day / 2);
    let second = scene.keep("https://example.com/b").await;
    scene.previews.sweep().await.unwrap();
    assert!(scene.has_picture(&first).await && scene.has_picture(&second).await);
    scene.clock.advance(day / 2 + Duration::from_millis(1));
    scene.previews.sweep().await.unwrap();
    assert!(!scene.has_picture(&first).await && scene.has_picture(&second).await);
    assert_eq!(scene.kept().await, 1);
}

#[tokio::test]
async fn a_page_that_is_fetched_anew_leaves_nothing_of_the_old_one() {
    let scene = scene();
    let first = scene.keep("https://example.com/a").await;
    scene.clock.advance(Duration::from_secs(1));
    let second = scene.keep("https://example.com/a").await;
    assert!(!scene.has_picture(&first).await && scene.has_picture(&second).await);
    scene.clock.advance(scene.previews.options.keep_for - Duration::from_millis(1));
    scene.previews.sweep().await.unwrap();
    assert!(scene.has_picture(&second).await, "the end of the first one is not that of the second");
    assert_eq!(scene.kept().await, 1);
}

#[tokio::test]
async fn what_is_remembered_is_not_fetched() {
    let scene = scene();
    scene.keep("https://example.com/a").await;
    assert!(scene.previews.of("https://example.com/a#part").await.unwrap().get().contains("mxc://example.org/"));
    let unknown = scene.previews.of("https://example.com/b").now_or_never();
    assert!(unknown.is_none_or(|answer| answer.is_err()));
    scene.clock.advance(scene.previews.options.keep_for);
    assert_eq!(scene.previews.of("https://example.com/a").await.unwrap_err().kind, Kind::Unknown, "it is old now");
}

#[tokio::test]
async fn a_page_is_fetched_to_its_end_although_nobody_waits_any_more() {
    let (scene, site) = (scene(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let link = format!("http://{}/", site.local_addr().unwrap());
    let mut asked = tokio::select! {
        _ = scene.previews.of(&link) => panic!("the page has not answered yet"),
        asked = site.accept() => asked.unwrap().0,
    };
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<title>A</title";
    asked.write_all(page.as_bytes()).await.unwrap();
    let started = Instant::now();
    while scene.kept().await == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "it was given up");
        tokio::task::yield_now().await;
    }
}
