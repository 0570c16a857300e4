//! A person adds an e-mail address to the account, and is known by it from then on.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Connection, Server, User,
    mail_server::{MailServer, Page},
};

fn request(email: &str, attempt: u64) -> Value {
    json!({"client_secret": "monkeys_are_GREAT", "email": email, "send_attempt": attempt})
}

fn password(user: &User) -> Value {
    let identifier = json!({"type": "m.id.user", "user": user.id});
    json!({"type": "m.login.password", "identifier": identifier, "password": user.password})
}

async fn add(user: &User, sid: &Value) -> Answer {
    let body = json!({"client_secret": "monkeys_are_GREAT", "sid": sid, "auth": password(user)});
    user.post("account/3pid/add", body).await
}

fn log_in_as(address: &str, password: &str) -> Value {
    let identifier = json!({"type": "m.id.thirdparty", "medium": "email", "address": address});
    json!({"type": "m.login.password", "identifier": identifier, "password": password})
}

async fn addresses(user: &User) -> Vec<Value> {
    let answer = user.get("account/3pid").await.expect_ok();
    answer["threepids"].as_array().unwrap().iter().map(|id| id["address"].clone()).collect()
}

async fn with_mail(more: &str) -> (Server, MailServer) {
    let mail = MailServer::start().await;
    (Server::start_with(&mail.config(more)).await, mail)
}

/// Adds an address in the usual way.
async fn have_address(server: &Server, mail: &MailServer, user: &User, address: &str) {
    let number = mail.count() + 1;
    let begun = user.post("account/3pid/email/requestToken", request(address, number as u64)).await.expect_ok();
    mail.mail_number(number).await.confirm(server.stranger()).await;
    assert_eq!(add(user, &begun["sid"]).await.expect_ok(), json!({}));
}

#[tokio::test]
async fn she_reads_the_mail_presses_the_button_and_logs_in_by_her_address() {
    let (mut server, mail) = with_mail("").await;
    let alice = server.register("alice").await;
    let capabilities = alice.get("capabilities").await.expect_ok();
    assert_eq!(capabilities["capabilities"]["m.3pid_changes"]["enabled"], true);

    let begun = alice.post("account/3pid/email/requestToken", request("Alice@Mail.Example", 1)).await.expect_ok();
    let sid = &begun["sid"];
    assert_eq!(begun["submit_url"], "https://story.example/_commonroom/email/submit_token");
    let letter = mail.mail_number(1).await;
    assert_eq!(letter.to, ["alice@mail.example"]);
    for part in ["From: Story <noreply@story.example>", "Subject: Confirm your e-mail address for story.example"] {
        assert!(letter.text.contains(part), "{}", letter.text);
    }
    assert!(letter.text.contains(&format!("https://story.example{}", letter.link())));
    add(&alice, sid).await.expect_error(403, "M_THREEPID_AUTH_FAILED");

    // Looking at the page changes nothing: programs follow links, too.
    let page = Page::get(server.stranger(), Method::GET, letter.link()).await;
    assert!(page.status == 200 && page.text.contains("<button>Confirm the address</button>"), "{page:?}");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    add(&alice, sid).await.expect_error(403, "M_THREEPID_AUTH_FAILED");
    letter.confirm(server.stranger()).await;

    server.kill_and_restart().await;
    let steps = alice.post("account/3pid/add", json!({"client_secret": "monkeys_are_GREAT", "sid": sid})).await;
    assert_eq!(steps.expect_status(401)["flows"], json!([{"stages": ["m.login.password"]}]));
    assert_eq!(add(&alice, sid).await.expect_ok(), json!({}));
    let listed = alice.get("account/3pid").await.expect_ok();
    let id = &listed["threepids"][0];
    assert_eq!((&id["medium"], &id["address"]), (&json!("email"), &json!("alice@mail.example")));
    assert!(id["validated_at"].as_u64() <= id["added_at"].as_u64() && id["validated_at"].is_u64(), "{listed}");
    add(&alice, sid).await.expect_error(403, "M_THREEPID_AUTH_FAILED");

    let anyone = server.stranger();
    for address in ["alice@mail.example", "ALICE@mail.example"] {
        let session = anyone.post("login", log_in_as(address, &alice.password)).await.expect_ok();
        assert_eq!(session["user_id"], *alice.id);
    }
    let old_way = json!({"type": "m.login.password", "medium": "email", "address": "alice@mail.example", "password": alice.password});
    anyone.post("login", old_way).await.expect_ok();
    anyone.post("login", log_in_as("alice@mail.example", "guess")).await.expect_error(403, "M_FORBIDDEN");
    anyone.post("login", log_in_as("bob@mail.example", &alice.password)).await.expect_error(403, "M_FORBIDDEN");
    let log = server.log().join("\n").to_lowercase();
    assert!(!log.contains("alice@mail") && !log.contains(letter.code()), "the log holds what it must not");
}

#[tokio::test]
async fn her_app_asks_for_the_code_instead() {
    let (server, mail) = with_mail("").await;
    let alice = server.register("alice").await;
    let begun = alice.post("account/3pid/email/requestToken", request("alice@mail.example", 1)).await.expect_ok();
    let letter = mail.mail_number(1).await;
    let submit = async |secret: &str, token: &str| {
        let body = json!({"sid": begun["sid"], "client_secret": secret, "token": token});
        server.stranger().post("/_commonroom/email/submit_token", body).await
    };
    submit("monkeys_are_GREAT", "aaaaa-bbbbb-ccccc-ddddd").await.expect_error(400, "M_TOKEN_INCORRECT");
    submit("somebody_else", letter.code()).await.expect_error(400, "M_INVALID_PARAM");
    let typed = letter.code().to_uppercase();
    assert_eq!(submit("monkeys_are_GREAT", &typed).await.expect_ok(), json!({"success": true}));
    add(&alice, &begun["sid"]).await.expect_ok();

    let begun = alice.post("account/3pid/email/requestToken", request("other@mail.example", 1)).await.expect_ok();
    let right = mail.mail_number(2).await.code().to_owned();
    let submit = async |token: &str| {
        let body = json!({"sid": begun["sid"], "client_secret": "monkeys_are_GREAT", "token": token});
        server.stranger().post("/_commonroom/email/submit_token", body).await
    };
    for _ in 0..10 {
        submit("guess").await.expect_error(400, "M_TOKEN_INCORRECT");
    }
    submit(&right).await.expect_error(400, "M_SESSION_EXPIRED");
    let anyone = server.stranger();
    for body in [json!({}), json!({"sid": 1, "client_secret": "a", "token": "b"}), json!([])] {
        anyone.post("/_commonroom/email/submit_token", body).await.expect_error(400, "M_BAD_JSON");
    }
}

#[tokio::test]
async fn a_link_stops_working_after_its_time() {
    let (server, mail) = with_mail("link_lifetime = \"1 ms\"").await;
    let alice = server.register("alice").await;
    let begun = alice.post("account/3pid/email/requestToken", request("alice@mail.example", 1)).await.expect_ok();
    let page = Page::get(server.stranger(), Method::POST, mail.mail_number(1).await.link()).await;
    assert!(page.status == 400 && page.text.contains("Ask your app for another mail"), "{page:?}");
    add(&alice, &begun["sid"]).await.expect_error(403, "M_THREEPID_AUTH_FAILED");
    for path in ["confirm", "confirm?sid=a&token=b", "confirm?sid=%3Cscript%3E&token=%00"] {
        let page = Page::get(server.stranger(), Method::GET, &format!("/_commonroom/email/{path}")).await;
        assert!(page.status == 400 && !page.text.contains("script"), "{page:?}");
    }
}

#[tokio::test]
async fn one_request_is_one_mail_however_often_it_is_repeated() {
    let (server, mail) = with_mail("").await;
    let alice = server.register("alice").await;
    let path = "account/3pid/email/requestToken";
    let first = alice.post(path, request("alice@mail.example", 1)).await.expect_ok();
    for _ in 0..3 {
        assert_eq!(alice.post(path, request("alice@mail.example", 1)).await.expect_ok(), first);
    }
    mail.mail_number(1).await;
    assert_eq!(alice.post(path, request("alice@mail.example", 2)).await.expect_ok()["sid"], first["sid"]);
    mail.mail_number(2).await.confirm(server.stranger()).await;
    add(&alice, &first["sid"]).await.expect_ok();
}

#[tokio::test]
async fn an_address_is_one_persons_until_they_let_it_go() {
    let (server, mail) = with_mail("").await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    have_address(&server, &mail, &alice, "alice@mail.example").await;
    let taken = request("ALICE@mail.example", 1);
    bob.post("account/3pid/email/requestToken", taken.clone()).await.expect_error(400, "M_THREEPID_IN_USE");
    // Somebody unknown learns nothing; the owner is told.
    let begun = server.stranger().post("account/3pid/email/requestToken", taken).await.expect_ok();
    assert!(begun["sid"].is_string());
    assert!(mail.mail_number(2).await.text.contains("Subject: You have an account on story.example already"));

    let delete = |address: &str| json!({"medium": "email", "address": address});
    let unsupported = json!({"id_server_unbind_result": "no-support"});
    assert_eq!(bob.post("account/3pid/delete", delete("alice@mail.example")).await.expect_ok(), unsupported);
    assert_eq!(addresses(&alice).await, ["alice@mail.example"]);
    assert_eq!(alice.post("account/3pid/delete", delete("Alice@mail.example")).await.expect_ok(), unsupported);
    assert_eq!(addresses(&alice).await, [] as [Value; 0]);
    let nobody = log_in_as("alice@mail.example", &alice.password);
    server.stranger().post("login", nobody).await.expect_error(403, "M_FORBIDDEN");
    have_address(&server, &mail, &bob, "alice@mail.example").await;

    // Who leaves for good frees it, too.
    bob.post("account/deactivate", json!({"auth": password(&bob)})).await.expect_ok();
    have_address(&server, &mail, &alice, "alice@mail.example").await;
}

#[tokio::test]
async fn only_a_web_client_that_the_operator_trusts_is_returned_to() {
    let (server, mail) = with_mail("next_link_domains = [\"app.example\"]").await;
    let alice = server.register("alice").await;
    let mut sent = 0;
    for (next_link, expected) in
        [("https://app.example/#/confirmed", Some("https://app.example/#/confirmed")), ("https://evil.example/", None)]
    {
        let mut body = request("alice@mail.example", 1);
        body["client_secret"] = format!("secret{sent}").into();
        body["next_link"] = next_link.into();
        alice.post("account/3pid/email/requestToken", body).await.expect_ok();
        sent += 1;
        let page = Page::get(server.stranger(), Method::POST, mail.mail_number(sent).await.link()).await;
        assert_eq!(page.status, if expected.is_some() { 303 } else { 200 });
        assert_eq!(page.headers.get("location").map(|link| link.to_str().unwrap()), expected);
    }
    for next_link in [json!("javascript:alert(1)"), json!("not a link")] {
        let mut body = request("alice@mail.example", 9);
        body["next_link"] = next_link;
        alice.post("account/3pid/email/requestToken", body).await.expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn hostile_requests_send_nothing() {
    let (server, mail) = with_mail("allowed_domains = [\"mail.example\"]").await;
    let alice = server.register("alice").await;
    let path = "account/3pid/email/requestToken";
    for email in [
        "alice@mail.example\r\nBcc: everybody@mail.example",
        "alice@mail.example, bob@mail.example",
        "<alice@mail.example>",
        "alice@mail.example\u{0}",
        "",
        "alice",
    ] {
        alice.post(path, request(email, 1)).await.expect_error(400, "M_INVALID_PARAM");
    }
    alice.post(path, request("alice@elsewhere.example", 1)).await.expect_error(403, "M_THREEPID_DENIED");
    alice.post(path, request("alice@mail.example.evil.example", 1)).await.expect_error(403, "M_THREEPID_DENIED");
    let mut body = request("alice@mail.example", 1);
    body["client_secret"] = "sécret".into();
    alice.post(path, body).await.expect_error(400, "M_INVALID_PARAM");
    let wrong = [
        json!({"client_secret": 1, "email": "alice@mail.example", "send_attempt": 1}),
        json!({"client_secret": "a b", "email": "alice@mail.example", "send_attempt": 1}),
        json!({"client_secret": "a", "email": ["alice@mail.example"], "send_attempt": 1}),
        json!({"client_secret": "a", "email": "alice@mail.example", "send_attempt": -1}),
        json!({"client_secret": "a", "email": "alice@mail.example", "send_attempt": "1"}),
        json!({"client_secret": "a", "email": "alice@mail.example"}),
        json!({}),
    ];
    for body in wrong {
        alice.post(path, body).await.expect_error(400, "M_BAD_JSON");
    }
    alice
        .with_token("nonsense")
        .post(path, request("alice@mail.example", 1))
        .await
        .expect_error(401, "M_UNKNOWN_TOKEN");
    for sid in ["nonsense", "1"] {
        add(&alice, &json!(sid)).await.expect_error(403, "M_THREEPID_AUTH_FAILED");
    }
    assert_eq!(mail.count(), 0);
    // The mail server's refusal is not the server's own failure.
    alice.post(path, request("full@mail.example", 1)).await.expect_error(400, "M_UNKNOWN");
}

#[tokio::test]
async fn nobody_fills_somebodys_mailbox() {
    let limits = "[limits]\nenabled = true\nmails = { per_second = 0.001, burst = 2 }";
    let (server, mail) = with_mail(limits).await;
    let ask = async |email: &str, attempt: u64| {
        server.stranger().post("account/3pid/email/requestToken", request(email, attempt)).await
    };
    ask("alice@mail.example", 1).await.expect_ok();
    ask("Alice@mail.example", 2).await.expect_ok();
    ask("ALICE@mail.example", 3).await.expect_error(429, "M_LIMIT_EXCEEDED");
    // One address of the network can write to a few mailboxes, and not to any number.
    for number in 0..5 {
        ask(&format!("a{number}@mail.example"), 1).await.expect_ok();
    }
    ask("another@mail.example", 1).await.expect_error(429, "M_LIMIT_EXCEEDED");
    assert_eq!(mail.count(), 7);
}

#[tokio::test]
async fn a_server_without_mail_and_any_server_without_telephone_says_so() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let capabilities = alice.get("capabilities").await.expect_ok();
    assert_eq!(capabilities["capabilities"]["m.3pid_changes"]["enabled"], false);
    let call = json!({"client_secret": "a", "country": "GB", "phone_number": "07700900001", "send_attempt": 1});
    for (kind, body) in [("email", request("alice@mail.example", 1)), ("msisdn", call)] {
        let ask = async |path: &str| alice.post(&format!("{path}/{kind}/requestToken"), body.clone()).await;
        ask("account/3pid").await.expect_error(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED");
        ask("account/password").await.expect_error(403, "M_THREEPID_DENIED");
        ask("register").await.expect_error(403, "M_THREEPID_DENIED");
    }
    let steps = server.stranger().post("account/password", json!({"new_password": "battery staple"})).await;
    assert_eq!(steps.expect_status(401)["flows"], json!([{"stages": ["m.login.password"]}]));
    without_identity_server(&alice, server.stranger()).await;
}

async fn without_identity_server(alice: &User, anyone: &Connection) {
    let credentials = json!({"client_secret": "a", "sid": "1", "id_server": "id.example", "id_access_token": "x"});
    alice.post("account/3pid/bind", credentials.clone()).await.expect_error(400, "M_SERVER_NOT_TRUSTED");
    let old = json!({"three_pid_creds": credentials});
    alice.post("account/3pid", old.clone()).await.expect_error(403, "M_THREEPID_AUTH_FAILED");
    alice.post("/_matrix/client/r0/account/3pid", old.clone()).await.expect_error(403, "M_THREEPID_AUTH_FAILED");
    alice.post("account/3pid", json!({"three_pid_creds": 1})).await.expect_error(400, "M_BAD_JSON");
    anyone.post("account/3pid", old).await.expect_error(401, "M_MISSING_TOKEN");
    let unbound = alice.post("account/3pid/unbind", json!({"medium": "email", "address": "a@mail.example"})).await;
    assert_eq!(unbound.expect_ok(), json!({"id_server_unbind_result": "no-support"}));
    let phone = json!({"type": "m.id.phone", "country": "GB", "phone": "07700900001"});
    let number = json!({"type": "m.id.thirdparty", "medium": "msisdn", "address": "447700900001"});
    for identifier in [phone, number] {
        let body = json!({"type": "m.login.password", "identifier": identifier, "password": "guess"});
        anyone.post("login", body).await.expect_error(403, "M_FORBIDDEN");
    }
    let room = alice.create_room().await;
    let invitation =
        json!({"id_server": "id.example", "id_access_token": "x", "medium": "email", "address": "a@mail.example"});
    alice.act(&room, "invite", invitation).await.expect_error(400, "M_INVALID_PARAM");
}
