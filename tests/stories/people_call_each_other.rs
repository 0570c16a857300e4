//! Clients are told what calls go through, if the operator has set something up; and which rooms two people share.

use serde_json::{Value, json};

use crate::support::{Server, encode};

const RELAY: &str = r#"
    [registration]
    mode = "open"
    guests = true
    [well_known]
    client = "https://matrix.story.example"
    policy_server_key = "6yhHGKhCiXTSEN2ksjV7kX/N6rBQZ3Xb+M7LlC6NS+s"
    [calls]
    livekit_service_urls = ["https://livekit.story.example/"]
    [turn]
    uris = ["turn:turn.story.example"]
"#;

#[tokio::test]
async fn without_anything_set_up_clients_are_told_so() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    alice.get("voip/turnServer").await.expect_error(404, "M_NOT_FOUND");
    let transports = "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports";
    assert_eq!(alice.get(transports).await.expect_ok(), json!({"rtc_transports": []}));
    server.stranger().get("/.well-known/matrix/policy_server").await.expect_error(404, "M_NOT_FOUND");
    server.stranger().get("/_matrix/client/v1/auth_metadata").await.expect_error(404, "M_UNRECOGNIZED");
    for end in ["", "/some-provider"] {
        let path = format!("login/sso/redirect{end}?redirectUrl=https://app.example");
        server.stranger().get(&path).await.expect_error(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn everybody_gets_credentials_of_their_own_from_a_shared_secret() {
    let server = Server::start_with(&format!("{RELAY}shared_secret = \"logen\"\nlifetime = \"1 h\"\n")).await;
    let alice = server.register("alice").await;
    let relay = alice.get("voip/turnServer").await.expect_ok();
    assert_eq!((&relay["uris"], &relay["ttl"]), (&json!(["turn:turn.story.example"]), &json!(3600)));
    assert!(relay["username"].as_str().unwrap().ends_with(&format!(":{}", alice.id)), "{relay}");
    assert_eq!(relay["password"].as_str().unwrap().len(), 28, "{relay}");
    let session = server.stranger().post("register?kind=guest", json!({})).await.expect_ok();
    let guest = server.stranger().with_token(session["access_token"].as_str().unwrap());
    guest.get("voip/turnServer").await.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
    server.stranger().get("voip/turnServer").await.expect_error(401, "M_MISSING_TOKEN");

    let focus = json!([{"type": "livekit", "livekit_service_url": "https://livekit.story.example"}]);
    let transports = "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports";
    assert_eq!(alice.get(transports).await.expect_ok()["rtc_transports"], focus);
    let client = server.stranger().get("/.well-known/matrix/client").await.expect_ok();
    assert_eq!(client["org.matrix.msc4143.rtc_foci"], focus);
    let policy = server.stranger().get("/.well-known/matrix/policy_server").await.expect_ok();
    assert_eq!(policy["public_keys"]["ed25519"], "6yhHGKhCiXTSEN2ksjV7kX/N6rBQZ3Xb+M7LlC6NS+s");
}

#[tokio::test]
async fn a_name_and_a_password_for_everybody_will_do_for_guests_too() {
    let server = Server::start_with(&format!("{RELAY}user = \"all\"\npassword = \"same\"\nguests = true\n")).await;
    let session = server.stranger().post("register?kind=guest", json!({})).await.expect_ok();
    let guest = server.stranger().with_token(session["access_token"].as_str().unwrap());
    let relay = guest.get("voip/turnServer").await.expect_ok();
    assert_eq!((&relay["username"], &relay["password"], &relay["ttl"]), (&json!("all"), &json!("same"), &json!(86400)));
}

#[tokio::test]
async fn two_people_find_the_rooms_that_they_share() {
    let server = Server::start_with("[registration]\nmode = \"open\"\n[limits]\nenabled = false").await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mutual = |other: &str| format!("/_matrix/client/v1/mutual_rooms?user_id={}", encode(other));
    assert_eq!(alice.get(&mutual(&bob.id)).await.expect_ok(), json!({"joined": [], "count": 0}));
    let mut shared = Vec::new();
    for _ in 0..103 {
        let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
        bob.join(&room).await;
        shared.push(room);
    }
    let invited_only = alice.create_room().await;
    alice.invite(&invited_only, &bob).await;
    bob.leave(&shared.pop().unwrap()).await;
    shared.sort();

    let first = alice.get(&mutual(&bob.id)).await.expect_ok();
    let rooms = |page: &Value| serde_json::from_value::<Vec<String>>(page["joined"].clone()).unwrap();
    assert_eq!((rooms(&first).len(), &first["count"]), (100, &json!(102)));
    let from = encode(first["next_batch"].as_str().unwrap());
    let rest = alice.get(&format!("{}&from={from}", mutual(&bob.id))).await.expect_ok();
    assert_eq!([rooms(&first), rooms(&rest)].concat(), shared);
    assert_eq!(rest["next_batch"], Value::Null);
    let older = format!("/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms?user_id={}", encode(&bob.id));
    assert_eq!(rooms(&alice.get(&older).await.expect_ok()), rooms(&first));

    assert_eq!(alice.get(&mutual("@nobody:story.example")).await.expect_ok()["count"], 0);
    alice.get(&mutual(&alice.id)).await.expect_error(400, "M_INVALID_PARAM");
    alice.get(&mutual("nobody")).await.expect_error(400, "M_INVALID_PARAM");
    alice.get(&format!("{}&from=nonsense", mutual(&bob.id))).await.expect_error(400, "M_INVALID_PARAM");
    alice.get("/_matrix/client/v1/mutual_rooms").await.expect_error(400, "M_MISSING_PARAM");
}
