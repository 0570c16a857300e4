//! A person makes an account, under a name that nobody has, if the operator lets them.

use serde_json::{Value, json};

use crate::support::Server;

fn account(name: &str) -> Value {
    json!({"username": name, "password": "correct horse", "auth": {"type": "m.login.dummy"}})
}

#[tokio::test]
async fn the_client_learns_the_steps_and_takes_them() {
    let server = Server::start().await;
    let anyone = server.stranger();
    let steps = anyone.post("register", json!({})).await.expect_status(401);
    assert_eq!(steps["flows"][0], json!({"stages": ["m.login.dummy"]}));
    assert!(steps["session"].is_string() && steps["params"].is_object(), "{steps}");

    let mut body = account("alice");
    body["auth"]["session"] = steps["session"].clone();
    body["device_id"] = "PHONE".into();
    body["initial_device_display_name"] = "Alice's phone".into();
    let session = anyone.post("register", body).await.expect_ok();
    assert_eq!((&session["user_id"], &session["device_id"]), (&json!("@alice:story.example"), &json!("PHONE")));

    let alice = anyone.with_token(session["access_token"].as_str().unwrap());
    let me = alice.get("account/whoami").await.expect_ok();
    assert_eq!(me, json!({"user_id": "@alice:story.example", "device_id": "PHONE"}));
    assert_eq!(alice.get("devices/PHONE").await.expect_ok()["display_name"], "Alice's phone");
    assert_eq!(alice.get("profile/@alice:story.example").await.expect_ok(), json!({"displayname": "alice"}));
    assert_eq!(alice.get("account/3pid").await.expect_ok(), json!({"threepids": []}));
}

#[tokio::test]
async fn a_name_is_checked_before_anything_is_asked() {
    let server = Server::start().await;
    let anyone = server.stranger();
    server.register("alice").await;
    for name in ["alice", "ALICE"] {
        anyone.post("register", json!({"username": name})).await.expect_error(400, "M_USER_IN_USE");
        anyone.get(&format!("register/available?username={name}")).await.expect_error(400, "M_USER_IN_USE");
    }
    for name in ["al ice", "älice", "@alice:story.example", ""] {
        anyone.post("register", json!({"username": name})).await.expect_error(400, "M_INVALID_USERNAME");
    }
    let available = anyone.get("register/available?username=bob").await.expect_ok();
    assert_eq!(available, json!({"available": true}));
    anyone.get("register/available").await.expect_error(400, "M_MISSING_PARAM");

    let created = anyone.post("register", account("Bob")).await.expect_ok();
    assert_eq!(created["user_id"], "@bob:story.example");
}

#[tokio::test]
async fn a_weak_or_absent_password_makes_no_account() {
    let server = Server::start().await;
    let anyone = server.stranger();
    let mut weak = account("alice");
    weak["password"] = "short".into();
    anyone.post("register", weak).await.expect_error(400, "M_WEAK_PASSWORD");
    let body = json!({"username": "alice", "auth": {"type": "m.login.dummy"}});
    anyone.post("register", body).await.expect_error(400, "M_MISSING_PARAM");
    anyone.get("register/available?username=alice").await.expect_ok();
}

#[tokio::test]
async fn a_client_may_make_an_account_without_logging_in_and_without_a_name() {
    let server = Server::start().await;
    let anyone = server.stranger();
    let mut body = account("alice");
    body["inhibit_login"] = true.into();
    let made = anyone.post("register", body).await.expect_ok();
    assert_eq!(made, json!({"user_id": "@alice:story.example", "home_server": "story.example"}));

    let body = json!({"password": "correct horse", "auth": {"type": "m.login.dummy"}});
    let made = anyone.post("register", body).await.expect_ok();
    assert!(made["user_id"].as_str().unwrap().ends_with(":story.example"));
    assert!(made["access_token"].is_string());
}

#[tokio::test]
async fn there_are_no_guests_and_a_service_needs_its_token() {
    let server = Server::start().await;
    let anyone = server.stranger();
    anyone.post("register?kind=guest", json!({})).await.expect_error(403, "M_GUEST_ACCESS_FORBIDDEN");
    let body = json!({"type": "m.login.application_service", "username": "bot"});
    anyone.post("register", body).await.expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_closed_server_takes_nobody() {
    let server = Server::start_with("[registration]\nmode = \"closed\"").await;
    let anyone = server.stranger();
    anyone.post("register", json!({})).await.expect_error(403, "M_FORBIDDEN");
    anyone.post("register", account("alice")).await.expect_error(403, "M_FORBIDDEN");
    let validity = "/_matrix/client/v1/register/m.login.registration_token/validity?token=abc";
    anyone.get(validity).await.expect_error(403, "M_FORBIDDEN");
    anyone.get("/_synapse/admin/v1/register").await.expect_error(404, "M_UNRECOGNIZED");
}

#[tokio::test]
async fn a_server_that_wants_a_token_takes_only_those_who_have_one() {
    let server = Server::start_with("[registration]\nmode = \"token\"").await;
    let anyone = server.stranger();
    let steps = anyone.post("register", json!({})).await.expect_status(401);
    assert_eq!(steps["flows"], json!([{"stages": ["m.login.registration_token"]}]));
    anyone.post("register", account("alice")).await.expect_error(401, "M_FORBIDDEN");
    let with_token = |name: &str, token: &str| {
        let mut body = account(name);
        body["auth"] = json!({"type": "m.login.registration_token", "token": token, "session": steps["session"]});
        body
    };
    let refused = anyone.post("register", with_token("alice", "guess")).await.expect_error(401, "M_FORBIDDEN");
    assert_eq!(refused["session"], steps["session"]);

    // The token that was printed when the server was set up makes one account: the administrator's.
    let token = server.first_token().to_owned();
    let is_valid = async || {
        let path = format!("/_matrix/client/v1/register/m.login.registration_token/validity?token={token}");
        anyone.get(&path).await.expect_ok()["valid"].as_bool().unwrap()
    };
    assert!(is_valid().await);
    anyone.post("register", with_token("alice", &token)).await.expect_ok();
    assert!(!is_valid().await);
    let mut again = with_token("bob", &token);
    again["auth"]["session"].take();
    anyone.post("register", again).await.expect_error(401, "M_FORBIDDEN");
    let users = server.command(&["user", "list"]).output().unwrap();
    let users = String::from_utf8(users.stdout).unwrap();
    let alice = users.lines().find(|line| line.contains("@alice:story.example")).unwrap();
    assert!(alice.contains("administrator"), "{users}");
}

#[tokio::test]
async fn a_tool_with_the_shared_secret_makes_accounts_on_a_closed_server() {
    let config = "[registration]\nmode = \"closed\"\nshared_secret = \"shared\"";
    let server = Server::start_with(config).await;
    let anyone = server.stranger();
    let path = "/_synapse/admin/v1/register";
    let nonce = anyone.get(path).await.expect_ok()["nonce"].as_str().unwrap().to_owned();
    let request = |mac: &str| json!({"nonce": nonce, "username": "Admin", "password": "correct horse", "admin": true, "mac": mac});
    anyone.post(path, request("00")).await.expect_error(403, "M_FORBIDDEN");
    // A nonce is good for one attempt, right or wrong.
    anyone.post(path, request("00")).await.expect_error(400, "M_UNKNOWN");
    anyone.post(path, json!({})).await.expect_error(400, "M_BAD_JSON");
}
