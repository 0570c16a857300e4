//! A person logs in on several devices, out of them, and nobody else gets in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, User, eventually};

fn login(name: &str, password: &str) -> Value {
    json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": name}, "password": password})
}

/// The answer to `auth` in which a person gives their password once more.
fn with_password(user: &User, steps: &Value) -> Value {
    let mut auth = login(&user.id, &user.password);
    auth["session"] = steps["session"].clone();
    auth
}

#[tokio::test]
async fn a_person_is_known_by_localpart_and_by_id_and_in_capitals() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let anyone = server.stranger();
    let flows = anyone.get("login").await.expect_ok();
    assert_eq!(flows["flows"][0]["type"], "m.login.password");
    for name in ["alice", "@alice:story.example", "ALICE", "@Alice:story.example"] {
        let session = anyone.post("login", login(name, &alice.password)).await.expect_ok();
        assert_eq!(session["user_id"], *alice.id);
        let token = session["access_token"].as_str().unwrap();
        let me = anyone.with_token(token).get("account/whoami").await.expect_ok();
        assert_eq!(me["device_id"], session["device_id"]);
    }
    let old_way = json!({"type": "m.login.password", "user": "alice", "password": alice.password});
    anyone.post("/_matrix/client/r0/login", old_way).await.expect_ok();
}

#[tokio::test]
async fn wrong_names_and_passwords_are_refused_alike() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let anyone = server.stranger();
    let refusals = [
        login("alice", "wrong"),
        login("alice", ""),
        login("nobody", &alice.password),
        login("not a name", &alice.password),
        login("@alice:elsewhere.example", &alice.password),
    ];
    let mut sentences = Vec::new();
    for body in refusals {
        sentences.push(anyone.post("login", body).await.expect_error(403, "M_FORBIDDEN")["error"].clone());
    }
    assert!(sentences.iter().all(|sentence| *sentence == sentences[0]), "{sentences:?}");
}

#[tokio::test]
async fn a_login_that_cannot_be_understood_says_why() {
    let server = Server::start().await;
    let anyone = server.stranger();
    for body in [json!({}), json!({"type": 1}), json!({"type": "m.login.password"})] {
        anyone.post("login", body).await.expect_error(400, "M_BAD_JSON");
    }
    anyone.post("login", json!({"type": "org.example.magic"})).await.expect_error(400, "M_UNKNOWN");
    let nobody = json!({"type": "m.login.password", "password": "correct horse"});
    anyone.post("login", nobody).await.expect_error(400, "M_MISSING_PARAM");
    let identifier = json!({"type": "m.id.thirdparty", "medium": "email", "address": "alice@story.example"});
    let body = json!({"type": "m.login.password", "identifier": identifier, "password": "correct horse"});
    anyone.post("login", body).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_token_works_in_the_header_and_in_the_query_until_the_device_logs_out() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let in_query = format!("account/whoami?access_token={}", phone.token().unwrap());
    server.stranger().get(&in_query).await.expect_ok();
    server.stranger().get("account/whoami").await.expect_error(401, "M_MISSING_TOKEN");
    server.stranger().with_token("nonsense").get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");

    server.kill_and_restart().await;
    phone.get("account/whoami").await.expect_ok();
    assert_eq!(phone.post("logout", json!({})).await.expect_ok(), json!({}));
    let refused = phone.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    assert!(refused.get("soft_logout").is_none(), "{refused}");
    alice.get("account/whoami").await.expect_ok();

    server.kill_and_restart().await;
    phone.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    alice.post("logout/all", json!({})).await.expect_ok();
    alice.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn logging_in_again_on_a_device_ends_its_old_session() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let mut body = login("alice", &alice.password);
    body["device_id"] = alice.device_id.clone().into();
    let session = server.stranger().post("login", body).await.expect_ok();
    assert_eq!(session["device_id"], *alice.device_id);
    alice.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    let again = alice.with_token(session["access_token"].as_str().unwrap());
    assert_eq!(again.get("devices").await.expect_ok()["devices"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_client_that_refreshes_its_tokens_is_logged_out_softly_and_comes_back() {
    let server = Server::start_with("[sessions]\naccess_token_lifetime = \"1s\"").await;
    let alice = server.register("alice").await;
    let anyone = server.stranger();
    let mut body = login("alice", &alice.password);
    body["refresh_token"] = true.into();
    let first = anyone.post("login", body).await.expect_ok();
    assert_eq!(first["expires_in_ms"], 1000);
    let phone = anyone.with_token(first["access_token"].as_str().unwrap());
    let expired = eventually("the token to expire", PATIENCE, async || {
        let answer = phone.get("account/whoami").await;
        (answer.status == 401).then_some(answer)
    });
    assert_eq!(expired.await.expect_error(401, "M_UNKNOWN_TOKEN")["soft_logout"], true);

    let refresh = async |token: &Value| anyone.post("refresh", json!({"refresh_token": token})).await;
    let second = refresh(&first["refresh_token"]).await.expect_ok();
    let phone = anyone.with_token(second["access_token"].as_str().unwrap());
    assert_eq!(phone.get("account/whoami").await.expect_ok()["device_id"], first["device_id"]);
    refresh(&first["refresh_token"]).await.expect_error(401, "M_UNKNOWN_TOKEN");
    refresh(&json!("nonsense")).await.expect_error(401, "M_UNKNOWN_TOKEN");
    // A client that does not refresh keeps its token.
    alice.get("account/whoami").await.expect_ok();
}

#[tokio::test]
async fn one_device_lets_another_one_in_once() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let get_token = "/_matrix/client/v1/login/get_token";
    let steps = alice.post(get_token, json!({})).await.expect_status(401);
    assert_eq!(steps["flows"], json!([{"stages": ["m.login.password"]}]));
    let answer = alice.post(get_token, json!({"auth": with_password(&alice, &steps)})).await.expect_ok();
    assert_eq!(answer["expires_in_ms"], Duration::from_secs(120).as_millis() as u64);

    let body = json!({"type": "m.login.token", "token": answer["login_token"]});
    let session = server.stranger().post("login", body.clone()).await.expect_ok();
    assert_eq!(session["user_id"], *alice.id);
    assert_ne!(session["device_id"], *alice.device_id);
    server.stranger().post("login", body).await.expect_error(403, "M_FORBIDDEN");
    // The next time the password is asked for again.
    alice
        .post(get_token, json!({"auth": with_password(&alice, &json!({"session": steps["session"]}))}))
        .await
        .expect_status(401);
}

#[tokio::test]
async fn too_many_attempts_have_to_wait() {
    let server = Server::start_with("[limits]\nenabled = true\nlogin = { per_second = 0.01, burst = 3 }").await;
    let anyone = server.stranger();
    for _ in 0..3 {
        anyone.post("login", login("alice", "guess")).await.expect_error(403, "M_FORBIDDEN");
    }
    let refused = anyone.post("login", login("alice", "guess")).await.expect_error(429, "M_LIMIT_EXCEEDED");
    assert!(refused["retry_after_ms"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn no_secret_reaches_the_log() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    alice.post("login", login("alice", "a wrong password")).await.expect_error(403, "M_FORBIDDEN");
    alice.post("logout", json!({})).await.expect_ok();
    let log = server.log().join("\n");
    assert!(log.contains("login"), "{log}");
    for secret in [alice.token().unwrap(), &*alice.password, "a wrong password"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
