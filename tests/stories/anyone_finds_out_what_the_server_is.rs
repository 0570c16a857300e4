//! A client that knows only the server's address learns what it can do, and gets answers it can read even when it errs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, eventually};

#[tokio::test]
async fn a_client_learns_the_versions_and_where_the_server_is() {
    let server = Server::start_with("[well_known]\nclient = \"https://chat.story.example\"").await;
    let anyone = server.stranger();
    let versions = anyone.get("/_matrix/client/versions").await.expect_ok();
    let versions: Vec<&str> = versions["versions"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(versions.contains(&"v1.19"), "{versions:?}");

    let well_known = anyone.get("/.well-known/matrix/client").await.expect_ok();
    assert_eq!(well_known["m.homeserver"]["base_url"], "https://chat.story.example");
    anyone.get("/.well-known/matrix/support").await.expect_error(404, "M_NOT_FOUND");
    assert_eq!(anyone.get("/health").await.expect_ok()["status"], "ok");
}

#[tokio::test]
async fn a_web_client_may_read_every_answer() {
    let server = Server::start().await;
    for (method, path) in [
        (Method::OPTIONS, "rooms/!any:story.example/send/m.room.message/1"),
        (Method::GET, "/_matrix/client/versions"),
        (Method::GET, "no/such/endpoint"),
        (Method::PATCH, "/_matrix/client/versions"),
    ] {
        let answer = server.stranger().ask(method.clone(), path, None).await;
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{method} {path}");
        assert!(answer.headers["access-control-allow-methods"].to_str().unwrap().contains("PUT"));
    }
}

#[tokio::test]
async fn what_the_server_does_not_know_is_said_in_json() {
    let server = Server::start().await;
    let anyone = server.stranger();
    anyone.get("no/such/endpoint").await.expect_error(404, "M_UNRECOGNIZED");
    anyone.get("/").await.expect_error(404, "M_UNRECOGNIZED");
    anyone.ask(Method::PATCH, "/_matrix/client/versions", None).await.expect_error(405, "M_UNRECOGNIZED");
}

#[tokio::test]
async fn the_server_comes_back_after_a_stop_and_after_a_kill() {
    let mut server = Server::start().await;
    server.restart().await;
    server.kill_and_restart().await;
    server.stranger().get("/_matrix/client/versions").await.expect_ok();
}

#[tokio::test]
async fn the_log_names_the_request_and_not_its_secrets() {
    let server = Server::start().await;
    let answer =
        server.stranger().with_token("in-the-header").get("/_matrix/client/versions?access_token=in-the-query").await;
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    let log = eventually("the request in the log", PATIENCE, async || {
        let log = server.log().join("\n");
        log.contains(&id).then_some(log)
    })
    .await;
    assert!(!log.contains("in-the-header") && !log.contains("in-the-query"), "{log}");
}

#[tokio::test]
async fn whoever_needs_help_learns_whom_to_turn_to() {
    let server = Server::start_with(
        r#"
            [well_known]
            support_page = "https://story.example/help"
            [[well_known.support_contacts]]
            role = "m.role.admin"
            email_address = "admin@story.example"
            matrix_id = "@admin:story.example"
        "#,
    )
    .await;
    let expected = json!({
        "support_page": "https://story.example/help",
        "contacts": [
            {"role": "m.role.admin", "email_address": "admin@story.example", "matrix_id": "@admin:story.example"},
        ],
    });
    assert_eq!(server.stranger().get("/.well-known/matrix/support").await.expect_ok(), expected);
    server.stranger().get("/.well-known/matrix/client").await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn only_whoever_is_logged_in_learns_the_capabilities() {
    let server = Server::start().await;
    let anyone = server.stranger();
    anyone.get("capabilities").await.expect_error(401, "M_MISSING_TOKEN");
    anyone.with_token("made up").get("capabilities").await.expect_error(401, "M_UNKNOWN_TOKEN");
    anyone.get("capabilities?access_token=made-up").await.expect_error(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn other_servers_learn_its_version_and_its_keys_and_nothing_else() {
    let server = Server::start().await;
    let anyone = server.stranger();
    let version = anyone.get("/_matrix/federation/v1/version").await.expect_ok();
    assert_eq!(version["server"]["name"], "Commonroom");

    let keys = anyone.get("/_matrix/key/v2/server").await.expect_ok();
    assert_eq!((&keys["server_name"], &keys["old_verify_keys"]), (&json!("story.example"), &json!({})));
    let key = keys["verify_keys"].as_object().unwrap().keys().next().expect("it has a key");
    assert!(keys["signatures"]["story.example"][key].is_string(), "{keys}");

    let shown = anyone.get("/_matrix/key/v2/query/story.example").await.expect_ok();
    assert_eq!(shown["server_keys"][0]["verify_keys"], keys["verify_keys"]);
    let unknown = anyone.get("/_matrix/key/v2/query/elsewhere.example").await.expect_ok();
    assert_eq!(unknown, json!({"server_keys": []}));
    let asked = json!({"server_keys": {"elsewhere.example": {}, "story.example": {key: {}}}});
    let shown = anyone.post("/_matrix/key/v2/query", asked).await.expect_ok();
    assert_eq!(shown["server_keys"].as_array().unwrap().len(), 1);
    assert_eq!(shown["server_keys"][0]["verify_keys"], keys["verify_keys"]);

    anyone.post("/_matrix/key/v2/query", json!({})).await.expect_error(400, "M_BAD_JSON");
    anyone.get("/_matrix/key/v2/query/no%20name").await.expect_error(400, "M_INVALID_PARAM");
    for unknown in
        ["federation/unknown", "federation/v1/unknown", "federation/v1/send/1", "key/unknown", "key/v2/unknown"]
    {
        anyone.get(&format!("/_matrix/{unknown}")).await.expect_error(404, "M_UNRECOGNIZED");
    }
    for known in ["federation/v1/version", "key/v2/server", "key/v2/query", "key/v2/query/story.example"] {
        let answer = anyone.ask(Method::PUT, &format!("/_matrix/{known}"), None).await;
        answer.expect_error(405, "M_UNRECOGNIZED");
    }
}
