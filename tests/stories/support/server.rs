//! The real binary, running in a folder of its own.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, RwLock},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use toml::Table;

use super::{Connection, PATIENCE, User, eventually, log::Log};

/// The name that user ids of stories end with.
pub const SERVER_NAME: &str = "story.example";

/// Open to everybody, without limits, with passwords that cost nothing.
const CONFIG: &str = r#"
    [registration]
    mode = "open"
    [passwords]
    memory_kib = 8
    iterations = 1
    [limits]
    enabled = false
    [log]
    format = "json"
    level = "info,commonroom=debug"
"#;

/// A running server; it is killed and its folder removed when the story ends.
pub struct Server {
    process: Child,
    folder: TempDir,
    base_url: Arc<RwLock<String>>,
    log: Log,
    stranger: Connection,
    /// The registration token that `commonroom init` printed.
    first_token: String,
}

impl Server {
    /// The program that is run: the one that was built with the tests, unless `COMMONROOM_BINARY` names another.
    pub fn binary() -> PathBuf {
        std::env::var_os("COMMONROOM_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_commonroom").into(), PathBuf::from)
    }

    /// A fresh server on which everybody may register.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// A fresh server with `extra` in its configuration, in place of what [`Server::start`] would have there.
    pub async fn start_with(extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let first_token = write_files(&folder, extra);
        let log = Log::default();
        let process = spawn(&folder, &log);
        let base_url = Arc::new(RwLock::new(String::new()));
        let stranger = Connection::new(base_url.clone());
        let mut server = Self { process, folder, base_url, log, stranger, first_token };
        server.wait_until_it_answers(0).await;
        server
    }

    /// Stops the server in good order and starts it on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Kills the server in the middle of whatever it does and starts it on the same data.
    pub async fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.start_again().await;
    }

    /// Asks the server to stop, as a process manager would, and waits until it has.
    ///
    /// # Panics
    ///
    /// If it does not, or says that it failed.
    pub async fn stop(&mut self) {
        // The shell knows `kill` on every machine.
        let kill = format!("kill -TERM {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let exited = eventually("the server to stop", PATIENCE, async || self.process.try_wait().unwrap()).await;
        assert!(exited.success(), "the server stopped with {exited}");
    }

    /// The registration token that makes an administrator.
    pub fn first_token(&self) -> &str {
        &self.first_token
    }

    /// Where the server listens, as `host:port`.
    pub fn address(&self) -> String {
        self.base_url.read().unwrap().trim_start_matches("http://").to_owned()
    }

    /// The folder in which the server keeps everything.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A command of the binary on this server's configuration and data.
    pub fn command(&self, arguments: &[&str]) -> Command {
        command(&self.folder, arguments)
    }

    /// Somebody who is not logged in.
    pub fn stranger(&self) -> &Connection {
        &self.stranger
    }

    /// A new account, logged in, whose user id starts with `@{name}:`.
    pub async fn register(&self, name: &str) -> User {
        let password = format!("{name}'s password");
        let mut body = json!({"username": name, "password": password, "initial_device_display_name": "story"});
        let steps = self.stranger.post("register", body.clone()).await.expect_status(401);
        body["auth"] = json!({"type": "m.login.dummy", "session": steps["session"]});
        let session = self.stranger.post("register", body).await.expect_ok();
        User::new(&self.stranger, &session, password)
    }

    /// The administrator, whose account the first token makes.
    pub async fn administrator(&self) -> Connection {
        let auth = json!({"type": "m.login.registration_token", "token": self.first_token});
        let body = json!({"username": "admin", "password": "correct horse", "auth": auth});
        let session = self.stranger.post("register", body).await.expect_ok();
        self.stranger.with_token(session["access_token"].as_str().expect("a registration logs in"))
    }

    /// The memory that the server's process holds, in megabytes.
    pub fn resident_megabytes(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has a size");
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
        kilobytes * 1_024.0 / 1e6
    }

    /// The processor time that the server has spent, in user and in system mode.
    #[allow(dead_code, reason = "only the load benchmark asks for it")]
    pub fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("the server runs");
        let (_, after_name) = stat.rsplit_once(')').expect("the name stands in parentheses");
        // The 14th and 15th field of the line, in hundredths of a second on every Linux.
        let ticks =
            after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("it is a number"));
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// Everything the server has written to its log so far, over restarts.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Starts the server on the data that it had when it stopped.
    pub async fn start_again(&mut self) {
        let already = self.log.lines().len();
        self.process = spawn(&self.folder, &self.log);
        self.wait_until_it_answers(already).await;
    }

    /// Learns from the log, after its first `already` lines, where the server listens.
    async fn wait_until_it_answers(&mut self, already: usize) {
        let listening = timeout(PATIENCE, async {
            loop {
                let lines = self.log.lines();
                if let Some(address) = lines[already..].iter().find_map(|line| listening_address(line)) {
                    return address;
                }
                let exited = self.process.try_wait().unwrap();
                assert!(exited.is_none(), "the server did not start ({exited:?})");
                self.log.growth().await;
            }
        });
        *self.base_url.write().unwrap() = listening.await.expect("the server listens");
        self.stranger.get("/_matrix/client/versions").await.expect_ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails only if the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("the server's log:\n{}", self.log.lines().join("\n"));
        }
    }
}

/// Makes the folder's keys with `commonroom init`, which prints a token, and the configuration of stories.
fn write_files(folder: &TempDir, extra: &str) -> String {
    let init =
        command(folder, &["init", "--server-name", SERVER_NAME, "--data-dir"]).arg(folder.path().join("data")).output();
    let init = init.expect("the binary runs");
    assert!(init.status.success(), "init failed: {}", String::from_utf8_lossy(&init.stderr));

    let mut config: Table = CONFIG.parse().unwrap();
    config.insert("server_name".to_owned(), SERVER_NAME.into());
    config.insert("data_dir".to_owned(), "data".into());
    let anywhere: Table = "listeners = [{ address = \"127.0.0.1:0\" }]".parse().unwrap();
    config.extend(anywhere);
    override_with(&mut config, extra.parse().expect("the story's configuration is TOML"));
    fs::write(folder.path().join("config.toml"), config.to_string()).unwrap();

    let said = String::from_utf8(init.stdout).unwrap();
    let token = said.lines().find_map(|line| line.strip_prefix("    "));
    token.unwrap_or_else(|| panic!("init printed no token: {said}")).to_owned()
}

/// Puts the keys of `other` in place of those in `table`, section by section.
fn override_with(table: &mut Table, other: Table) {
    for (key, value) in other {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(section)), toml::Value::Table(other)) => override_with(section, other),
            (_, value) => drop(table.insert(key, value)),
        }
    }
}

fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(Server::binary());
    command.arg("--config").arg(folder.path().join("config.toml")).args(arguments);
    command
}

fn spawn(folder: &TempDir, log: &Log) -> Child {
    let mut serve = command(folder, &["serve"]);
    let mut process = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    log.follow(process.stdout.take().unwrap());
    log.follow(process.stderr.take().unwrap());
    process
}

fn listening_address(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "listening").then(|| line["address"].as_str().map(str::to_owned))?
}
