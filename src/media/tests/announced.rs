//! Files that are announced before they are there.

use super::*;
use crate::storage::schema::media::{ANNOUNCED, ANNOUNCED_BY_END, ANNOUNCEMENTS};

const HOUR: Duration = Duration::from_secs(3600);

fn scene() -> Scene {
    Scene::with(config::Media { max_announced: 2, announced_for: HOUR, ..config::Media::default() })
}

impl Scene {
    async fn upload_to(&self, uri: &MxcUri, new: NewFile) -> Result<()> {
        let (server, id) = uri.parts().unwrap();
        let body = stream::iter([Ok::<_, Error>(Bytes::from_static(b"content"))]);
        self.media.upload_announced(server, id, new, body).await
    }

    async fn announce(&self) -> Result<ruma::OwnedMxcUri> {
        self.media.announce(user_id!("@alice:example.org")).await.map(|announcement| announcement.uri)
    }

    /// How many rows there are of announcements, of all kinds.
    async fn announcements(&self) -> (usize, usize, usize) {
        let snapshot = self.store.snapshot();
        (
            ANNOUNCED.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap().len(),
            ANNOUNCEMENTS.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap().len(),
            ANNOUNCED_BY_END.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap().len(),
        )
    }
}

fn by_bob() -> NewFile {
    NewFile { uploader: Some(user_id!("@bob:example.org").to_owned()), ..NewFile::default() }
}

#[tokio::test]
async fn a_file_comes_once_and_from_who_announced_it() {
    let scene = scene();
    let uri = scene.announce().await.unwrap();
    assert_eq!(scene.find(&uri).await.unwrap_err().kind, Kind::NotYetUploaded);
    assert_eq!(scene.upload_to(&uri, by_bob()).await.unwrap_err().kind, Kind::Forbidden);
    scene.upload_to(&uri, by_alice()).await.unwrap();
    assert_eq!(scene.find(&uri).await.unwrap().size, 7);
    assert_eq!(scene.upload_to(&uri, by_alice()).await.unwrap_err().kind, Kind::CannotOverwriteMedia);
    assert_eq!(scene.upload_to(&uri, by_bob()).await.unwrap_err().kind, Kind::Forbidden);
    assert_eq!((scene.announcements().await, scene.objects(), scene.loose().await), ((0, 0, 0), 1, 0));
    let never = <&MxcUri>::from("mxc://example.org/never");
    assert_eq!(scene.upload_to(never, by_alice()).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn of_two_uploads_at_once_one_wins() {
    let scene = scene();
    let uri = scene.announce().await.unwrap();
    let (one, two) = tokio::join!(scene.upload_to(&uri, by_alice()), scene.upload_to(&uri, by_alice()));
    let failed = [one, two].into_iter().filter_map(|outcome| outcome.err().map(|error| error.kind));
    assert_eq!(failed.collect::<Vec<_>>(), [Kind::CannotOverwriteMedia]);
    assert_eq!((scene.objects(), scene.loose().await), (1, 0));
}

#[tokio::test]
async fn an_upload_that_breaks_off_can_be_tried_again() {
    let scene = scene();
    let uri = scene.announce().await.unwrap();
    let (server, id) = uri.parts().unwrap();
    let broken = stream::iter([Err::<Bytes, _>(Error::internal("the connection was lost"))]);
    scene.media.upload_announced(server, id, by_alice(), broken).await.unwrap_err();
    scene.upload_to(&uri, by_alice()).await.unwrap();
}

#[tokio::test]
async fn announcements_are_counted_until_they_are_met_or_expire() {
    let scene = scene();
    let (first, _) = (scene.announce().await.unwrap(), scene.announce().await.unwrap());
    let refused = scene.announce().await.unwrap_err();
    assert!(matches!(refused.kind, Kind::LimitExceeded { retry_after } if retry_after == HOUR), "{refused:?}");
    scene.media.announce(user_id!("@bob:example.org")).await.unwrap();
    scene.upload_to(&first, by_alice()).await.unwrap();
    scene.announce().await.unwrap();
    scene.announce().await.unwrap_err();
    scene.clock.advance(HOUR);
    scene.announce().await.unwrap();
    // However many come at once, they get no more than there are.
    let many = futures_util::future::join_all((0..10).map(|_| scene.announce())).await;
    assert_eq!(many.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn what_expires_is_unknown_and_swept_in_the_end() {
    let scene = scene();
    let old = scene.announce().await.unwrap();
    scene.clock.advance(HOUR);
    assert_eq!(scene.find(&old).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(scene.upload_to(&old, by_alice()).await.unwrap_err().kind, Kind::NotFound);
    let new = scene.announce().await.unwrap();
    scene.media.sweep().await.unwrap();
    assert_eq!(scene.announcements().await, (2, 1, 2), "an upload that began in time has a day to end");
    scene.clock.advance(24 * HOUR + Duration::from_millis(1));
    scene.media.sweep().await.unwrap();
    assert_eq!(scene.announcements().await, (1, 1, 1), "{new} is younger");
    scene.clock.advance(2 * HOUR);
    scene.media.sweep().await.unwrap();
    assert_eq!(scene.announcements().await, (0, 0, 0));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_files() {
    let scene = scene();
    let uri = scene.announce().await.unwrap();
    let (server, id) = uri.parts().unwrap();
    let waiting = scene.media.find(server, id, Access::Authenticated, Duration::from_secs(50));
    let stop = async { scene.media.0.shutdown.begin() };
    let (found, ()) =
        tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(waiting, stop) }).await.unwrap();
    assert_eq!(found.unwrap_err().kind, Kind::NotYetUploaded);
}
