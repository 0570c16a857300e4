//! Rooms keep up with their members: a new name shows in every room, and whoever leaves the server leaves its rooms.

use serde_json::{Value, json};

use crate::support::{Server, Sync, User, encode};

async fn set_name(user: &User, name: &str) {
    let path = format!("profile/{}/displayname", encode(&user.id));
    user.put(&path, json!({"displayname": name})).await.expect_ok();
}

/// What a member of the room is told of somebody's membership.
fn member<'a>(sync: &'a Sync, room: &str, of: &User) -> &'a Value {
    sync.state(room, "m.room.member", &of.id).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn a_new_name_shows_in_every_room() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    set_name(&bob, "Bob").await;
    let mut rooms = Vec::new();
    for _ in 0..3 {
        let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
        bob.join(&room).await;
        rooms.push(room);
    }
    let sync = alice.sync().await;
    assert_eq!(member(&sync, &rooms[0], &bob)["displayname"], "Bob");
    set_name(&bob, "Robert").await;
    let path = format!("profile/{}/avatar_url", encode(&bob.id));
    bob.put(&path, json!({"avatar_url": "mxc://story.example/bob"})).await.expect_ok();
    for room in &rooms {
        let shown = json!({"membership": "join", "displayname": "Robert", "avatar_url": "mxc://story.example/bob"});
        alice.sync_until(sync.next_batch(), "the new name", |sync| *member(sync, room, &bob) == shown).await;
    }
}

#[tokio::test]
async fn a_crash_does_not_keep_a_new_name_from_its_rooms() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mut rooms = Vec::new();
    for _ in 0..30 {
        let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
        bob.join(&room).await;
        rooms.push(room);
    }
    let since = alice.sync().await.next_batch().to_owned();
    set_name(&bob, "Robert").await;
    server.kill_and_restart().await;
    for room in &rooms {
        alice.sync_until(&since, "the new name", |sync| member(sync, room, &bob)["displayname"] == "Robert").await;
    }
}

#[tokio::test]
async fn whoever_leaves_the_server_leaves_its_rooms() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let (joined, invited) = (alice.create_room().await, alice.create_room().await);
    alice.invite(&joined, &bob).await;
    alice.invite(&invited, &bob).await;
    bob.join(&joined).await;
    let since = alice.sync().await.next_batch().to_owned();
    let user = json!({"type": "m.id.user", "user": bob.id});
    let auth = json!({"type": "m.login.password", "identifier": user, "password": bob.password});
    bob.post("account/deactivate", json!({"auth": auth})).await.expect_ok();
    for room in [&joined, &invited] {
        alice.sync_until(&since, "the departure", |sync| member(sync, room, &bob)["membership"] == "leave").await;
    }
}
