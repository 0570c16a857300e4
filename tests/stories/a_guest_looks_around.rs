//! A guest comes without a name, looks into rooms that let guests in, and stays: the account becomes a whole one.

use serde_json::{Value, json};

use crate::support::{Connection, PATIENCE, Server, encode, eventually};

const GUESTS: &str = "[registration]\nmode = \"open\"\nguests = true";

/// A guest's connection and user id.
async fn guest(server: &Server) -> (Connection, String) {
    let session = server.stranger().post("register?kind=guest", json!({})).await.expect_ok();
    let token = session["access_token"].as_str().unwrap();
    (server.stranger().with_token(token), session["user_id"].as_str().unwrap().to_owned())
}

fn open_to_guests(guest_access: &str) -> Value {
    let access = json!({"type": "m.room.guest_access", "content": {"guest_access": guest_access}});
    json!({"preset": "public_chat", "initial_state": [access]})
}

#[tokio::test]
async fn there_are_no_guests_unless_the_operator_wants_some() {
    let server = Server::start().await;
    let answer = server.stranger().post("register?kind=guest", json!({})).await;
    answer.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
}

#[tokio::test]
async fn a_guest_who_does_not_come_back_is_gone() {
    let mut server = Server::start_with(&format!("{GUESTS}\nguests_expire_after = \"1 s\"")).await;
    let alice = server.register("alice").await;
    let room = alice.create_room_with(open_to_guests("can_join")).await;
    let (guest, id) = guest(&server).await;
    guest.post(&format!("rooms/{}/join", encode(&room)), json!({})).await.expect_ok();
    let member = format!("rooms/{}/state/m.room.member/{id}", encode(&room));
    let left = async || {
        let answer = alice.get(&member).await.expect_ok();
        (answer["membership"] == "leave").then_some(())
    };
    eventually("the guest to be out", PATIENCE, left).await;
    guest.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    server.restart().await;
    alice.get("account/whoami").await.expect_ok();
}

#[tokio::test]
async fn a_guest_joins_where_guests_may_and_does_what_guests_may() {
    let server = Server::start_with(GUESTS).await;
    let alice = server.register("alice").await;
    let (guest, id) = guest(&server).await;
    assert_eq!(guest.get("account/whoami").await.expect_ok()["is_guest"], true);
    let open = alice.create_room_with(open_to_guests("can_join")).await;
    let closed = alice.create_room_with(open_to_guests("forbidden")).await;
    let silent = alice.create_room_with(json!({"preset": "public_chat"})).await;

    let join = |room: &str| format!("rooms/{}/join", encode(room));
    guest.post(&join(&open), json!({})).await.expect_ok();
    for room in [&closed, &silent] {
        guest.post(&join(room), json!({})).await.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
        let path = format!("rooms/{}/state/m.room.member/{id}", encode(room));
        let member = json!({"membership": "join"});
        guest.put(&path, member).await.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
    }
    let text = json!({"msgtype": "m.text", "body": "Hello?"});
    guest.put(&format!("rooms/{}/send/m.room.message/1", encode(&open)), text).await.expect_ok();
    assert!(alice.sync().await.texts(&open).contains(&"Hello?"));
    guest.get(&format!("rooms/{}/messages?dir=b", encode(&open))).await.expect_ok();
    guest.get(&format!("rooms/{}/state/m.room.create", encode(&open))).await.expect_ok();
    guest.get("sync?timeout=0").await.expect_ok();
    guest.post("keys/query", json!({"device_keys": {}})).await.expect_ok();
    let profile = format!("profile/{id}");
    guest.put(&format!("{profile}/displayname"), json!({"displayname": "Visitor"})).await.expect_ok();
    let url = json!({"avatar_url": "mxc://story.example/a"});
    guest.put(&format!("{profile}/avatar_url"), url).await.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");

    for (path, body) in [
        ("createRoom".to_owned(), json!({})),
        (format!("join/{}", encode(&open)), json!({})),
        (format!("rooms/{}/invite", encode(&open)), json!({"user_id": alice.id})),
        ("account/deactivate".to_owned(), json!({})),
        ("user_directory/search".to_owned(), json!({"search_term": "alice"})),
        ("/_matrix/media/v3/upload".to_owned(), json!({})),
    ] {
        guest.post(&path, body).await.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
    }
    for path in ["joined_rooms", "pushrules/", "capabilities", "notifications"] {
        guest.get(path).await.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
    }
    guest.post(&format!("rooms/{}/leave", encode(&open)), json!({})).await.expect_ok();
    guest.post("logout", json!({})).await.expect_ok();
}

#[tokio::test]
async fn guests_are_out_at_the_moment_at_which_a_room_wants_none() {
    let server = Server::start_with(GUESTS).await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let membership = async |room: &str, user: &str| {
        let path = format!("rooms/{}/state/m.room.member/{user}", encode(room));
        alice.get(&path).await.expect_ok()["membership"].as_str().unwrap().to_owned()
    };
    for end in ["a new state", "a redaction"] {
        let room = alice.create_room_with(open_to_guests("can_join")).await;
        let (first, second) = (guest(&server).await, guest(&server).await);
        for (guest, _) in [&first, &second] {
            guest.post(&format!("rooms/{}/join", encode(&room)), json!({})).await.expect_ok();
        }
        bob.join(&room).await;
        alice.set_state(&room, "m.room.guest_access", "", json!({"guest_access": "can_join", "why": "still"})).await;
        assert_eq!(membership(&room, &first.1).await, "join", "nothing changed for guests");
        let access = alice.sync().await;
        let event = access.timeline(&room).iter().rev().find(|event| event["type"] == "m.room.guest_access");
        let event = event.expect("it has just been set")["event_id"].as_str().unwrap().to_owned();
        match end {
            "a redaction" => drop(alice.redact(&room, &event).await),
            _ => drop(alice.set_state(&room, "m.room.guest_access", "", json!({"guest_access": "forbidden"})).await),
        }
        for (guest, id) in [&first, &second] {
            assert_eq!(membership(&room, id).await, "leave", "{end}");
            let join = format!("rooms/{}/join", encode(&room));
            guest.post(&join, json!({})).await.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
        }
        assert_eq!(membership(&room, &bob.id).await, "join", "{end}");
    }
}

#[tokio::test]
async fn a_guest_registers_and_keeps_name_rooms_and_session() {
    let server = Server::start_with(GUESTS).await;
    let alice = server.register("alice").await;
    let room = alice.create_room_with(open_to_guests("can_join")).await;
    let (guest, id) = guest(&server).await;
    guest.post(&format!("rooms/{}/join", encode(&room)), json!({})).await.expect_ok();
    let localpart = id[1..].split(':').next().unwrap();
    let request = |username: &str, token: Option<&str>| {
        let auth = json!({"type": "m.login.dummy"});
        json!({"username": username, "password": "correct horse", "guest_access_token": token, "auth": auth})
    };
    let stranger = server.stranger();
    stranger.post("register", request(localpart, None)).await.expect_error(400, "M_USER_IN_USE");
    stranger.post("register", request("bob", guest.token())).await.expect_error(400, "M_INVALID_USERNAME");
    stranger.post("register", request(localpart, Some("nonsense"))).await.expect_error(401, "M_UNKNOWN_TOKEN");
    stranger.post("register", request("alice", alice.token())).await.expect_error(403, "M_FORBIDDEN");

    let session = stranger.post("register", request(localpart, guest.token())).await.expect_ok();
    assert_eq!(session["user_id"], json!(id));
    // What the guest was logged in with goes on, and may do everything from now on.
    assert_ne!(guest.get("account/whoami").await.expect_ok()["is_guest"], true);
    guest.post("createRoom", json!({})).await.expect_ok();
    let user = json!({"type": "m.id.user", "user": localpart});
    let login = json!({"type": "m.login.password", "identifier": user, "password": "correct horse"});
    stranger.post("login", login).await.expect_ok();
    alice.set_state(&room, "m.room.guest_access", "", json!({"guest_access": "forbidden"})).await;
    assert_eq!(guest.get("joined_rooms").await.expect_ok()["joined_rooms"].as_array().unwrap().len(), 2);
    stranger.post("register", request(localpart, guest.token())).await.expect_error(403, "M_FORBIDDEN");
}
