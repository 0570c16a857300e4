//! An operator makes and changes accounts and registration tokens, while the server runs and while it does not.

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{Answer, Server};

/// Runs a command against the server's configuration, with `input` as what is typed.
fn run(server: &Server, line: &str, input: &str) -> Output {
    let arguments: Vec<_> = line.split_whitespace().collect();
    let mut command = server.command(&arguments);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    process.wait_with_output().unwrap()
}

#[track_caller]
fn succeed(server: &Server, line: &str, input: &str) -> String {
    let output = run(server, line, input);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn fail(server: &Server, line: &str, input: &str) -> String {
    let output = run(server, line, input);
    assert!(!output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn log_in(server: &Server, name: &str, password: &str) -> Answer {
    let user = json!({"type": "m.id.user", "user": name});
    let body = json!({"type": "m.login.password", "identifier": user, "password": password});
    server.stranger().post("login", body).await
}

/// The line of a list that begins with `subject`.
#[track_caller]
fn line_of<'a>(list: &'a str, subject: &str) -> &'a str {
    list.lines().find(|line| line.starts_with(subject)).unwrap_or_else(|| panic!("no {subject} in {list}"))
}

#[tokio::test]
async fn accounts_come_from_the_command_line_whether_the_server_runs_or_not() {
    let mut server = Server::start_with("[registration]\nmode = \"closed\"").await;
    let said = succeed(&server, "user create alice --admin --password-stdin", "a long password\n");
    assert_eq!(said, "@alice:story.example has an account now.\n");
    log_in(&server, "alice", "a long password").await.expect_ok();

    server.stop().await;
    let said = succeed(&server, "user create bob --generate-password", "");
    let password = said.lines().find_map(|line| line.strip_prefix("The password is ")).unwrap();
    let password = password.split_once(' ').unwrap().0.to_owned();
    let users = succeed(&server, "user list", "");
    assert!(line_of(&users, "@alice:").contains("administrator"), "{users}");
    assert!(line_of(&users, "@bob:").contains("user"), "{users}");

    server.start_again().await;
    log_in(&server, "bob", &password).await.expect_ok();
    assert!(!server.log().join("\n").contains("a long password"));
}

#[tokio::test]
async fn mistakes_are_told_the_same_way_with_and_without_a_server() {
    let mut server = Server::start().await;
    server.register("alice").await;
    let make_mistakes = |server: &Server| {
        let said = fail(server, "user create alice --password-stdin", "a long password\n");
        assert_eq!(said, "commonroom: This username is taken.\n");
        let said = fail(server, "user create bob --password-stdin", "short\n");
        assert_eq!(said, "commonroom: A password needs at least 8 characters.\n");
        assert_eq!(fail(server, "user promote bob", ""), "commonroom: There is no such user on this server.\n");
        assert!(fail(server, "user create bob", "").contains("nobody is here to type a password"));
    };
    make_mistakes(&server);
    server.stop().await;
    make_mistakes(&server);
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_who_knew_the_old_one() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let said = succeed(&server, "user set-password alice --password-stdin", "another password\n");
    assert_eq!(said, "@alice:story.example has a new password and is logged out everywhere.\n");
    alice.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    log_in(&server, "alice", &alice.password).await.expect_error(403, "M_FORBIDDEN");
    log_in(&server, "alice", "another password").await.expect_ok();
}

#[tokio::test]
async fn administrators_are_made_and_unmade() {
    let server = Server::start().await;
    server.register("alice").await;
    succeed(&server, "user promote alice", "");
    assert!(line_of(&succeed(&server, "user list", ""), "@alice:").contains("administrator"));
    succeed(&server, "user demote @alice:story.example", "");
    assert!(!line_of(&succeed(&server, "user list", ""), "@alice:").contains("administrator"));
}

#[tokio::test]
async fn a_deactivated_account_is_closed_and_its_name_is_never_given_away() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    succeed(&server, "user deactivate alice", "");
    alice.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    log_in(&server, "alice", &alice.password).await.expect_error(403, "M_USER_DEACTIVATED");
    assert!(line_of(&succeed(&server, "user list", ""), "@alice:").contains("deactivated"));
    assert!(fail(&server, "user create alice --password-stdin", "a long password\n").contains("taken"));
}

#[tokio::test]
async fn registration_tokens_admit_as_many_people_as_they_say() {
    let mut server = Server::start_with("[registration]\nmode = \"token\"").await;
    let register = async |server: &Server, name: &str, token: &str| {
        let mut body = json!({"username": name, "password": "long enough"});
        let steps: Value = server.stranger().post("register", body.clone()).await.expect_status(401);
        body["auth"] = json!({"type": "m.login.registration_token", "token": token, "session": steps["session"]});
        server.stranger().post("register", body).await
    };

    let token = succeed(&server, "token create --uses 1 --expires-in 7d", "").trim().to_owned();
    register(&server, "alice", &token).await.expect_ok();
    register(&server, "bob", &token).await.expect_status(401);
    let line = line_of(&succeed(&server, "token list", ""), &token).to_owned();
    assert!(line.contains("1 of 1") && line.contains("6 d"), "{line}");

    server.stop().await;
    succeed(&server, "token create --token second", "");
    assert!(line_of(&succeed(&server, "token list", ""), "second").contains("0 of any number"));
    server.start_again().await;
    register(&server, "bob", "second").await.expect_ok();
    succeed(&server, "token revoke second", "");
    register(&server, "carol", "second").await.expect_status(401);
    assert!(fail(&server, "token revoke second", "").contains("no such registration token"));
}
