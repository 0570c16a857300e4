//! The access token of a device opens its user's account wherever the specification lets a client put it, until it ends.

use reqwest::Method;
use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn a_token_is_taken_from_the_header_and_from_the_query() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let me = json!({"user_id": "@alice:story.example", "device_id": alice.device_id});
    assert_eq!(alice.get("account/whoami").await.expect_ok(), me);
    assert_eq!(alice.get("/_matrix/client/r0/account/whoami").await.expect_ok(), me);

    let in_query = format!("account/whoami?access_token={}", alice.token().unwrap());
    assert_eq!(server.stranger().get(&in_query).await.expect_ok(), me);
}

#[tokio::test]
async fn nobody_gets_in_without_one() {
    let server = Server::start().await;
    let anyone = server.stranger();
    anyone.get("account/whoami").await.expect_error(401, "M_MISSING_TOKEN");
    anyone.with_token("made-up").get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    anyone.get("account/whoami?access_token=made-up").await.expect_error(401, "M_UNKNOWN_TOKEN");
    // Who is refused learns nothing about the rest of the request.
    anyone
        .put("profile/@alice:story.example/displayname", json!("no object"))
        .await
        .expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn tokens_outlive_the_server() {
    let mut server = Server::start().await;
    let phone = server.register("alice").await;
    let laptop = phone.log_in_again().await;
    laptop.post("logout", json!({})).await.expect_ok();

    server.kill_and_restart().await;
    phone.get("account/whoami").await.expect_ok();
    laptop.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    server.restart().await;
    phone.get("account/whoami").await.expect_ok();
}

#[tokio::test]
async fn a_client_learns_what_the_server_can_do_for_its_user() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let capabilities = alice.get("capabilities").await.expect_ok()["capabilities"].take();
    assert_eq!(capabilities["m.change_password"]["enabled"], true);
    assert_eq!(capabilities["m.room_versions"]["default"], "12");
    assert_eq!(capabilities["m.room_versions"]["available"]["11"], "stable");
    assert_eq!(capabilities["m.room_versions"]["available"]["1"], json!(null));
}

#[tokio::test]
async fn a_body_that_makes_no_sense_is_refused_with_the_reason() {
    let server = Server::start_with("[limits]\nmax_body_size = \"4 KiB\"").await;
    let alice = server.register("alice").await;
    let name = "profile/@alice:story.example/displayname";
    let send = async |body: &str| alice.send(Method::PUT, name, |it| it.body(body.to_owned())).await;
    send("{").await.expect_error(400, "M_NOT_JSON");
    send("[]").await.expect_error(400, "M_BAD_JSON");
    send("{\"displayname\": 5}").await.expect_error(400, "M_BAD_JSON");
    let long = format!("{{\"displayname\": \"{}\"}}", "a".repeat(5_000));
    send(&long).await.expect_error(413, "M_TOO_LARGE");
}
