//! An operator keeps the files of the server in a bucket instead of the data folder.

use std::fs;

use crate::support::{S3, Server, id_of};

#[tokio::test]
async fn files_of_all_sizes_come_back_from_the_bucket() {
    let (s3, config) = S3::start().await;
    let mut server = Server::start_with(&config).await;
    let alice = server.register("alice").await;
    // One that fits into a single request, one in parts, and none at all.
    let contents: Vec<Vec<u8>> =
        [7, 12 << 20, 0].into_iter().map(|size| (0..size).map(|n: u32| (n % 251) as u8).collect()).collect();
    let mut uris = Vec::new();
    for content in &contents {
        uris.push(alice.upload(content.clone(), "video/mp4", "").await);
    }
    assert_eq!((s3.objects(), s3.uploads()), (3, 0));
    let folder = fs::read_dir(server.data_folder().join("media"));
    assert!(folder.is_ok_and(|folder| folder.count() == 0), "the files are in the data folder");
    server.restart().await;
    for (uri, content) in uris.iter().zip(&contents) {
        assert!(alice.download(uri).await.expect_ok() == *content, "other bytes arrived");
    }
    let path = format!("/_matrix/client/v1/media/download/{}", id_of(&uris[1]));
    let part = alice.fetch(&path, &[("range", "bytes=6000000-6000009")]).await;
    assert_eq!((part.status.as_u16(), &*part.bytes), (206, &contents[1][6_000_000..6_000_010]));
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_in_the_bucket() {
    let (s3, config) = S3::start().await;
    let server = Server::start_with(&format!("{config}max_upload_size = \"7 MiB\"")).await;
    let alice = server.register("alice").await;
    let chunks = (0..8).map(|_| Ok::<_, std::io::Error>(vec![0; 1 << 20]));
    let endless = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    alice.try_upload(endless, "image/png", "").await.expect_error(413, "M_TOO_LARGE");
    assert_eq!((s3.objects(), s3.uploads()), (0, 0));
}

#[tokio::test]
async fn a_bucket_that_fails_is_the_servers_failure_and_passes() {
    let (s3, config) = S3::start().await;
    let server = Server::start_with(&config).await;
    let alice = server.register("alice").await;
    let uri = alice.upload("content", "text/plain", "").await;
    s3.set_broken(true);
    alice.try_upload("more", "text/plain", "").await.expect_error(500, "M_UNKNOWN");
    alice.download(&uri).await.expect_error(500, "M_UNKNOWN");
    s3.set_broken(false);
    assert_eq!(alice.download(&uri).await.expect_ok(), b"content");
    alice.upload("more", "text/plain", "").await;
    assert_eq!(s3.objects(), 2);
}
