//! A bridge is down, hangs, or is taken away by mistake: nobody else is delayed, people are told the truth, and nothing is lost.

use std::{fs, time::Instant};

use serde_json::{Value, json};

use crate::support::{Appservice, Manner, PATIENCE, Server, encode, eventually, registrations, with_registrations};

const GHOST: &str = "@_irc_late:story.example";
const CHANNEL: &str = "#_irc_late:story.example";

/// The configuration of a server that waits for answers for a second.
fn impatient(folder: &tempfile::TempDir) -> String {
    format!("{}answer_timeout = \"1 s\"\n", with_registrations(folder))
}

fn says(text: &str) -> impl Fn(&Value) -> bool {
    move |event| event["content"]["body"] == text
}

#[tokio::test]
async fn people_hear_that_it_does_not_answer_and_not_that_nothing_is_there() {
    let folder = registrations();
    let irc = Appservice::start(&folder, "irc", "").await;
    let server = Server::start_with(&impatient(&folder)).await;
    let alice = server.register("alice").await;
    let (profile, alias) = (format!("profile/{}", encode(GHOST)), format!("directory/room/{}", encode(CHANNEL)));
    for manner in [Manner::Answers(500), Manner::Hangs] {
        irc.behave(manner);
        alice.get(&profile).await.expect_error(408, "M_UNKNOWN");
        alice.get(&alias).await.expect_error(408, "M_UNKNOWN");
        alice.post(&format!("join/{}", encode(CHANNEL)), json!({})).await.expect_error(408, "M_UNKNOWN");
    }
    // It did not answer just now, so that nobody waits for it once more.
    let started = Instant::now();
    for _ in 0..10 {
        alice.get(&profile).await.expect_error(408, "M_UNKNOWN");
    }
    assert!(started.elapsed().as_millis() < 1_000, "{:?}", started.elapsed());
    // The invitation stands: the bridge will hear of it, and then make the user. It refuses at once until then, since a
    // transaction that it let hang would be waited for longer than this story does.
    irc.behave(Manner::Answers(500));
    let room = alice.create_room_with(json!({"invite": [GHOST]})).await;
    irc.behave(Manner::Takes);
    irc.event(|event| event["state_key"] == GHOST && event["room_id"] == room).await;
    // It answers again, so that it is asked again.
    alice.get(&profile).await.expect_error(404, "M_NOT_FOUND");
    alice.get(&alias).await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn it_is_not_asked_for_what_it_looks_up_itself() {
    let folder = registrations();
    let irc = Appservice::start(&folder, "irc", "").await;
    let server = Server::start_with(&with_registrations(&folder)).await;
    let bridge = irc.client(&server);
    bridge.get(&format!("profile/{}", encode(GHOST))).await.expect_error(404, "M_NOT_FOUND");
    bridge.get(&format!("directory/room/{}", encode(CHANNEL))).await.expect_error(404, "M_NOT_FOUND");
    bridge.post(&format!("join/{}", encode(CHANNEL)), json!({})).await.expect_error(404, "M_NOT_FOUND");
    bridge.post("createRoom", json!({"invite": [GHOST]})).await.expect_ok();
    // Nor is anybody asked for what can only be made elsewhere.
    server
        .stranger()
        .get(&format!("directory/room/{}", encode("#_irc_a:elsewhere.example")))
        .await
        .expect_error(404, "M_NOT_FOUND");
    assert_eq!(irc.asked(), [""; 0]);
}

#[tokio::test]
async fn it_hears_why_it_cannot_be_reached() {
    let folder = registrations();
    let irc = Appservice::start(&folder, "irc", "").await;
    let nobody = |id: &str, url: &str| {
        let registration = format!(
            "id: {id}\nurl: {url}\nas_token: as-{id}\nhs_token: hs-{id}\nsender_localpart: _{id}\nnamespaces: {{}}\n"
        );
        fs::write(folder.path().join(format!("{id}.yaml")), registration).unwrap();
    };
    nobody("dead", "http://127.0.0.1:1");
    nobody("silent", "null");
    let server = Server::start_with(&impatient(&folder)).await;
    irc.behave(Manner::Hangs);
    for (id, status, errcode) in
        [("irc", 504, "M_CONNECTION_TIMEOUT"), ("dead", 502, "M_CONNECTION_FAILED"), ("silent", 400, "M_URL_NOT_SET")]
    {
        let service = server.stranger().with_token(format!("as-{id}"));
        let ping = format!("/_matrix/client/v1/appservice/{id}/ping");
        service.post(&ping, json!({})).await.expect_error(status, errcode);
    }
}

#[tokio::test]
async fn the_log_says_when_it_goes_and_when_it_is_back() {
    let folder = registrations();
    let irc = Appservice::start(&folder, "irc", "").await;
    let server = Server::start_with(&with_registrations(&folder)).await;
    irc.behave(Manner::Answers(503));
    let bridge = irc.client(&server);
    bridge.post("createRoom", json!({})).await.expect_ok();
    let logged = async |words: &str| {
        let line = async || server.log().into_iter().find(|line| line.contains(words));
        eventually("a line of the log", PATIENCE, line).await
    };
    let line = logged("cannot be told").await;
    assert!(line.contains("irc") && line.contains("503") && line.contains("behind"), "{line}");
    irc.called_after(2).await;
    irc.behave(Manner::Takes);
    let line = logged("can be told what happens again").await;
    assert!(line.contains("irc") && line.contains("behind"), "{line}");
    assert_eq!(server.log().iter().filter(|line| line.contains("cannot be told")).count(), 1, "it is said once");
}

#[tokio::test]
async fn a_registration_that_is_back_soon_was_never_away() {
    let folder = registrations();
    let irc = Appservice::start(&folder, "irc", "").await;
    let other = Appservice::start(&folder, "other", "receive_ephemeral: true").await;
    let mut server = Server::start_with(&with_registrations(&folder)).await;
    let alice = server.register("alice").await;
    let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
    for service in [&irc, &other] {
        let path = format!("join/{}", encode(&room));
        service.client(&server).post(&path, json!({})).await.expect_ok();
        service.event(|event| event["content"]["membership"] == "join").await;
    }
    let reload = |server: &Server| {
        let done = server.command(&["appservice", "reload"]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    irc.behave(Manner::Answers(503));
    other.behave(Manner::Answers(503));
    alice.send_text(&room, "one").await;
    let typing = format!("rooms/{}/typing/{}", encode(&room), encode(&alice.id));
    alice.put(&typing, json!({"typing": true, "timeout": 30_000})).await.expect_ok();

    let (file, aside) = (folder.path().join("irc.yaml"), folder.path().join("irc.yaml.off"));
    fs::rename(&file, &aside).unwrap();
    reload(&server);
    irc.client(&server).get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    let listed = || {
        let listed = server.command(&["appservice", "list"]).output().unwrap();
        String::from_utf8(listed.stdout).unwrap()
    };
    eventually("a service that is listed as gone", PATIENCE, async || {
        listed().lines().any(|line| line.starts_with("irc ") && line.contains("is kept for")).then_some(())
    })
    .await;
    // Nobody else notices any of this.
    other.behave(Manner::Takes);
    other.extra("ephemeral", |event| event["content"]["user_ids"] == json!([alice.id])).await;
    irc.behave(Manner::Takes);
    alice.send_text(&room, "two").await;
    other.event(says("two")).await;
    assert!(!irc.came().iter().any(|(_, body)| body.contains("two")), "it is told nothing while it is away");

    server.restart().await;
    fs::rename(&aside, &file).unwrap();
    reload(&server);
    alice.send_text(&room, "three").await;
    irc.event(says("three")).await;
    let mut told = std::collections::BTreeMap::new();
    told.extend(irc.came());
    let texts: Vec<_> = ["one", "two", "three"]
        .map(|text| told.values().filter(|body| body.contains(&format!("\"{text}\""))).count())
        .into();
    assert_eq!(texts, [1, 1, 1], "each once");
}

#[tokio::test]
async fn much_that_waited_comes_in_pieces_that_it_can_take() {
    let folder = registrations();
    let irc = Appservice::start(&folder, "irc", "receive_ephemeral: true\norg.matrix.msc3202: true").await;
    let server = Server::start_with(&with_registrations(&folder)).await;
    let alice = server.register("alice").await;
    let ghost = irc.ghost(&server, "nick").await;
    let bridge = irc.client(&server);
    let room = bridge.post("createRoom", json!({"preset": "public_chat"})).await.expect_ok();
    let room = room["room_id"].as_str().unwrap().to_owned();
    alice.join(&room).await;
    irc.event(|event| event["state_key"] == alice.id).await;
    bridge.put(&format!("devices/GHOST?user_id={}", encode(&ghost)), json!({})).await.expect_status(201);
    irc.behave(Manner::Answers(503));
    let long = "x".repeat(60_000);
    for n in 0..30 {
        alice.send_text(&room, &format!("{n:02}{long}")).await;
        let message = json!({"messages": {ghost.as_str(): {"GHOST": {"n": n, "long": long}}}});
        alice.put(&format!("sendToDevice/org.example/{n}"), message).await.expect_ok();
    }
    irc.behave(Manner::Takes);
    let (mut texts, mut messages) = (Vec::new(), Vec::new());
    while texts.len() < 30 || messages.len() < 30 {
        let (_, body) = irc.next_transaction().await;
        assert!(body.to_string().len() < 1 << 20, "a transaction of {} bytes", body.to_string().len());
        let bodies = body["events"].as_array().unwrap().iter().filter_map(|event| event["content"]["body"].as_str());
        texts.extend(bodies.map(|body| body[..2].parse::<u64>().unwrap()));
        let came = body["to_device"].as_array().into_iter().flatten();
        messages.extend(came.map(|message| message["content"]["n"].as_u64().unwrap()));
    }
    let all: Vec<u64> = (0..30).collect();
    assert_eq!((texts, messages), (all.clone(), all));
}
