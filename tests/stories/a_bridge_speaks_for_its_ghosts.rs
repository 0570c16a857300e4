//! A bridge registers users of its own, speaks in their names, manages their devices, and makes what is asked for.

use std::fs;

use serde_json::json;

use crate::support::{
    Appservice, CrossSigning, Manner, PATIENCE, Server, encode, eventually, registrations, with_registrations,
};

/// A server with one bridge.
struct Scene {
    server: Server,
    irc: Appservice,
    folder: tempfile::TempDir,
}

async fn scene(extra: &str) -> Scene {
    let folder = registrations();
    let irc = Appservice::start(&folder, "irc", extra).await;
    let server = Server::start_with(&with_registrations(&folder)).await;
    Scene { server, irc, folder }
}

#[tokio::test]
async fn its_namespace_is_its_own() {
    let it = scene("").await;
    let (bridge, alice) = (it.irc.client(&it.server), it.server.register("alice").await);
    let ghost = it.irc.ghost(&it.server, "nick").await;
    assert_eq!(ghost, "@_irc_nick:story.example");

    let body = json!({"username": "_irc_mine", "password": "long enough", "auth": {"type": "m.login.dummy"}});
    it.server.stranger().post("register", body).await.expect_error(400, "M_EXCLUSIVE");
    it.server.stranger().get("register/available?username=_irc_mine").await.expect_error(400, "M_EXCLUSIVE");
    let outside = json!({"type": "m.login.application_service", "username": "bob"});
    bridge.post("register", outside.clone()).await.expect_error(400, "M_EXCLUSIVE");
    it.server.stranger().post("register", outside.clone()).await.expect_error(401, "M_MISSING_TOKEN");
    alice.post("register", outside).await.expect_error(401, "M_UNKNOWN_TOKEN");

    let room = alice.create_room().await;
    let alias = |name: &str| format!("directory/room/{}", encode(&format!("#{name}:story.example")));
    alice.put(&alias("_irc_a"), json!({"room_id": room})).await.expect_error(400, "M_EXCLUSIVE");
    alice.post("createRoom", json!({"room_alias_name": "_irc_b"})).await.expect_error(400, "M_EXCLUSIVE");
    bridge.post("createRoom", json!({"room_alias_name": "other"})).await.expect_error(400, "M_EXCLUSIVE");
    bridge.post("createRoom", json!({"room_alias_name": "_irc_b"})).await.expect_ok();
    alice.get(&alias("_irc_b")).await.expect_ok();
    alice.delete(&alias("_irc_b")).await.expect_error(400, "M_EXCLUSIVE");
    bridge.delete(&alias("_irc_b")).await.expect_ok();
}

#[tokio::test]
async fn it_acts_as_whom_it_names() {
    let it = scene("").await;
    let (bridge, alice) = (it.irc.client(&it.server), it.server.register("alice").await);
    let ghost = it.irc.ghost(&it.server, "nick").await;
    let whoami = bridge.get("account/whoami").await.expect_ok();
    assert_eq!((&whoami["user_id"], whoami.get("device_id")), (&json!("@_irc:story.example"), None));
    let whoami = bridge.get(&format!("account/whoami?user_id={}", encode(&ghost))).await.expect_ok();
    assert_eq!(whoami["user_id"], ghost);
    let nobody = encode("@_irc_nobody:story.example");
    bridge.get(&format!("account/whoami?user_id={nobody}")).await.expect_error(403, "M_FORBIDDEN");
    bridge.get(&format!("account/whoami?user_id={}", encode(&alice.id))).await.expect_error(403, "M_FORBIDDEN");
    bridge.get("account/whoami?user_id=nonsense").await.expect_error(400, "M_INVALID_PARAM");
    bridge.get("account/whoami?device_id=NONE").await.expect_error(400, "M_UNKNOWN_DEVICE");

    // The time of what it bridges is that of the other network; people have no say in theirs.
    let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
    let as_ghost = format!("user_id={}", encode(&ghost));
    bridge.post(&format!("join/{}?{as_ghost}", encode(&room)), json!({})).await.expect_ok();
    let send = |query: &str| format!("rooms/{}/send/m.room.message/t1?{query}", encode(&room));
    let hello = json!({"msgtype": "m.text", "body": "hello from irc"});
    let sent = bridge.put(&send(&format!("{as_ghost}&ts=1234567")), hello.clone()).await.expect_ok();
    let again = bridge.put(&send(&format!("{as_ghost}&ts=1234567")), hello.clone()).await.expect_ok();
    assert_eq!(sent, again, "one transaction makes one event");
    alice.put(&send("ts=1"), hello).await.expect_ok();
    let topic = format!("rooms/{}/state/m.room.topic/?ts=77", encode(&room));
    alice.put(&topic, json!({"topic": "tea"})).await.expect_ok();
    let events = alice.messages(&room, 3).await;
    assert!(events[0]["origin_server_ts"].as_u64().unwrap() > 1_000_000_000_000, "{events:?}");
    assert!(events[1]["origin_server_ts"].as_u64().unwrap() > 1_000_000_000_000);
    assert_eq!((&events[2]["sender"], &events[2]["origin_server_ts"]), (&json!(ghost), &json!(1_234_567)));
}

#[tokio::test]
async fn its_users_need_no_passwords() {
    let it = scene("").await;
    let bridge = it.irc.client(&it.server);
    let ghost = it.irc.ghost(&it.server, "nick").await;
    let login = |user: &str| {
        json!({"type": "m.login.application_service",
        "identifier": {"type": "m.id.user", "user": user}, "device_id": "BRIDGE"})
    };
    let session = bridge.post("login", login("_irc_nick")).await.expect_ok();
    assert_eq!((&session["user_id"], &session["device_id"]), (&json!(ghost), &json!("BRIDGE")));
    bridge.post("login", login("alice")).await.expect_error(400, "M_EXCLUSIVE");
    it.server.stranger().post("login", login("_irc_nick")).await.expect_error(401, "M_MISSING_TOKEN");
    let flows = it.server.stranger().get("login").await.expect_ok();
    assert!(flows["flows"].as_array().unwrap().contains(&json!({"type": "m.login.application_service"})), "{flows}");

    // Devices come and go without anybody logging in (MSC4190).
    let device = |id: &str| format!("devices/{id}?user_id={}", encode(&ghost));
    bridge.put(&device("GHOST"), json!({"display_name": "irc"})).await.expect_status(201);
    bridge.put(&device("GHOST"), json!({"display_name": "IRC"})).await.expect_ok();
    let whoami = format!("account/whoami?user_id={}&device_id=GHOST", encode(&ghost));
    assert_eq!(bridge.get(&whoami).await.expect_ok()["device_id"], "GHOST");
    let older = format!("account/whoami?user_id={}&org.matrix.msc3202.device_id=GHOST", encode(&ghost));
    assert_eq!(bridge.get(&older).await.expect_ok()["device_id"], "GHOST");
    bridge.delete(&device("GHOST")).await.expect_ok();
    bridge.get(&whoami).await.expect_error(400, "M_UNKNOWN_DEVICE");
    let person = it.server.register("person").await;
    // What needs a device is refused without one; what belongs to the user is not, and takes no password either time.
    let as_ghost = format!("?user_id={}", encode(&ghost));
    let keys = json!({"one_time_keys": {}});
    bridge.post(&format!("keys/upload{as_ghost}"), keys).await.expect_error(400, "M_MISSING_PARAM");
    for number in 1..3 {
        let keys = CrossSigning::new(number).upload(&ghost);
        bridge.post(&format!("keys/device_signing/upload{as_ghost}"), keys).await.expect_ok();
    }
    bridge.post("login", login("_irc_unheard_of")).await.expect_error(403, "M_FORBIDDEN");
    person.put("devices/NEW", json!({})).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn it_is_not_limited_where_its_registration_says_so() {
    let folder = registrations();
    let free = Appservice::start(&folder, "free", "rate_limited: false").await;
    let slow = Appservice::start(&folder, "slow", "").await;
    let limits = "[limits]\nenabled = true\nmessages = { per_second = 0.01, burst = 2 }\n";
    let server = Server::start_with(&format!("{}{limits}", with_registrations(&folder))).await;
    for (service, limited) in [(&free, false), (&slow, true)] {
        let (bridge, ghost) = (service.client(&server), service.ghost(&server, "nick").await);
        let query = format!("user_id={}", encode(&ghost));
        let room = bridge.post(&format!("createRoom?{query}"), json!({})).await.expect_ok();
        let room = encode(room["room_id"].as_str().unwrap());
        let mut refused = false;
        for n in 0..5 {
            let path = format!("rooms/{room}/send/m.room.message/{n}?{query}");
            refused |= bridge.put(&path, json!({"msgtype": "m.text", "body": "x"})).await.status == 429;
        }
        assert_eq!(refused, limited);
    }
}

#[tokio::test]
async fn it_makes_what_somebody_asks_for() {
    let it = scene("").await;
    let (bridge, alice) = (it.irc.client(&it.server), it.server.register("alice").await);
    alice.get(&format!("profile/{}", encode("@_irc_late:story.example"))).await.expect_error(404, "M_NOT_FOUND");
    alice.get(&format!("directory/room/{}", encode("#_irc_late:story.example"))).await.expect_error(404, "M_NOT_FOUND");
    let asked = it.irc.asked();
    assert!(asked.contains(&"GET /_matrix/app/v1/users/@_irc_late:story.example".to_owned()), "{asked:?}");
    assert!(asked.iter().any(|path| path.starts_with("GET /_matrix/app/v1/rooms/%23_irc_late")), "{asked:?}");
    assert!(asked.contains(&"GET /users/@_irc_late:story.example".to_owned()), "the old path was tried: {asked:?}");

    let room = bridge.post("createRoom", json!({"preset": "public_chat"})).await.expect_ok();
    let room = room["room_id"].as_str().unwrap().to_owned();
    it.irc.knows("_irc_tea:story.example", json!({}));
    let alias = encode("#_irc_tea:story.example");
    // A real bridge would make it while it is asked.
    bridge.put(&format!("directory/room/{alias}"), json!({"room_id": room})).await.expect_ok();
    assert_eq!(alice.join("#_irc_tea:story.example").await, room);
}

#[tokio::test]
async fn it_finds_out_whether_it_can_be_reached() {
    let it = scene("").await;
    let bridge = it.irc.client(&it.server);
    let ping = "/_matrix/client/v1/appservice/irc/ping";
    let answer = bridge.post(ping, json!({"transaction_id": "meow"})).await.expect_ok();
    assert!(answer["duration_ms"].is_u64(), "{answer}");
    it.irc.behave(Manner::Answers(418));
    let refusal = bridge.post(ping, json!({})).await.expect_error(502, "M_BAD_STATUS");
    assert_eq!(refusal["status"], 418);
    let other = "/_matrix/client/v1/appservice/other/ping";
    bridge.post(other, json!({})).await.expect_error(403, "M_FORBIDDEN");
    let alice = it.server.register("alice").await;
    alice.post(ping, json!({})).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn registrations_are_read_again_without_a_restart() {
    let mut it = scene("").await;
    let late = Appservice::start(&it.folder, "late", "").await;
    let client = late.client(&it.server);
    client.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    let reload = it.server.command(&["appservice", "reload"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&reload.stdout), "2 application services are registered.\n");
    assert_eq!(client.get("account/whoami").await.expect_ok()["user_id"], "@_late:story.example");

    fs::write(it.folder.path().join("bad.yaml"), "id: bad\nas_token: a-secret-token\n").unwrap();
    let reload = it.server.command(&["appservice", "reload"]).output().unwrap();
    let said = String::from_utf8_lossy(&reload.stderr).into_owned();
    assert!(!reload.status.success() && said.contains("bad.yaml") && !said.contains("a-secret-token"), "{said}");
    client.get("account/whoami").await.expect_ok();
    let check = it.server.command(&["check-config"]).output().unwrap();
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    fs::remove_file(it.folder.path().join("bad.yaml")).unwrap();

    let down = async || {
        let listed = it.server.command(&["appservice", "list"]).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        listed.lines().any(|line| line.starts_with("late") && line.contains("not reached")).then_some(())
    };
    late.behave(Manner::Answers(500));
    client.post("createRoom", json!({})).await.expect_ok();
    eventually("a service that is listed as down", PATIENCE, down).await;
    it.server.stop().await;
    fs::write(it.folder.path().join("bad.yaml"), "id: bad\n").unwrap();
    let listed = it.server.command(&["appservice", "list"]).output().unwrap();
    assert_eq!(listed.status.code(), Some(1), "it is said and nothing else happens: {listed:?}");
    let log = it.server.log().join("\n");
    assert!(!log.contains("as-late") && !log.contains("hs-late"), "tokens are in the log");
}

#[tokio::test]
async fn networks_are_asked_through_bridges() {
    let it = scene("protocols: [irc]").await;
    let alice = it.server.register("alice").await;
    it.irc.knows(
        "thirdparty/protocol/irc",
        json!({"user_fields": ["nick"], "location_fields": ["channel"], "icon": "mxc://a/b", "field_types": {},
            "instances": [{"desc": "Libera", "network_id": "libera", "fields": {}}]}),
    );
    it.irc
        .knows("thirdparty/location/irc", json!([{"alias": "#_irc_a:story.example", "protocol": "irc", "fields": {}}]));
    let networks = alice.get("thirdparty/protocols").await.expect_ok();
    assert_eq!(networks["irc"]["instances"][0]["instance_id"], "irc|libera");
    assert_eq!(alice.get("thirdparty/protocol/irc").await.expect_ok(), networks["irc"]);
    let found = alice.get("thirdparty/location/irc?channel=%23tea").await.expect_ok();
    assert_eq!(found[0]["alias"], "#_irc_a:story.example");
    assert!(it.irc.asked().iter().any(|path| path.ends_with("location/irc?channel=%23tea")), "{:?}", it.irc.asked());
    let room = alice.create_room().await;
    let listed = format!("directory/list/appservice/libera/{}", encode(&room));
    alice.put(&listed, json!({"visibility": "public"})).await.expect_error(403, "M_FORBIDDEN");
    it.irc.client(&it.server).put(&listed, json!({"visibility": "public"})).await.expect_ok();
    for (wanted, count) in [
        (json!({"third_party_instance_id": "irc|libera"}), 1),
        (json!({"third_party_instance_id": "irc|other"}), 0),
        (json!({"include_all_networks": true}), 1),
        (json!({}), 0),
    ] {
        let found = alice.post("publicRooms", wanted).await.expect_ok();
        assert_eq!(found["chunk"].as_array().unwrap().len(), count);
    }
    alice.get("thirdparty/protocol/xmpp").await.expect_error(404, "M_NOT_FOUND");
    alice.get("thirdparty/user/xmpp").await.expect_error(404, "M_NOT_FOUND");
    let nobody = encode("@alice:story.example");
    assert_eq!(alice.get(&format!("thirdparty/user?userid={nobody}")).await.expect_ok(), json!([]));
}
