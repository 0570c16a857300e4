//! The operator wants to know people's e-mail addresses, so that registration asks for one.

use serde_json::{Value, json};

use crate::support::{Answer, Connection, Server, mail_server::MailServer};

const SECRET: &str = "monkeys_are_GREAT";

async fn server_with(mode: &str, email: &str, more: &str) -> (Server, MailServer) {
    let mail = MailServer::start().await;
    let config = format!("[registration]\nmode = \"{mode}\"\nemail = \"{email}\"\n{}", mail.config(more));
    (Server::start_with(&config).await, mail)
}

fn account(name: &str, auth: Value) -> Value {
    json!({"username": name, "password": "correct horse", "auth": auth})
}

fn proof(sid: &Value, session: &Value) -> Value {
    let credentials = json!({"sid": sid, "client_secret": SECRET});
    json!({"type": "m.login.email.identity", "threepid_creds": credentials, "session": session})
}

async fn ask(anyone: &Connection, email: &str) -> Answer {
    let body = json!({"client_secret": SECRET, "email": email, "send_attempt": 1});
    anyone.post("register/email/requestToken", body).await
}

#[tokio::test]
async fn an_account_has_the_address_from_the_start() {
    let (mut server, mail) = server_with("open", "required", "").await;
    let anyone = server.stranger();
    let steps = anyone.post("register", json!({})).await.expect_status(401);
    let (email, token) = ("m.login.email.identity", "m.login.registration_token");
    assert_eq!(steps["flows"], json!([{"stages": [email]}, {"stages": [token, email]}]));
    anyone.post("register", account("alice", json!({"type": "m.login.dummy"}))).await.expect_error(401, "M_FORBIDDEN");

    let begun = ask(anyone, "Alice@mail.example").await.expect_ok();
    let letter = mail.mail_number(1).await;
    assert!(letter.text.contains("is making a Matrix account on story.example"), "{}", letter.text);
    let auth = proof(&begun["sid"], &steps["session"]);
    for _ in 0..3 {
        let waiting = anyone.post("register", account("alice", auth.clone())).await;
        waiting.expect_error(401, "M_THREEPID_AUTH_FAILED");
    }
    letter.confirm(anyone).await;
    let session = anyone.post("register", account("alice", auth)).await.expect_ok();
    let token = session["access_token"].as_str().unwrap().to_owned();

    // One confirmed address makes one account.
    let again = account("second", proof(&begun["sid"], &Value::Null));
    anyone.post("register", again).await.expect_error(401, "M_THREEPID_AUTH_FAILED");
    anyone.get("register/available?username=second").await.expect_ok();
    server.kill_and_restart().await;
    let alice = server.stranger().with_token(token);
    let listed = alice.get("account/3pid").await.expect_ok();
    assert_eq!(listed["threepids"][0]["address"], "alice@mail.example");
    let identifier = json!({"type": "m.id.thirdparty", "medium": "email", "address": "alice@mail.example"});
    let login = json!({"type": "m.login.password", "identifier": identifier, "password": "correct horse"});
    server.stranger().post("login", login).await.expect_ok();
}

#[tokio::test]
async fn a_token_is_asked_for_first_where_one_is_needed() {
    let (server, mail) = server_with("token", "required", "").await;
    let anyone = server.stranger();
    let steps = anyone.post("register", json!({})).await.expect_status(401);
    let stages = json!(["m.login.registration_token", "m.login.email.identity"]);
    assert_eq!(steps["flows"], json!([{"stages": stages}]));
    let token =
        json!({"type": "m.login.registration_token", "token": server.first_token(), "session": steps["session"]});
    let half = anyone.post("register", account("alice", token)).await.expect_status(401);
    assert_eq!(half["completed"], json!(["m.login.registration_token"]));
    let begun = ask(anyone, "alice@mail.example").await.expect_ok();
    mail.mail_number(1).await.confirm(anyone).await;
    let made = anyone.post("register", account("alice", proof(&begun["sid"], &steps["session"]))).await.expect_ok();
    assert_eq!(made["user_id"], "@alice:story.example");
}

#[tokio::test]
async fn an_address_may_be_left_out_where_it_is_optional() {
    let (server, mail) = server_with("open", "optional", "").await;
    let anyone = server.stranger();
    anyone.post("register", account("bob", json!({"type": "m.login.dummy"}))).await.expect_ok();
    let begun = ask(anyone, "alice@mail.example").await.expect_ok();
    mail.mail_number(1).await.confirm(anyone).await;
    anyone.post("register", account("alice", proof(&begun["sid"], &Value::Null))).await.expect_ok();
    // Who has an account already is told so by mail, and nobody else is.
    ask(anyone, "ALICE@mail.example").await.expect_ok();
    assert!(mail.mail_number(2).await.text.contains("You have an account on story.example already"));
}

#[tokio::test]
async fn only_addresses_of_the_house_are_taken() {
    let (server, mail) = server_with("open", "required", "allowed_domains = [\"Mail.Example\"]").await;
    ask(server.stranger(), "alice@elsewhere.example").await.expect_error(403, "M_THREEPID_DENIED");
    ask(server.stranger(), "alice@mail.example").await.expect_ok();
    assert_eq!(mail.mail_number(1).await.to, ["alice@mail.example"]);
}

#[tokio::test]
async fn nobody_is_written_to_who_could_not_register_with_it() {
    for (mode, email, errcode) in [("closed", "required", "M_FORBIDDEN"), ("open", "off", "M_THREEPID_DENIED")] {
        let (server, mail) = server_with(mode, email, "").await;
        ask(server.stranger(), "alice@mail.example").await.expect_error(403, errcode);
        assert_eq!(mail.count(), 0);
    }
}

#[tokio::test]
async fn an_operator_hears_what_is_wrong_with_the_mail() {
    let server = Server::start().await;
    let check = |variables: &[(&str, &str)]| {
        let output = server.command(&["check-config"]).envs(variables.iter().copied()).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (host, from) = (("COMMONROOM_MAIL__HOST", "mail.example"), "COMMONROOM_MAIL__FROM");
    assert_eq!(check(&[host, (from, "Us <us@mail.example>")]), (true, String::new()));
    for (variables, expected) in [
        (vec![("COMMONROOM_REGISTRATION__EMAIL", "required")], "registration.email needs a mail server"),
        (vec![host], "missing field `from`"),
        (vec![host, (from, "nobody")], "mail.from: \"nobody\""),
        (vec![host, (from, "us@mail.example"), ("COMMONROOM_MAIL__TEMPLATES", "nowhere")], "mail.templates"),
    ] {
        let (usable, problem) = check(&variables);
        assert!(!usable && problem.contains(expected), "{variables:?}: {problem}");
    }
}
