//! An operator makes a configuration, gets told what is wrong with it, and starts the server with it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use serde_json::json;

use crate::support::Server;

/// Runs the binary in `folder`, with the words of `line` as its arguments.
fn commonroom(folder: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_commonroom"));
    command.current_dir(folder).args(line.split_whitespace()).output().expect("the binary runs")
}

#[track_caller]
fn expect_success(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn expect_failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn init_writes_what_only_the_operator_may_read_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let said = expect_success(&commonroom(folder.path(), "init --server-name chat.example"));
    assert!(said.contains("becomes the administrator"), "{said}");

    for (file, mode) in [("config.toml", 0o600), ("data/signing.key", 0o600), ("data", 0o700)] {
        let permissions = fs::metadata(folder.path().join(file)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{file}");
    }
    let config = fs::read_to_string(folder.path().join("config.toml")).unwrap();
    assert!(config.contains("\nserver_name = \"chat.example\"\n") && config.contains("\ndata_dir = \"data\"\n"));
    let said = expect_success(&commonroom(folder.path(), "check-config"));
    assert_eq!(said, "config.toml can be used: the server is chat.example.\n");

    let key = fs::read(folder.path().join("data/signing.key")).unwrap();
    let said = expect_failure(&commonroom(folder.path(), "init --server-name other.example"));
    assert!(said.contains("config.toml exists already"), "{said}");
    let said = expect_failure(&commonroom(folder.path(), "init --server-name other.example --config other.toml"));
    assert!(said.contains("signing.key exists already"), "{said}");
    assert!(!folder.path().join("other.toml").exists());
    assert_eq!(fs::read(folder.path().join("data/signing.key")).unwrap(), key);
}

#[test]
fn a_configuration_in_the_data_folder_moves_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let init = "init --server-name chat.example --data-dir here --config here/config.toml";
    expect_success(&commonroom(folder.path(), init));
    fs::rename(folder.path().join("here"), folder.path().join("there")).unwrap();
    expect_success(&commonroom(folder.path(), "check-config --config there/config.toml"));
    expect_success(&commonroom(folder.path(), "user list --config there/config.toml"));
}

#[test]
fn check_config_names_every_mistake_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    expect_success(&commonroom(folder.path(), "init --server-name chat.example"));
    let file = folder.path().join("config.toml");
    let good = fs::read_to_string(&file).unwrap();

    let said = expect_failure(&commonroom(folder.path(), "check-config --config nowhere.toml"));
    assert!(said.contains("nowhere.toml") && said.contains("commonroom init"), "{said}");

    fs::write(&file, good.replace("mode = \"token\"", "mod = \"token\"").replace("\"32 MiB\"", "\"32 MB\"")).unwrap();
    let said = expect_failure(&commonroom(folder.path(), "check-config"));
    assert!(said.contains("there is no key registration.mod: did you mean registration.mode?"), "{said}");
    assert!(said.contains("storage.block_cache: \"32 MB\" is not a size"), "{said}");

    fs::write(&file, good.replace("level = \"info\"", "level = \"loud=ly\"")).unwrap();
    assert!(expect_failure(&commonroom(folder.path(), "check-config")).contains("log.level"));

    let tls = "tls = { certificate = \"no.pem\", key = \"no.pem\" }\naddress = \"127.0.0.1:8008\"";
    fs::write(&file, good.replace("address = \"127.0.0.1:8008\"", tls)).unwrap();
    assert!(expect_failure(&commonroom(folder.path(), "check-config")).contains("no.pem"));

    // Some other server may have the usual port.
    fs::write(&file, good.replace("127.0.0.1:8008", "127.0.0.1:0")).unwrap();
    fs::remove_file(folder.path().join("data/signing.key")).unwrap();
    let said = expect_failure(&commonroom(folder.path(), "check-config"));
    assert!(said.contains("data/signing.key") && said.contains("commonroom init"), "{said}");
    assert!(expect_failure(&commonroom(folder.path(), "serve")).contains("data/signing.key"));
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let server = Server::start().await;
    let second = server.command(&["serve"]).output().unwrap();
    assert!(!second.status.success());
    server.stranger().get("/health").await.expect_ok();
}

#[tokio::test]
async fn who_uses_the_token_of_init_becomes_the_administrator() {
    let server = Server::start_with("[registration]\nmode = \"token\"").await;
    let register = async |name: &str, token: &str| {
        let mut body = json!({"username": name, "password": "long enough"});
        let steps = server.stranger().post("register", body.clone()).await.expect_status(401);
        body["auth"] = json!({"type": "m.login.registration_token", "token": token, "session": steps["session"]});
        server.stranger().post("register", body).await
    };

    register("root", server.first_token()).await.expect_ok();
    assert_eq!(register("second", server.first_token()).await.status, 401, "the token works once");
    let users = expect_success(&server.command(&["user", "list"]).output().unwrap());
    let root = users.lines().find(|line| line.starts_with("@root:")).unwrap();
    assert!(root.contains("administrator"), "{users}");
}
