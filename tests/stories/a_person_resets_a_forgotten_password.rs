//! A person forgot the password, and gets a new one through the e-mail address of the account.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Connection, Server, User,
    mail_server::{MailServer, Page},
};

const SECRET: &str = "monkeys_are_GREAT";

fn request(email: &str) -> Value {
    json!({"client_secret": SECRET, "email": email, "send_attempt": 1})
}

fn proof(sid: &Value, field: &str) -> Value {
    json!({"type": "m.login.email.identity", field: {"sid": sid, "client_secret": SECRET}})
}

fn password(user: &User, password: &str) -> Value {
    let identifier = json!({"type": "m.id.user", "user": user.id});
    json!({"type": "m.login.password", "identifier": identifier, "password": password})
}

async fn set_password(anyone: &Connection, auth: Value) -> Answer {
    anyone.post("account/password", json!({"new_password": "battery staple", "auth": auth})).await
}

/// Alice with an address, on a server that can write to her; one mail has been sent.
async fn alice_with_address() -> (Server, MailServer, User) {
    let mail = MailServer::start().await;
    let server = Server::start_with(&mail.config("")).await;
    let alice = server.register("alice").await;
    let begun = alice.post("account/3pid/email/requestToken", request("alice@mail.example")).await.expect_ok();
    mail.mail_number(1).await.confirm(server.stranger()).await;
    let body = json!({"client_secret": SECRET, "sid": begun["sid"], "auth": password(&alice, &alice.password)});
    alice.post("account/3pid/add", body).await.expect_ok();
    (server, mail, alice)
}

#[tokio::test]
async fn she_confirms_by_mail_and_is_logged_out_everywhere_else() {
    let (mut server, mail, alice) = alice_with_address().await;
    let path = "account/password/email/requestToken";
    let begun = server.stranger().post(path, request("ALICE@mail.example")).await.expect_ok();
    let letter = mail.mail_number(2).await;
    assert_eq!(letter.to, ["alice@mail.example"]);
    assert!(letter.text.contains("Subject: Reset your password on story.example"), "{}", letter.text);

    let anyone = server.stranger();
    let steps = anyone.post("account/password", json!({"new_password": "battery staple"})).await.expect_status(401);
    let flows = json!([{"stages": ["m.login.password"]}, {"stages": ["m.login.email.identity"]}]);
    assert_eq!(steps["flows"], flows);
    let mut auth = proof(&begun["sid"], "threepid_creds");
    auth["session"] = steps["session"].clone();
    // Her app asks now and then while she looks for the mail.
    for _ in 0..3 {
        let waiting = set_password(anyone, auth.clone()).await.expect_error(401, "M_THREEPID_AUTH_FAILED");
        assert_eq!(waiting["session"], steps["session"]);
    }
    let page = Page::get(anyone, Method::GET, letter.link()).await;
    assert!(page.text.contains("take over your account"), "{page:?}");
    set_password(anyone, auth.clone()).await.expect_error(401, "M_THREEPID_AUTH_FAILED");
    letter.confirm(anyone).await;

    let mut weak = json!({"new_password": "short", "auth": auth.clone()});
    anyone.post("account/password", weak.clone()).await.expect_error(400, "M_WEAK_PASSWORD");
    assert_eq!(set_password(anyone, auth.clone()).await.expect_ok(), json!({}));
    // It works once.
    auth["session"].take();
    set_password(anyone, auth).await.expect_error(401, "M_THREEPID_AUTH_FAILED");
    weak["auth"].take();

    server.kill_and_restart().await;
    alice.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    let anyone = server.stranger();
    anyone.post("login", password(&alice, &alice.password)).await.expect_error(403, "M_FORBIDDEN");
    anyone.post("login", password(&alice, "battery staple")).await.expect_ok();
}

#[tokio::test]
async fn other_devices_may_stay_and_old_clients_write_it_otherwise() {
    let (server, mail, alice) = alice_with_address().await;
    let anyone = server.stranger();
    let begun = anyone.post("account/password/email/requestToken", request("alice@mail.example")).await.expect_ok();
    mail.mail_number(2).await.confirm(anyone).await;
    let auth = proof(&begun["sid"], "threepidCreds");
    let body = json!({"new_password": "battery staple", "logout_devices": false, "auth": auth});
    anyone.post("/_matrix/client/r0/account/password", body).await.expect_ok();
    alice.get("account/whoami").await.expect_ok();
    anyone.post("login", password(&alice, "battery staple")).await.expect_ok();
}

#[tokio::test]
async fn nobody_resets_what_is_not_theirs() {
    let (server, mail, alice) = alice_with_address().await;
    let bob = server.register("bob").await;
    let anyone = server.stranger();
    let begun = anyone.post("account/password/email/requestToken", request("alice@mail.example")).await.expect_ok();
    mail.mail_number(2).await.confirm(anyone).await;
    let sid = &begun["sid"];
    // Who does not know the client's secret, or uses the proof for something else, has none.
    let stolen = json!({"type": "m.login.email.identity", "threepid_creds": {"sid": sid, "client_secret": "guess"}});
    set_password(anyone, stolen).await.expect_error(401, "M_THREEPID_AUTH_FAILED");
    let deactivation = json!({"auth": proof(sid, "threepid_creds")});
    anyone.post("account/deactivate", deactivation.clone()).await.expect_error(401, "M_FORBIDDEN");
    bob.post("account/deactivate", deactivation).await.expect_error(401, "M_FORBIDDEN");
    set_password(&bob, proof(sid, "threepid_creds")).await.expect_error(401, "M_FORBIDDEN");
    let body = json!({"client_secret": SECRET, "sid": sid, "auth": password(&bob, &bob.password)});
    bob.post("account/3pid/add", body).await.expect_error(403, "M_THREEPID_AUTH_FAILED");
    for credentials in [json!({"sid": 1, "client_secret": SECRET}), json!({"sid": sid}), json!([]), json!(null)] {
        let auth = json!({"type": "m.login.email.identity", "threepid_creds": credentials});
        set_password(anyone, auth).await.expect_error(400, "M_BAD_JSON");
    }
    // An address that was removed meanwhile opens nothing any more.
    let gone = json!({"medium": "email", "address": "alice@mail.example"});
    alice.post("account/3pid/delete", gone).await.expect_ok();
    set_password(anyone, proof(sid, "threepid_creds")).await.expect_error(401, "M_THREEPID_AUTH_FAILED");
    anyone.post("login", password(&alice, &alice.password)).await.expect_ok();
}

#[tokio::test]
async fn asking_for_an_unknown_address_looks_the_same_and_says_so_by_mail() {
    let (server, mail, _) = alice_with_address().await;
    let anyone = server.stranger();
    let path = "account/password/email/requestToken";
    let known = anyone.post(path, request("alice@mail.example")).await.expect_ok();
    let unknown = anyone.post(path, request("nobody@mail.example")).await.expect_ok();
    let keys = |answer: &Value| answer.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&known), keys(&unknown));
    let letter = mail.mail_number(3).await;
    assert_eq!(letter.to, ["nobody@mail.example"]);
    assert!(letter.text.contains("No account there has it"), "{}", letter.text);
    set_password(anyone, proof(&unknown["sid"], "threepid_creds")).await.expect_error(401, "M_THREEPID_AUTH_FAILED");
}
