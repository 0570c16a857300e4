//! What operators can do, asked directly and through the socket.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

use super::*;
use crate::{
    config::Config,
    error::Kind,
    matrix::signing::SigningKey,
    server::services::room_settings,
    shutdown::Shutdown,
    storage::Store,
    streams::{Ephemerals, Notifier},
    users::Standing,
};

fn admin() -> Admin {
    let text = "server_name = \"example.org\"\ndata_dir = \"data\"\n[passwords]\nmemory_kib = 8\niterations = 1\n";
    let config = Config::read(text, Path::new(""), []).unwrap();
    let (store, clock) = (Store::in_memory(), Clock::manual(1_000_000));
    let users = Users::new(&store, &Notifier::default(), &clock, &config, &[]).unwrap();
    let settings = room_settings(&config, "@_server:example.org".try_into().unwrap());
    let (key, ephemerals) = (SigningKey::generate(), Ephemerals::new(1));
    let rooms = Rooms::new(store, clock.clone(), Notifier::default(), ephemerals, &users, key, settings);
    Admin::new(&users, rooms, clock)
}

fn create(name: &str) -> AdminRequest {
    AdminRequest::CreateUser { name: name.to_owned(), password: "correct horse".to_owned(), role: Role::User }
}

#[tokio::test]
async fn accounts_are_made_listed_and_changed() {
    let admin = admin();
    admin.handle(create("Alice")).await.unwrap();
    admin.clock.advance(Duration::from_secs(60));
    let promote = AdminRequest::SetRole { name: "@alice:example.org".to_owned(), role: Role::Administrator };
    admin.handle(promote).await.unwrap();

    let AdminResponse::Users(users) = admin.handle(AdminRequest::ListUsers).await.unwrap() else { panic!() };
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].user_id, "@alice:example.org");
    assert_eq!(users[0].role, Role::Administrator);
    assert_eq!(users[0].standing, Standing::Active);
    assert_eq!(users[0].age, Duration::from_secs(60));

    assert_eq!(admin.handle(create("alice")).await.unwrap_err().kind, Kind::UserInUse);
    let stranger = AdminRequest::SetRole { name: "bob".to_owned(), role: Role::User };
    assert_eq!(admin.handle(stranger).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn registration_tokens_are_made_listed_and_revoked() {
    let admin = admin();
    let request = AdminRequest::CreateToken {
        token: Some("welcome".to_owned()),
        uses_allowed: Some(3),
        expires_in: Some(Duration::from_secs(10)),
        role: Role::Administrator,
    };
    admin.handle(request).await.unwrap();
    admin.clock.advance(Duration::from_secs(4));

    let AdminResponse::Tokens(tokens) = admin.handle(AdminRequest::ListTokens).await.unwrap() else { panic!() };
    assert_eq!(tokens[0].token, "welcome");
    assert_eq!((tokens[0].uses, tokens[0].uses_allowed), (0, Some(3)));
    assert_eq!(tokens[0].expires_in, Some(Duration::from_secs(6)));

    let revoke = || AdminRequest::RevokeToken { token: "welcome".to_owned() };
    admin.handle(revoke()).await.unwrap();
    assert_eq!(admin.handle(revoke()).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn the_socket_is_for_its_owner_and_carries_commands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    assert!(ask(&path, &create("alice")).await.unwrap().is_none(), "nobody listens yet");
    // What a killed server leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(ask(&path, &create("alice")).await.unwrap().is_none(), "nobody listens any more");

    let shutdown = Shutdown::default();
    let serving = tokio::spawn(AdminSocket::bind(path.clone()).unwrap().serve(admin(), shutdown.clone()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let response = ask(&path, &create("alice")).await.unwrap();
    assert!(matches!(response, Some(AdminResponse::User(user)) if user == "@alice:example.org"));
    let error = ask(&path, &create("alice")).await.unwrap_err();
    assert_eq!(error.to_string(), "This username is taken.");

    let mut stream = BufReader::new(UnixStream::connect(&path).await.unwrap());
    stream.write_all(b"{\"command\": \"dance\"}\n").await.unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).await.unwrap();
    assert!(answer.contains("of another version"), "{answer}");

    shutdown.begin();
    serving.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_deep_data_folder_has_a_socket_too() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a".repeat(100)).join("b".repeat(100));
    fs::create_dir_all(&deep).unwrap();
    let path = deep.join("admin.sock");
    assert!(ask(&path, &create("alice")).await.unwrap().is_none());

    let shutdown = Shutdown::default();
    let serving = tokio::spawn(AdminSocket::bind(path.clone()).unwrap().serve(admin(), shutdown.clone()));
    assert!(ask(&path, &create("alice")).await.unwrap().is_some());
    shutdown.begin();
    serving.await.unwrap().unwrap();
    assert!(!path.exists());
}
