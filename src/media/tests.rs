//! Files on a store in memory and a folder of their own.

use std::{fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use ruma::{MxcUri, server_name, user_id};
use tempfile::TempDir;

use super::{Access, Media, NewFile};
use crate::{
    clock::Clock,
    config,
    error::{Error, Kind, Result},
    shutdown::Shutdown,
    storage::{
        Direction, KeyRange, Store,
        schema::media::{FILES, File, LOOSE_OBJECTS, Loose},
    },
};

const MEBIBYTE: u64 = 1 << 20;

struct Scene {
    media: Media,
    store: Store,
    clock: Clock,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self::with(config::Media { max_upload_size: 4 * MEBIBYTE, ..config::Media::default() })
    }

    fn with(options: config::Media) -> Self {
        let (store, folder) = (Store::in_memory(), tempfile::tempdir().unwrap());
        let clock = Clock::manual(1_000_000);
        let media = media(&store, &clock, folder.path(), options);
        Self { media, store, clock, folder }
    }

    /// How many files are in the folder, however deep.
    fn objects(&self) -> usize {
        count(self.folder.path())
    }

    async fn loose(&self) -> usize {
        let rows = LOOSE_OBJECTS.scan(&self.store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX);
        rows.await.unwrap().len()
    }

    async fn find(&self, uri: &MxcUri) -> Result<File> {
        let (server, id) = uri.parts().unwrap();
        self.media.find(server, id, Access::Authenticated, Duration::ZERO).await
    }
}

fn media(store: &Store, clock: &Clock, folder: &Path, options: config::Media) -> Media {
    let server_name = server_name!("example.org").to_owned();
    Media::new(store.clone(), clock.clone(), Shutdown::default(), server_name, options, folder).unwrap()
}

fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
}

fn by_alice() -> NewFile {
    NewFile { uploader: Some(user_id!("@alice:example.org").to_owned()), ..NewFile::default() }
}

/// A body of that many bytes in pieces that divide nothing evenly, each different from the one before.
fn pieces(total: usize) -> Vec<Bytes> {
    let bytes: Vec<u8> = (0..total).map(|n| (n % 251) as u8).collect();
    bytes.chunks(70_001).map(Bytes::copy_from_slice).collect()
}

mod announced;
mod limits;

#[tokio::test]
async fn a_file_in_many_parts_comes_back_as_it_was() {
    let scene = Scene::new();
    for size in [0, 1, 70_001, MEBIBYTE as usize, 3 * MEBIBYTE as usize + 17] {
        let body = stream::iter(pieces(size).into_iter().map(Ok::<_, Error>));
        let uri = scene.media.upload(by_alice(), body).await.unwrap();
        let file = scene.find(&uri).await.unwrap();
        assert_eq!(file.size, size as u64);
        let whole = scene.media.read_whole(&file, u64::MAX).await.unwrap();
        assert!(whole == pieces(size).concat(), "{size} bytes came back as others");
        if size > 100 {
            let mut part = scene.media.read(&file, 50..100).await.unwrap();
            assert_eq!(part.next().await.unwrap().unwrap(), whole[50..100]);
            assert!(part.next().await.is_none());
        }
    }
    assert_eq!((scene.objects(), scene.loose().await), (5, 0));
}

#[tokio::test]
async fn what_is_too_large_leaves_nothing_behind() {
    let scene = Scene::new();
    let body = stream::iter(pieces(5 * MEBIBYTE as usize).into_iter().map(Ok::<_, Error>));
    let refused = scene.media.upload(by_alice(), body).await.unwrap_err();
    assert_eq!((refused.kind, scene.objects(), scene.loose().await), (Kind::TooLarge, 0, 0));
    // Who says so beforehand is not even listened to.
    let said = NewFile { size: Some(5 * MEBIBYTE), ..by_alice() };
    let refused = scene.media.upload(said, stream::pending::<Result<Bytes>>()).await.unwrap_err();
    assert_eq!(refused.kind, Kind::TooLarge);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing_behind() {
    let scene = Scene::new();
    for before in [0, 1, 2 * MEBIBYTE as usize] {
        let start = pieces(before).into_iter().map(Ok);
        let body = stream::iter(start.chain([Err(Error::internal("the connection was lost"))]));
        let refused = scene.media.upload(by_alice(), body).await.unwrap_err();
        assert_eq!((refused.kind, scene.objects(), scene.loose().await), (Kind::Unknown, 0, 0));
    }
    let files = FILES.scan(&scene.store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX);
    assert!(files.await.unwrap().is_empty());
}

#[tokio::test]
async fn an_upload_that_stands_still_ends() {
    let mut scene = Scene::new();
    Arc::get_mut(&mut scene.media.0).unwrap().still = Duration::from_millis(10);
    let body = stream::iter(pieces(100).into_iter().map(Ok::<_, Error>)).chain(stream::pending());
    let refused = scene.media.upload(by_alice(), body).await.unwrap_err();
    assert_eq!((refused.kind, scene.objects()), (Kind::Unknown, 0));
}

#[tokio::test]
async fn what_a_crash_left_behind_is_swept_and_what_is_being_written_is_not() {
    let scene = Scene::new();
    let (crashed, writing) = ([1; 16], [2; 16]);
    for (object, boot) in [(crashed, scene.media.0.boot.wrapping_add(1)), (writing, scene.media.0.boot)] {
        scene.media.loosen(&object, Loose::BeingWritten { boot }).await.unwrap();
        let mut writer = scene.media.0.objects.writer(&object);
        writer.write(Bytes::from_static(b"content")).await.unwrap();
        writer.finish().await.unwrap();
    }
    // A crash in the middle of a large object leaves a file beside its place.
    fs::write(scene.folder.path().join("01").join(format!("{}#1", "01".repeat(15))), "half").unwrap();
    assert_eq!(scene.objects(), 3);
    scene.media.sweep().await.unwrap();
    assert_eq!((scene.objects(), scene.loose().await), (1, 1));
}

#[tokio::test]
async fn the_server_keeps_files_of_its_own() {
    let scene = Scene::new();
    let new = NewFile { content_type: Some("image/png".to_owned()), ..NewFile::default() };
    let uri = scene.media.keep(new, Bytes::from_static(b"a picture")).await.unwrap();
    let file = scene.find(&uri).await.unwrap();
    assert_eq!((file.uploader.as_ref(), file.size, &*file.content_type), (None, 9, "image/png"));
    assert_eq!(scene.media.read_whole(&file, 9).await.unwrap(), b"a picture");
    assert_eq!(scene.media.read_whole(&file, 8).await.unwrap_err().kind, Kind::TooLarge);
}

#[tokio::test]
async fn frozen_means_what_was_uploaded_before() {
    use config::UnauthenticatedAccess::{Frozen, Off, On};
    let scene = Scene::new();
    let with = |unauthenticated_access| {
        media(
            &scene.store,
            &scene.clock,
            scene.folder.path(),
            config::Media { unauthenticated_access, ..config::Media::default() },
        )
    };
    let keep = async |media: &Media| media.keep(by_alice(), Bytes::from_static(b"content")).await.unwrap();
    let (before, after) = (keep(&with(On)).await, keep(&with(Frozen)).await);
    for (choice, expected) in [(On, [true, true]), (Frozen, [true, false]), (Off, [false, false])] {
        let media = with(choice);
        for (uri, expected) in [&before, &after].into_iter().zip(expected) {
            let (server, id) = uri.parts().unwrap();
            let found = media.find(server, id, Access::Unauthenticated, Duration::ZERO).await;
            assert_eq!(found.is_ok(), expected, "{choice:?}");
            media.find(server, id, Access::Authenticated, Duration::ZERO).await.unwrap();
        }
    }
}

#[tokio::test]
async fn nothing_is_found_but_files_of_this_server() {
    let scene = Scene::new();
    let uri = scene.media.keep(by_alice(), Bytes::from_static(b"content")).await.unwrap();
    let id = uri.media_id().unwrap();
    let object = scene.find(&uri).await.unwrap().object;
    let name = format!("{:032x}", u128::from_be_bytes(object));
    let find = async |server, id: &str| scene.media.find(server, id, Access::Authenticated, Duration::ZERO).await;
    let (own, other) = (server_name!("example.org"), server_name!("elsewhere.example"));
    for (server, id) in [(other, id), (own, "nothing"), (own, "../database/CURRENT"), (own, &*name), (own, "")] {
        assert_eq!(find(server, id).await.unwrap_err().kind, Kind::NotFound, "{server} {id}");
    }
}

#[tokio::test]
async fn a_file_whose_bytes_are_gone_is_not_found() {
    let scene = Scene::new();
    let uri = scene.media.keep(by_alice(), Bytes::from_static(b"content")).await.unwrap();
    let file = scene.find(&uri).await.unwrap();
    scene.media.0.objects.delete(&file.object).await.unwrap();
    assert_eq!(scene.media.read(&file, 0..7).await.err().unwrap().kind, Kind::NotFound);
}
