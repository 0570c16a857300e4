//! The server itself tells people something, in a room of its own with each of them.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Connection, Server, Sync, User, encode};

const NOTICE: &str = "/_synapse/admin/v1/send_server_notice";

/// An account that may administer the server.
async fn administrator(server: &Server) -> User {
    let admin = server.register("admin").await;
    assert!(server.command(&["user", "promote", "admin"]).output().unwrap().status.success());
    admin
}

fn notice(to: &User, text: &str) -> Value {
    json!({"user_id": to.id, "content": {"msgtype": "m.text", "body": text}})
}

async fn tell(admin: &Connection, to: &User, text: &str) -> String {
    let told = admin.post(NOTICE, notice(to, text)).await.expect_ok();
    told["event_id"].as_str().expect("a notice has an id").to_owned()
}

/// The rooms that a person is invited to.
async fn invitations(user: &User) -> Vec<String> {
    let sync = user.sync().await;
    sync.0["rooms"]["invite"].as_object().map(|rooms| rooms.keys().cloned().collect()).unwrap_or_default()
}

#[tokio::test]
async fn a_notice_comes_into_a_room_that_stays_the_same() {
    let mut server = Server::start().await;
    let admin = administrator(&server).await;
    let alice = server.register("alice").await;
    let before = alice.sync().await;
    let event = tell(&admin, &alice, "Maintenance at noon.").await;

    let sync = alice.sync_since(before.next_batch()).await;
    let room = invitations(&alice).await.remove(0);
    let invitation = sync.invited(&room)["invite_state"]["events"].as_array().unwrap();
    assert!(invitation.iter().all(|event| event["sender"] == "@_server:story.example"), "{invitation:?}");
    let name = invitation.iter().find(|event| event["type"] == "m.room.name").unwrap();
    assert_eq!(name["content"]["name"], "Server notices");

    alice.act(&room, "leave", json!({})).await.expect_error(403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM");
    let path = format!("rooms/{}/state/m.room.member/{}", encode(&room), encode(&alice.id));
    let declined = alice.put(&path, json!({"membership": "leave"})).await;
    declined.expect_error(403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM");
    alice.join(&room).await;
    let joined = alice.sync_since(sync.next_batch()).await;
    assert_eq!(joined.texts(&room), ["Maintenance at noon."]);
    assert_eq!(joined.timeline(&room).iter().filter(|it| it["event_id"] == event.as_str()).count(), 1);
    let tags = Sync::newest(&joined.joined(&room)["account_data"], "m.tag").expect("the room is marked");
    assert!(tags["content"]["tags"]["m.server_notice"].is_object(), "{tags}");

    alice.leave(&room).await;
    alice.act(&room, "forget", json!({})).await.expect_ok();
    server.kill_and_restart().await;
    tell(&admin, &alice, "All is well again.").await;
    assert_eq!(invitations(&alice).await, std::slice::from_ref(&room));
    alice.join(&room).await;
    tell(&admin, &alice, "Good night.").await;
    assert!(invitations(&alice).await.is_empty());
    assert_eq!(alice.sync().await.texts(&room).last(), Some(&"Good night."));
}

#[tokio::test]
async fn nobody_else_speaks_there_or_comes_in() {
    let server = Server::start().await;
    let admin = administrator(&server).await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    tell(&admin, &alice, "Hello.").await;
    let room = invitations(&alice).await.remove(0);
    alice.join(&room).await;
    let speak = format!("rooms/{}/send/m.room.message/1", encode(&room));
    alice.put(&speak, json!({"msgtype": "m.text", "body": "Thanks!"})).await.expect_error(403, "M_FORBIDDEN");
    alice.act(&room, "invite", json!({"user_id": bob.id})).await.expect_error(403, "M_FORBIDDEN");
    for who in [&bob, &admin] {
        who.act(&room, "join", json!({})).await.expect_error(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn only_administrators_make_the_server_speak() {
    let server = Server::start().await;
    let admin = administrator(&server).await;
    let alice = server.register("alice").await;
    for body in [json!({}), json!([]), notice(&alice, "I am the server.")] {
        alice.post(NOTICE, body.clone()).await.expect_error(403, "M_FORBIDDEN");
        alice.put(&format!("{NOTICE}/1"), body.clone()).await.expect_error(403, "M_FORBIDDEN");
        server.stranger().post(NOTICE, body).await.expect_error(401, "M_MISSING_TOKEN");
    }
    assert!(invitations(&alice).await.is_empty());
    admin.get(NOTICE).await.expect_error(405, "M_UNRECOGNIZED");

    let content = json!({"msgtype": "m.text", "body": "Hello."});
    let refused = [
        (json!({}), 400, "M_BAD_JSON"),
        (json!({"user_id": "alice", "content": content}), 400, "M_BAD_JSON"),
        (json!({"user_id": alice.id, "content": "Hello."}), 400, "M_BAD_JSON"),
        (json!({"user_id": alice.id, "content": {"body": 1.5}}), 400, "M_BAD_JSON"),
        (json!({"user_id": "@nobody:story.example", "content": content}), 404, "M_NOT_FOUND"),
        (json!({"user_id": "@alice:elsewhere.example", "content": content}), 400, "M_INVALID_PARAM"),
        (json!({"user_id": "@_server:story.example", "content": content}), 400, "M_INVALID_PARAM"),
    ];
    for (body, status, errcode) in refused {
        admin.post(NOTICE, body).await.expect_error(status, errcode);
    }
    assert!(invitations(&alice).await.is_empty(), "nothing is half done");
    let much = json!({"msgtype": "m.text", "body": "x".repeat(70_000)});
    admin.post(NOTICE, json!({"user_id": alice.id, "content": much})).await.expect_error(413, "M_TOO_LARGE");
    assert!(invitations(&alice).await.is_empty(), "nothing is half done");
    admin
        .put(&format!("{NOTICE}/{}", "1".repeat(256)), notice(&alice, "Hi"))
        .await
        .expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_repeated_request_tells_it_once_also_after_a_restart() {
    let mut server = Server::start().await;
    let admin = administrator(&server).await;
    let alice = server.register("alice").await;
    let path = format!("{NOTICE}/first");
    let once = admin.put(&path, notice(&alice, "Once.")).await.expect_ok();
    server.kill_and_restart().await;
    assert_eq!(admin.put(&path, notice(&alice, "Once.")).await.expect_ok(), once);
    assert_ne!(admin.put(&format!("{NOTICE}/second"), notice(&alice, "Twice.")).await.expect_ok(), once);
    let room = invitations(&alice).await.remove(0);
    alice.join(&room).await;
    assert_eq!(alice.sync().await.texts(&room), ["Once.", "Twice."]);
}

#[tokio::test]
async fn who_wants_no_invitations_and_ignores_the_server_hears_it_all_the_same() {
    let server = Server::start().await;
    let admin = administrator(&server).await;
    let alice = server.register("alice").await;
    let data = |kind: &str| format!("user/{}/account_data/{kind}", encode(&alice.id));
    alice.put(&data("m.invite_permission_config"), json!({"default_action": "block"})).await.expect_ok();
    let ignored = json!({"ignored_users": {"@_server:story.example": {}}});
    alice.put(&data("m.ignored_user_list"), ignored).await.expect_ok();
    tell(&admin, &alice, "The building burns.").await;
    let room = invitations(&alice).await.remove(0);
    alice.join(&room).await;
    assert_eq!(alice.sync().await.texts(&room), ["The building burns."]);
}

#[tokio::test]
async fn nobody_becomes_the_server() {
    let server = Server::start().await;
    let anyone = server.stranger();
    anyone.get("register/available?username=_server").await.expect_error(400, "M_USER_IN_USE");
    let body = json!({"username": "_server", "password": "correct horse", "auth": {"type": "m.login.dummy"}});
    anyone.post("register", body).await.expect_error(400, "M_USER_IN_USE");
    for arguments in [
        &["user", "set-password", "_server", "--generate-password"][..],
        &["user", "promote", "_server"],
        &["user", "deactivate", "_server"],
    ] {
        let output = server.command(arguments).output().unwrap();
        assert!(!output.status.success() && error(&output).contains("the server's own"), "{output:?}");
    }
    let login =
        json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "_server"}, "password": ""});
    anyone.post("login", login).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn an_operator_tells_one_or_everyone_whether_the_server_runs_or_not() {
    let mut server =
        Server::start_with("[server_notices]\nlocalpart = \"office\"\nroom_name = \"From the office\"").await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let said = run(&server, &["notice", "send", "alice", "Your disk is full."]);
    assert_eq!(text(&said.stdout), "@alice:story.example was told.\n", "{said:?}");
    let room = invitations(&alice).await.remove(0);
    alice.join(&room).await;
    assert!(invitations(&bob).await.is_empty());

    server.stop().await;
    let said = run(&server, &["notice", "send", "--everyone", "Maintenance is over."]);
    assert_eq!(text(&said.stdout), "2 users were told.\n", "{said:?}");
    server.start_again().await;
    let sync = alice.sync().await;
    assert_eq!(sync.texts(&room), ["Your disk is full.", "Maintenance is over."]);
    assert_eq!(sync.state(&room, "m.room.name", "").unwrap()["name"], "From the office");
    assert_eq!(sync.timeline(&room).last().unwrap()["sender"], "@office:story.example");
    assert_eq!(invitations(&bob).await.len(), 1);

    for (arguments, problem) in [
        (&["notice", "send", "nobody", "Hello."][..], "There is no user @nobody:story.example"),
        (&["notice", "send", "alice", " "], "A notice needs a text"),
        (&["notice", "send", "alice"], "required"),
        (&["notice", "send", "--everyone", "alice", "Hello."], "cannot be used with"),
    ] {
        let output = run(&server, arguments);
        assert!(!output.status.success() && error(&output).contains(problem), "{output:?}");
    }
}

fn run(server: &Server, arguments: &[&str]) -> Output {
    server.command(arguments).output().unwrap()
}

fn error(output: &Output) -> String {
    text(&output.stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
