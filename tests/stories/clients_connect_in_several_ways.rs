//! A server listens in several places at once: plain, with TLS of its own, and on a Unix socket for a reverse proxy.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::support::{PATIENCE, Server, eventually};

/// A certificate for the server's name that it signed itself, valid for a hundred years.
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stories/support/tls/certificate.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stories/support/tls/key.pem");

const REQUEST: &[u8] = b"GET /_matrix/client/versions HTTP/1.1\r\nhost: story.example\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn plain_tls_and_a_unix_socket_serve_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("http.sock");
    // A server that was killed leaves its socket behind.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let listeners = format!(
        "listeners = [
            {{ address = \"127.0.0.1:0\" }},
            {{ address = \"127.0.0.1:0\", tls = {{ certificate = \"{CERTIFICATE}\", key = \"{KEY}\" }} }},
            {{ unix = \"{}\" }},
        ]",
        socket.display()
    );
    let mut server = Server::start_with(&listeners).await;

    server.stranger().get("/_matrix/client/versions").await.expect_ok();
    let secure = eventually("the address with TLS in the log", PATIENCE, async || {
        server.log().iter().find_map(|line| Some(line.split_once("https://")?.1.split_once('"')?.0.to_owned()))
    })
    .await;
    assert_versions(&ask_with_tls(&secure));
    assert_versions(&ask_through(&socket));

    server.stop().await;
    assert!(!socket.exists(), "the socket is gone with the server");
}

#[track_caller]
fn assert_versions(response: &str) {
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.contains("\"versions\""), "{response}");
}

fn ask_through(socket: &Path) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(REQUEST).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn ask_with_tls(address: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(CERTIFICATE).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), "story.example".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    stream.write_all(REQUEST).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}
