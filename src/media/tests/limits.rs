//! How much a user may upload, and how long files are kept.

use image::{DynamicImage, ImageFormat, RgbImage};

use super::*;
use crate::{
    media::{Fit, Wanted},
    storage::schema::media::{FILES_BY_USE, THUMBNAILS, UPLOADED},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn with_quota(quota: u64) -> Scene {
    Scene::with(config::Media { quota_per_user: Some(quota), ..config::Media::default() })
}

fn kept_for(keep_for: Duration) -> Scene {
    Scene::with(config::Media { keep_for: Some(keep_for), ..config::Media::default() })
}

impl Scene {
    async fn keep(&self, size: usize) -> Result<ruma::OwnedMxcUri> {
        self.media.keep(by_alice(), Bytes::from(vec![1; size])).await
    }

    async fn uploaded(&self) -> u64 {
        let alice = user_id!("@alice:example.org");
        UPLOADED.get(&self.store.snapshot(), (alice,)).await.unwrap().unwrap_or(0)
    }

    /// Waits until it is noted that a file is used now.
    async fn noted(&self, uri: &MxcUri) {
        let key = (server_name!("example.org"), uri.media_id().unwrap());
        loop {
            let file = FILES.get(&self.store.snapshot(), key).await.unwrap().unwrap();
            if file.used_at == self.clock.millis() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn nobody_uploads_more_than_their_share() {
    let scene = with_quota(100);
    scene.keep(60).await.unwrap();
    assert_eq!(scene.keep(41).await.unwrap_err().kind, Kind::Forbidden);
    // Likewise if nobody said how much there would be.
    let body = stream::iter([Ok::<_, Error>(Bytes::from(vec![1; 41]))]);
    assert_eq!(scene.media.upload(by_alice(), body).await.unwrap_err().kind, Kind::Forbidden);
    assert_eq!((scene.uploaded().await, scene.objects(), scene.loose().await), (60, 1, 0));
    scene.keep(40).await.unwrap();
    // The server itself has no share.
    scene.media.keep(NewFile::default(), Bytes::from(vec![1; 200])).await.unwrap();
    assert_eq!(scene.uploaded().await, 100);
}

#[tokio::test]
async fn uploads_at_once_do_not_get_around_the_quota() {
    let scene = with_quota(100);
    let outcomes = futures_util::future::join_all((0..10).map(|_| scene.keep(30))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert_eq!((scene.uploaded().await, scene.objects(), scene.loose().await), (90, 3, 0));
}

#[tokio::test]
async fn what_nobody_looks_at_goes_with_everything_that_belongs_to_it() {
    let scene = kept_for(30 * DAY);
    let mut picture = std::io::Cursor::new(Vec::new());
    DynamicImage::from(RgbImage::new(400, 400)).write_to(&mut picture, ImageFormat::Png).unwrap();
    let new = NewFile { content_type: Some("image/png".to_owned()), ..by_alice() };
    let uri = scene.media.keep(new, picture.into_inner().into()).await.unwrap();
    let (server, id) = uri.parts().unwrap();
    for animated in [false, true] {
        let wanted = Wanted { width: 96, height: 96, fit: Fit::Crop, animated };
        scene.media.thumbnail(server, id, Access::Authenticated, Duration::ZERO, wanted).await.unwrap();
    }
    assert_eq!((scene.objects(), scene.loose().await), (2, 0));
    scene.clock.advance(30 * DAY);
    scene.media.sweep().await.unwrap();
    scene.find(&uri).await.unwrap();
    scene.noted(&uri).await;
    scene.clock.advance(30 * DAY);
    scene.media.sweep().await.unwrap();
    assert_eq!(scene.objects(), 2, "somebody looked at it a month ago");
    scene.clock.advance(Duration::from_millis(1));
    scene.media.sweep().await.unwrap();
    assert_eq!((scene.objects(), scene.loose().await, scene.uploaded().await), (0, 0, 0));
    assert_eq!(scene.find(&uri).await.unwrap_err().kind, Kind::NotFound);
    let snapshot = scene.store.snapshot();
    assert!(FILES_BY_USE.scan(&snapshot, KeyRange::all(), Direction::Forward, 9).await.unwrap().is_empty());
    assert!(THUMBNAILS.scan(&snapshot, KeyRange::all(), Direction::Forward, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_sweep_takes_however_many_there_are() {
    let scene = kept_for(DAY);
    for _ in 0..250 {
        scene.keep(1).await.unwrap();
    }
    scene.clock.advance(DAY);
    let young = scene.keep(1).await.unwrap();
    scene.clock.advance(Duration::from_millis(1));
    scene.media.sweep().await.unwrap();
    assert_eq!((scene.objects(), scene.uploaded().await), (1, 1));
    scene.find(&young).await.unwrap();
}

#[tokio::test]
async fn files_stay_where_nobody_says_otherwise() {
    let scene = Scene::new();
    let uri = scene.keep(1).await.unwrap();
    scene.clock.advance(10_000 * DAY);
    scene.media.sweep().await.unwrap();
    scene.find(&uri).await.unwrap();
}
