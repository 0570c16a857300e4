//! What registered clients and their codes promise, over a store in memory and a clock that stands still until told.

use std::{net::Ipv4Addr, time::Duration};

use ruma::{owned_server_name, user_id};
use serde_json::json;

use super::*;
use crate::{
    config,
    error::Kind,
    matrix::oauth::{AuthorisationRequest, ClientMetadata, ErrorCode, Parameters},
    storage::{
        Direction, KeyRange,
        schema::oauth::{OAUTH_CLIENTS, OAUTH_CODES},
    },
    streams::Notifier,
    users::{Accounts, NewDevice, Passwords, Refreshing, Role, Seen},
};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "https://example.com/cb";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

fn client(name: &str) -> ClientMetadata {
    let sent = json!({"client_name": name, "client_uri": "https://example.com", "redirect_uris": [REDIRECT]});
    ClientMetadata::read(sent).unwrap()
}

struct Fixture {
    oauth: OAuth,
    sessions: Sessions,
    store: Store,
    clock: Clock,
}

impl Fixture {
    async fn new() -> Self {
        let (store, clock) = (Store::in_memory(), Clock::manual(1_000_000));
        let cost = config::Passwords { minimum_length: 1, memory_kib: 8, iterations: 1, parallelism: 1 };
        let passwords = Passwords::new(&cost).unwrap();
        let accounts = Accounts::new(store.clone(), passwords, clock.clone(), owned_server_name!("example.org"));
        let mut batch = Batch::new();
        accounts.insert(&mut batch, alice(), None, Role::User);
        store.commit(batch).await.unwrap();
        let lifetimes =
            config::Sessions { access_token_lifetime: Duration::from_secs(300), refresh_token_lifetime: 90 * DAY };
        let sessions = Sessions::new(store.clone(), accounts, Notifier::default(), clock.clone(), lifetimes);
        Self { oauth: OAuth::new(store.clone(), sessions.clone(), clock.clone()), sessions, store, clock }
    }

    /// A code for the client called `name`, which is registered first, and its id.
    async fn code(&self, name: &str, device: &str) -> (String, String) {
        let client_id = self.oauth.register(&client(name)).await.unwrap();
        let scope = format!("urn:matrix:client:api:* urn:matrix:client:device:{device}");
        let parameters: Parameters = [
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("scope", &scope),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let request = AuthorisationRequest::read(&client_id, client(name), &parameters).unwrap();
        (self.oauth.allow(alice(), &request).await.unwrap().reveal(), client_id)
    }

    async fn exchange(&self, code: &str, client_id: &str) -> Result<OAuthGrant, OAuthFailure> {
        self.oauth.exchange(CodeExchange { code, client_id, redirect_uri: REDIRECT, verifier: VERIFIER }).await
    }

    async fn log_in(&self, name: &str, device: &str) -> (OAuthGrant, String) {
        let (code, client_id) = self.code(name, device).await;
        (self.exchange(&code, &client_id).await.unwrap(), client_id)
    }

    async fn works(&self, grant: &OAuthGrant) -> bool {
        let seen = Seen { address: Ipv4Addr::LOCALHOST.into(), user_agent: None };
        self.sessions.authenticate(&grant.grant.access_token.clone().reveal(), seen).await.is_ok()
    }

    async fn registered(&self) -> usize {
        let rows = OAUTH_CLIENTS.scan(&self.store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX);
        rows.await.unwrap().len()
    }

    async fn noted_sessions(&self) -> (usize, usize) {
        let snapshot = self.store.snapshot();
        let sessions = OAUTH_SESSIONS.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await;
        let by_client = OAUTH_CLIENT_SESSIONS.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await;
        (sessions.unwrap().len(), by_client.unwrap().len())
    }
}

fn refused(outcome: Result<OAuthGrant, OAuthFailure>) -> ErrorCode {
    match outcome {
        Err(OAuthFailure::Refused(refusal)) => refusal.code,
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn equal_clients_are_one() {
    let fixture = Fixture::new().await;
    let id = fixture.oauth.register(&client("A")).await.unwrap();
    assert_eq!(fixture.oauth.register(&client("A")).await.unwrap(), id);
    assert_ne!(fixture.oauth.register(&client("B")).await.unwrap(), id);
    assert_eq!(fixture.registered().await, 2);
    assert_eq!(fixture.oauth.client(&id).await.unwrap(), Some(client("A")));
    assert_eq!(fixture.oauth.client("no such id").await.unwrap(), None);
}

#[tokio::test]
async fn clients_that_nobody_uses_go_after_a_day() {
    let fixture = Fixture::new().await;
    let (_, used) = fixture.log_in("used", "D").await;
    let unused = fixture.oauth.register(&client("unused")).await.unwrap();
    let again = fixture.oauth.register(&client("again")).await.unwrap();
    fixture.clock.advance(DAY / 2);
    assert_eq!(fixture.oauth.register(&client("again")).await.unwrap(), again);
    fixture.clock.advance(DAY / 2 + Duration::from_millis(1));
    fixture.oauth.register(&client("new")).await.unwrap();
    let is_there = async |id: &str| fixture.oauth.client(id).await.unwrap().is_some();
    assert!(is_there(&used).await && is_there(&again).await && !is_there(&unused).await);

    // It goes like the others once its last session has ended.
    fixture.sessions.end_all(alice()).await.unwrap();
    assert_eq!(fixture.noted_sessions().await, (0, 0));
    fixture.clock.advance(Duration::from_secs(1));
    fixture.oauth.register(&client("newer")).await.unwrap();
    assert!(!is_there(&used).await);
}

#[tokio::test]
async fn strangers_do_not_fill_the_disk_with_clients() {
    let fixture = Fixture::new().await;
    let (_, used) = fixture.log_in("used", "D").await;
    for number in 0..510 {
        fixture.clock.advance(Duration::from_millis(1));
        fixture.oauth.register(&client(&number.to_string())).await.unwrap();
    }
    assert_eq!(fixture.registered().await, 501);
    assert!(fixture.oauth.client(&used).await.unwrap().is_some(), "who is used stays");
    fixture.clock.advance(2 * DAY);
    fixture.oauth.register(&client("the next day")).await.unwrap();
    assert_eq!(fixture.registered().await, 2);
}

#[tokio::test]
async fn a_code_works_once_and_its_second_use_ends_the_session() {
    let fixture = Fixture::new().await;
    let (code, client_id) = fixture.code("A", "D").await;
    let granted = fixture.exchange(&code, &client_id).await.unwrap();
    assert_eq!(granted.scope, "urn:matrix:client:api:* urn:matrix:client:device:D");
    assert_eq!((granted.grant.user_id.as_str(), granted.grant.device_id.as_str()), (alice().as_str(), "D"));
    assert!(granted.grant.refresh_token.is_some() && fixture.works(&granted).await);
    let device = fixture.sessions.device(alice(), "D".into()).await.unwrap();
    assert_eq!(device.display_name.as_deref(), Some("A"));

    // A later session on the same device has nothing to do with the code.
    let (later, _) = fixture.log_in("A", "D").await;
    assert_eq!(refused(fixture.exchange(&code, &client_id).await), ErrorCode::InvalidGrant);
    assert!(!fixture.works(&granted).await && fixture.works(&later).await);

    let (code, client_id) = fixture.code("A", "E").await;
    let granted = fixture.exchange(&code, &client_id).await.unwrap();
    fixture.clock.advance(Duration::from_secs(120));
    assert_eq!(refused(fixture.exchange(&code, "somebody else").await), ErrorCode::InvalidGrant);
    assert!(!fixture.works(&granted).await, "two had the code");
    assert!(fixture.sessions.device(alice(), "E".into()).await.is_err());
}

#[tokio::test]
async fn two_who_bring_a_code_at_once_keep_nothing() {
    let fixture = Fixture::new().await;
    let (code, client_id) = fixture.code("A", "D").await;
    let (first, second) = tokio::join!(fixture.exchange(&code, &client_id), fixture.exchange(&code, &client_id));
    let (granted, other) = if first.is_ok() { (first, second) } else { (second, first) };
    assert_eq!(refused(other), ErrorCode::InvalidGrant);
    assert!(!fixture.works(&granted.unwrap()).await);
}

#[tokio::test]
async fn a_code_is_for_one_client_one_place_one_proof_and_one_minute() {
    let fixture = Fixture::new().await;
    let (code, client_id) = fixture.code("A", "D").await;
    let other = fixture.oauth.register(&client("B")).await.unwrap();
    let good = CodeExchange { code: &code, client_id: &client_id, redirect_uri: REDIRECT, verifier: VERIFIER };
    let wrong = [
        CodeExchange { client_id: &other, ..good },
        CodeExchange { redirect_uri: "https://example.com/cb?", ..good },
        CodeExchange { verifier: CHALLENGE, ..good },
        CodeExchange { verifier: "", ..good },
        CodeExchange { code: "cr_code_ffffffffffff_x", ..good },
        CodeExchange { code: "", ..good },
    ];
    for exchange in wrong {
        assert_eq!(refused(fixture.oauth.exchange(exchange).await), ErrorCode::InvalidGrant, "{exchange:?}");
    }
    // A code that says that it lives longer is another one.
    let rest = code.rsplit_once(&format!("{:x}_", 1_000_000 + 60_000)).unwrap().1;
    assert_eq!(
        refused(fixture.exchange(&format!("cr_code_ffffffffff_{rest}"), &client_id).await),
        ErrorCode::InvalidGrant
    );
    fixture.exchange(&code, &client_id).await.unwrap();

    let (late, client_id) = fixture.code("A", "D").await;
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(refused(fixture.exchange(&late, &client_id).await), ErrorCode::InvalidGrant);
    assert!(fixture.sessions.device(alice(), "D".into()).await.is_ok(), "it ended nothing");

    // Old codes are forgotten in the end.
    fixture.clock.advance(DAY);
    fixture.code("A", "D").await;
    let rows = OAUTH_CODES.scan(&fixture.store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX);
    assert_eq!(rows.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_code_opens_no_locked_account() {
    let fixture = Fixture::new().await;
    let (code, client_id) = fixture.code("A", "D").await;
    fixture.sessions.lock(alice()).await.unwrap();
    assert_eq!(refused(fixture.exchange(&code, &client_id).await), ErrorCode::InvalidGrant);
}

#[tokio::test]
async fn refreshed_tokens_are_for_the_client_that_had_those_before() {
    let fixture = Fixture::new().await;
    let (granted, client_id) = fixture.log_in("A", "D").await;
    let token = granted.grant.refresh_token.clone().unwrap().reveal();
    let other = fixture.oauth.register(&client("B")).await.unwrap();
    assert_eq!(refused(fixture.oauth.refresh(&other, &token).await), ErrorCode::InvalidGrant);
    assert_eq!(refused(fixture.oauth.refresh(&client_id, "nonsense").await), ErrorCode::InvalidGrant);
    let access_token = granted.grant.access_token.clone().reveal();
    assert_eq!(refused(fixture.oauth.refresh(&client_id, &access_token).await), ErrorCode::InvalidGrant);

    fixture.sessions.lock(alice()).await.unwrap();
    match fixture.oauth.refresh(&client_id, &token).await {
        Err(OAuthFailure::Failed(error)) => assert_eq!(error.kind, Kind::UserLocked),
        outcome => panic!("{outcome:?}"),
    }
    fixture.sessions.unlock(alice()).await.unwrap();

    // An answer that got lost is asked for again.
    fixture.oauth.refresh(&client_id, &token).await.unwrap();
    let refreshed = fixture.oauth.refresh(&client_id, &token).await.unwrap();
    assert_eq!(refreshed.scope, granted.scope);
    assert!(fixture.works(&refreshed).await && !fixture.works(&granted).await);
    assert_eq!(refused(fixture.oauth.refresh(&client_id, &token).await), ErrorCode::InvalidGrant);

    // Sessions that began otherwise are no client's.
    let device = NewDevice { refreshing: Refreshing::Supported, ..NewDevice::default() };
    let legacy = fixture.sessions.start(alice(), device).await.unwrap().refresh_token.unwrap().reveal();
    assert_eq!(refused(fixture.oauth.refresh(&client_id, &legacy).await), ErrorCode::InvalidGrant);
}

#[tokio::test]
async fn either_token_ends_the_session() {
    let fixture = Fixture::new().await;
    for by_refresh_token in [false, true] {
        let (granted, _) = fixture.log_in("A", "D").await;
        let token = match by_refresh_token {
            true => granted.grant.refresh_token.clone().unwrap().reveal(),
            false => granted.grant.access_token.clone().reveal(),
        };
        assert_eq!(fixture.noted_sessions().await, (1, 1));
        assert_eq!(fixture.oauth.revoke(&token).await.unwrap().as_deref(), Some(alice()));
        assert!(!fixture.works(&granted).await);
        assert_eq!(fixture.oauth.revoke(&token).await.unwrap(), None);
        assert_eq!(fixture.noted_sessions().await, (0, 0));
    }
}

#[tokio::test]
async fn a_device_that_logs_in_otherwise_is_the_clients_no_more() {
    let fixture = Fixture::new().await;
    let (granted, client_id) = fixture.log_in("A", "D").await;
    let device = NewDevice { device_id: Some("D".into()), refreshing: Refreshing::Supported, ..NewDevice::default() };
    let legacy = fixture.sessions.start(alice(), device).await.unwrap();
    assert_eq!(fixture.noted_sessions().await, (0, 0));
    assert!(!fixture.works(&granted).await);
    let token = legacy.refresh_token.unwrap().reveal();
    assert_eq!(refused(fixture.oauth.refresh(&client_id, &token).await), ErrorCode::InvalidGrant);

    // And the other way round.
    let (granted, _) = fixture.log_in("B", "D").await;
    assert_eq!(fixture.noted_sessions().await, (1, 1));
    assert!(fixture.works(&granted).await);
}
