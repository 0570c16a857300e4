//! Thousands of malformed and hostile requests to every endpoint, from several people at once: the server answers each in
//! time, never fails, tells nobody what is another's, and what was stored before is unhurt.
//!
//! `COMMONROOM_FUZZ_SEED` repeats a run, `COMMONROOM_FUZZ_REQUESTS` makes it longer. What the people's requests meet depends
//! on how they interleave, so that a failure shows the whole request.

mod dice;
mod endpoints;
mod hostile;
mod scene;
mod valid;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::time::timeout;

use self::{
    dice::Dice,
    endpoints::Endpoint,
    scene::Victim,
    valid::Names,
    wire::{Reply, Request},
};
use crate::support::{Server, User, mail_server::MailServer};

/// How many requests there are if nobody says otherwise.
const REQUESTS: u64 = 12_000;

/// The seed if nobody says otherwise: a test that fails today and not tomorrow helps nobody.
const SEED: u64 = 20_260_721;

/// How long an answer may take, on a machine that may be busy.
const DEADLINE: Duration = Duration::from_secs(20);

/// No look-ups of names, so that nothing leaves the machine.
const CONFIG: &str = "[outgoing]\nresolve_names = false\n";

/// How many people send at once.
const PEOPLE: u64 = 4;

#[tokio::test]
async fn nothing_that_is_sent_hurts_the_server_or_another() {
    let seed = number_from("COMMONROOM_FUZZ_SEED", SEED);
    let requests = number_from("COMMONROOM_FUZZ_REQUESTS", REQUESTS);
    println!("seed {seed}, {requests} requests");

    let mail = MailServer::start().await;
    let mut server = Server::start_with(&format!("{}{CONFIG}", mail.config(""))).await;
    let mut names = starting_names();
    let victim = Victim::new(&server, &mail, &mut names).await;
    let lobby = victim.user.create_room_with(json!({"preset": "public_chat", "room_alias_name": "lobby"})).await;
    names.add("room", &lobby);
    let before = victim.possessions().await;

    let people: Vec<_> =
        (0..PEOPLE).map(|number| Attacker::new(&server, &victim, &lobby, &names, seed, number)).collect();
    let people = futures_util::future::join_all(people).await;
    let attacks = people.into_iter().map(|attacker| attacker.attack(requests / PEOPLE));
    let attackers = futures_util::future::join_all(attacks).await;
    let problems: BTreeMap<String, String> = attackers.iter().flat_map(|it| it.problems.clone()).collect();
    let mut answers = BTreeMap::new();
    for (answer, count) in attackers.iter().flat_map(|it| &it.answers) {
        *answers.entry(answer.trim().to_owned()).or_insert(0) += count;
    }
    println!("answers: {answers:?}");
    let mut survivors = Vec::new();
    for user in attackers.into_iter().filter_map(|it| it.user) {
        let answer = user.get("account/whoami").await;
        match answer.status.is_success() {
            true => survivors.push(user),
            // With their last request they have logged out.
            false => drop(answer.expect_error(401, "M_UNKNOWN_TOKEN")),
        }
    }
    let report: Vec<String> =
        problems.into_iter().map(|(problem, request)| format!("{problem}\n{request}\n")).collect();
    assert!(report.is_empty(), "seed {seed}: {} kinds of problems:\n{}", report.len(), report.join("\n"));

    assert_unhurt(&victim, &before).await;
    server.restart().await;
    assert_unhurt(&victim, &before).await;
    for user in &survivors {
        user.get("sync?timeout=0&full_state=true").await.expect_ok();
    }
    let complaints: Vec<String> = server.log().into_iter().filter(|line| is_complaint(line)).collect();
    assert!(complaints.is_empty(), "seed {seed}: the log has {complaints:#?}");
    let of_both_kinds = answers["200"] > requests as usize / 20 && answers["400 M_BAD_JSON"] > requests as usize / 20;
    assert!(of_both_kinds, "good and bad requests come in turn: {answers:?}");
}

async fn assert_unhurt(victim: &Victim, before: &[(String, Value)]) {
    for ((path, now), (_, then)) in victim.possessions().await.iter().zip(before) {
        assert_eq!(now, then, "{path}");
    }
}

fn number_from(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| match &*text {
        "now" => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(),
        text => text.parse().unwrap_or_else(|_| panic!("{variable} is a number, or \"now\"")),
    })
}

/// Names that belong to nobody, or to everybody.
fn starting_names() -> Names {
    let mut names = Names::default();
    for (sort, name) in [
        ("room", "!nowhere:story.example"),
        ("alias", "#lobby:story.example"),
        ("alias", "#nothing:story.example"),
        ("user", "@nobody:story.example"),
        ("user", "@_server:story.example"),
        ("user", "@remote:other.example"),
        ("event", "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("device", "DEVICE"),
        ("media", "nothing"),
        ("token", "s1"),
        ("filter", "0"),
        ("filter", r#"{"room":{"timeline":{"limit":3},"include_leave":true}}"#),
        ("filter", r#"{"lazy_load_members":true,"types":["m.room.*"],"not_senders":["@a:b"]}"#),
        ("version", "1"),
        ("uri", "https://push.example/_matrix/push/v1/notify"),
        ("uri", "http://127.0.0.1:1/"),
        ("uri", "mxc://story.example/nothing"),
        ("session", "session"),
        ("localpart", "newcomer"),
        ("password", "a password that is long"),
    ] {
        names.add(sort, name);
    }
    names
}

/// Whether the server says in its log that something is wrong with it.
fn is_complaint(line: &str) -> bool {
    line.contains("panicked at") || line.contains("\"level\":\"ERROR\"")
}

/// Somebody who sends hostile requests, one after the other.
struct Attacker<'a> {
    server: &'a Server,
    victim: &'a Victim,
    lobby: &'a str,
    endpoints: Vec<Endpoint>,
    names: Names,
    dice: Dice,
    number: u64,
    /// How many accounts this attacker has lost so far.
    lives: u64,
    user: Option<User>,
    /// What was wrong, with the first request that showed it.
    problems: BTreeMap<String, String>,
    answers: BTreeMap<String, usize>,
}

impl<'a> Attacker<'a> {
    async fn new(
        server: &'a Server,
        victim: &'a Victim,
        lobby: &'a str,
        names: &Names,
        seed: u64,
        number: u64,
    ) -> Self {
        let mut attacker = Self {
            server,
            victim,
            lobby,
            endpoints: endpoints::all(),
            names: names.clone(),
            dice: Dice::new(seed.wrapping_mul(PEOPLE).wrapping_add(number)),
            number,
            lives: 0,
            user: None,
            problems: BTreeMap::new(),
            answers: BTreeMap::new(),
        };
        attacker.come_in().await;
        attacker
    }

    /// Makes an account, in place of one that is lost.
    async fn come_in(&mut self) {
        self.lives += 1;
        self.names.begin_anew();
        let user = self.server.register(&format!("attacker{}_{}", self.number, self.lives)).await;
        user.join(self.lobby).await;
        let room = user.create_room_with(json!({"preset": "public_chat"})).await;
        self.names.add_own("event", user.send_text(&room, "hello").await);
        self.names.add_own("room", room);
        self.names.add_own("room", self.lobby);
        self.names.add_own("user", &user.id);
        self.names.add_own("localpart", user.id[1..].split(':').next().unwrap_or_default());
        self.names.add_own("password", &user.password);
        self.names.add_own("device", &user.device_id);
        self.names.add_own("token", user.sync().await.next_batch());
        self.user = Some(user);
    }

    async fn attack(mut self, requests: u64) -> Self {
        let address = self.server.stranger().base_url().trim_start_matches("http://").to_owned();
        for _ in 0..requests {
            let endpoint = self.dice.of(&self.endpoints).clone();
            let token = self.user.as_ref().and_then(|user| user.token()).map(str::to_owned);
            let request = hostile::request(&endpoint, token.as_deref(), &self.names, &mut self.dice);
            let place = format!("{} {}", endpoint.method, endpoint.path);
            let reply = match timeout(DEADLINE, request.send(&address)).await {
                Err(_) => Err(format!("{place}: no answer within {DEADLINE:?}")),
                // A refused body may be cut off with its answer.
                Ok(Err(_)) if request.body.len() > 1_000_000 => continue,
                Ok(Err(cause)) => Err(format!("{place}: {cause}")),
                Ok(Ok(reply)) => match self.problem(&request, &reply) {
                    Some(problem) => Err(format!("{place}: {problem}")),
                    None => Ok(reply),
                },
            };
            match reply {
                Ok(reply) => self.learn(&request, &reply, token.as_deref()).await,
                Err(problem) => drop(self.problems.entry(problem).or_insert_with(|| request.to_string())),
            }
        }
        self
    }

    /// What is wrong with an answer.
    fn problem(&self, request: &Request, reply: &Reply) -> Option<String> {
        let body = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default();
        let waits_for_file = reply.status == 504 && body["errcode"] == "M_NOT_YET_UPLOADED";
        if reply.status >= 500 && !waits_for_file {
            return Some(format!("status {} {body}", reply.status));
        }
        if self.victim.is_betrayed_by(&reply.body) || self.victim.is_betrayed_by(reply.head.as_bytes()) {
            return Some(format!("tells a secret: {}", String::from_utf8_lossy(&reply.body)));
        }
        let is_api = request.target.starts_with(b"/_matrix") || request.target.starts_with(b"/_synapse");
        let refused_early = reply.body.is_empty() && (request.is_no_http() || request.method == "HEAD");
        if reply.status < 400 || !is_api || refused_early {
            return None;
        }
        let errcode = body["errcode"].as_str();
        // Codes of proposals have the name of the proposal in front.
        let is_proper = |code: &str| code.starts_with("M_") || code.contains(".M_");
        let names_a_code = errcode.is_some_and(|code| is_proper(code) && code.bytes().all(is_of_errcode));
        let says_what = body["error"].as_str().is_some_and(|sentence| !sentence.is_empty());
        let asks_for_more = reply.status == 401 && body["flows"].is_array() && body["session"].is_string();
        let is_told = (names_a_code && says_what) || asks_for_more;
        (!is_told).then(|| format!("{} without an errcode: {}", reply.status, String::from_utf8_lossy(&reply.body)))
    }

    /// Remembers what the answer names, to use it in later requests.
    async fn learn(&mut self, request: &Request, reply: &Reply, token: Option<&str>) {
        let body = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default();
        let answer = format!("{} {}", reply.status, body["errcode"].as_str().unwrap_or_default());
        *self.answers.entry(answer).or_default() += 1;
        for (field, sort) in [
            ("event_id", "event"),
            ("room_id", "room"),
            ("content_uri", "uri"),
            ("next_batch", "token"),
            ("end", "token"),
            ("filter_id", "filter"),
            ("version", "version"),
            ("session", "session"),
        ] {
            if let Some(name) = body[field].as_str() {
                self.names.add_own(sort, name);
            }
        }
        let own = |(_, value): &(String, String)| token.is_some_and(|token| *value == format!("Bearer {token}"));
        let is_out = reply.status == 401 && body["errcode"] == "M_UNKNOWN_TOKEN" && request.headers.iter().any(own);
        // Who logged out or gave up the account comes back as somebody else.
        if is_out || body["errcode"] == "M_USER_DEACTIVATED" && self.user.is_some() {
            self.come_in().await;
        }
    }
}

fn is_of_errcode(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.')
}

#[test]
fn the_table_of_endpoints_is_whole() {
    let all = endpoints::all();
    assert!(all.len() > 180, "{}", all.len());
    let names: BTreeSet<_> = all.iter().map(|endpoint| (&endpoint.method, &endpoint.path)).collect();
    assert!(names.len() + 3 > all.len(), "few are there twice: {} of {}", names.len(), all.len());
    for endpoint in &all {
        let placeholders = endpoint.path.matches('{').count();
        assert_eq!(endpoint.parameters.len(), placeholders, "{endpoint:?}");
    }
}
