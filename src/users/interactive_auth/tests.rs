//! What a client can and cannot prove, over a store in memory.

use ruma::{owned_server_name, user_id};
use serde_json::{Value, json};

use super::*;
use crate::{
    config,
    outgoing::mail::Mailer,
    storage::{
        Batch, Store,
        schema::users::{PasswordHash, Role},
    },
    users::{NewRegistrationToken, Passwords, ValidationRequest},
};

struct Fixture {
    auth: InteractiveAuth,
    tokens: RegistrationTokens,
    validations: EmailValidations,
    mailer: Mailer,
    clock: Clock,
}

impl Fixture {
    async fn new() -> Self {
        let (store, clock) = (Store::in_memory(), Clock::manual(1_000));
        let cost = config::Passwords { minimum_length: 1, memory_kib: 8, iterations: 1, parallelism: 1 };
        let passwords = Passwords::new(&cost).unwrap();
        let accounts =
            Accounts::new(store.clone(), passwords.clone(), clock.clone(), owned_server_name!("example.org"));
        let mut batch = Batch::new();
        for (user, password) in [(alice(), "alice's"), (user_id!("@bob:example.org"), "bob's")] {
            let hash: PasswordHash = passwords.hash(password).await.unwrap();
            accounts.insert(&mut batch, user, Some(hash), Role::User);
        }
        store.commit(batch).await.unwrap();
        let tokens = RegistrationTokens::new(store.clone(), clock.clone());
        let mailer = Mailer::outbox();
        let validations = EmailValidations::for_tests(store, clock.clone(), Some(mailer.clone()));
        let auth = InteractiveAuth::new(accounts, tokens.clone(), validations.clone(), clock.clone());
        Self { auth, tokens, validations, mailer, clock }
    }

    async fn delete_device(&self, device: &str, auth: Option<Value>) -> Result<Proof> {
        let operation = Operation::of_user(alice(), "delete devices", vec![device.to_owned()]);
        self.authorise(operation, &[&[AuthType::Password]], auth).await
    }

    async fn authorise(&self, operation: Operation, flows: &[&[AuthType]], auth: Option<Value>) -> Result<Proof> {
        let flows: Vec<_> = flows.iter().map(|stages| AuthFlow::new(stages.to_vec())).collect();
        let auth: Option<AuthData> = auth.map(|auth| serde_json::from_value(auth).unwrap());
        self.auth.authorise(operation, &flows, auth.as_ref()).await
    }
}

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

fn password(user: &str, password: &str, session: Option<&str>) -> Option<Value> {
    let identifier = json!({"type": "m.id.user", "user": user});
    Some(json!({"type": "m.login.password", "identifier": identifier, "password": password, "session": session}))
}

fn info(outcome: Result<Proof>) -> UiaaInfo {
    match outcome.unwrap_err() {
        Error { kind: Kind::InteractiveAuth(info), .. } => *info,
        error => panic!("{error:?} is no challenge"),
    }
}

#[tokio::test]
async fn a_client_asks_and_then_answers_in_its_session() {
    let it = Fixture::new().await;
    let challenge = info(it.delete_device("A", None).await);
    assert_eq!(challenge.flows[0].stages, [AuthType::Password]);
    assert_eq!(challenge.params.unwrap().get(), "{}");
    let session = challenge.session.as_deref();
    let proof = it.delete_device("A", password("alice", "alice's", session)).await.unwrap();
    assert_eq!(proof.user.as_deref(), Some(alice()));
    // It is used up: the next operation of the same kind asks again.
    let again = info(it.delete_device("A", Some(json!({"session": session.unwrap()}))).await);
    assert_ne!(again.session, challenge.session);
}

#[tokio::test]
async fn the_first_request_may_answer_already() {
    let it = Fixture::new().await;
    it.delete_device("A", password("@alice:example.org", "alice's", None)).await.unwrap();
    let open: &[&[AuthType]] = &[&[AuthType::Dummy]];
    let register = Operation::of_stranger("register");
    it.authorise(register.clone(), open, Some(json!({"type": "m.login.dummy"}))).await.unwrap();
    assert_eq!(info(it.authorise(register, open, None).await).flows[0].stages, [AuthType::Dummy]);
}

#[tokio::test]
async fn a_wrong_password_can_be_corrected_in_the_same_session() {
    let it = Fixture::new().await;
    let challenge = info(it.delete_device("A", password("alice", "wrong", None)).await);
    let error = challenge.auth_error.unwrap();
    assert!(matches!(error.kind, ErrorKind::Forbidden) && !error.message.is_empty());
    it.delete_device("A", password("alice", "alice's", challenge.session.as_deref())).await.unwrap();
}

#[tokio::test]
async fn somebody_elses_password_is_refused() {
    let it = Fixture::new().await;
    for user in ["bob", "nobody", "@alice:elsewhere.org"] {
        let outcome = it.delete_device("A", password(user, "bob's", None)).await;
        assert_eq!(outcome.unwrap_err().kind, Kind::Forbidden, "{user}");
    }
    let threepid = json!({"type": "m.id.thirdparty", "medium": "email", "address": "alice@example.org"});
    let auth = json!({"type": "m.login.password", "identifier": threepid, "password": "alice's"});
    assert_eq!(it.delete_device("A", Some(auth)).await.unwrap_err().kind, Kind::Forbidden);
}

#[tokio::test]
async fn a_session_is_good_for_its_own_operation_only() {
    let it = Fixture::new().await;
    let session = info(it.delete_device("A", None).await).session;
    let outcome = it.delete_device("B", password("alice", "alice's", session.as_deref())).await;
    assert_eq!(outcome.unwrap_err().kind, Kind::Forbidden);
    it.delete_device("A", password("alice", "alice's", session.as_deref())).await.unwrap();
}

#[tokio::test]
async fn an_old_or_invented_session_starts_over() {
    let it = Fixture::new().await;
    let old = info(it.delete_device("A", None).await).session;
    it.clock.advance(LIFETIME);
    for session in [old.as_deref(), Some("invented")] {
        let challenge = info(it.delete_device("A", password("alice", "alice's", session)).await);
        assert_ne!(challenge.session.as_deref(), session);
        assert!(challenge.auth_error.is_some());
    }
}

#[tokio::test]
async fn a_registration_token_is_proof_while_it_is_valid() {
    let it = Fixture::new().await;
    let token = it.tokens.create(NewRegistrationToken::default()).await.unwrap();
    let flows: &[&[AuthType]] = &[&[AuthType::Dummy], &[AuthType::RegistrationToken]];
    let register = |token: &str| {
        let auth = json!({"type": "m.login.registration_token", "token": token});
        it.authorise(Operation::of_stranger("register"), flows, Some(auth))
    };
    assert_eq!(register(&token).await.unwrap().registration_token.as_deref(), Some(&*token));
    assert!(info(register("other").await).auth_error.is_some());
    it.tokens.revoke(&token).await.unwrap();
    assert!(info(register(&token).await).auth_error.is_some());
}

#[tokio::test]
async fn stages_come_in_order_and_are_passed_once() {
    let it = Fixture::new().await;
    let flows: &[&[AuthType]] = &[&[AuthType::Dummy, AuthType::Password]];
    let operation = || Operation::of_user(alice(), "test", Vec::new());
    let out_of_order = info(it.authorise(operation(), flows, password("alice", "alice's", None)).await);
    assert!(out_of_order.completed.is_empty() && out_of_order.auth_error.is_some());

    let session = out_of_order.session.unwrap();
    let dummy = || Some(json!({"type": "m.login.dummy", "session": session}));
    for _ in 0..2 {
        let challenge = info(it.authorise(operation(), flows, dummy()).await);
        assert_eq!((challenge.completed, challenge.session.as_ref()), (vec![AuthType::Dummy], Some(&session)));
        assert!(challenge.auth_error.is_none());
    }
    it.authorise(operation(), flows, password("alice", "alice's", Some(&session))).await.unwrap();
}

#[tokio::test]
async fn an_unknown_stage_passes_nothing() {
    let it = Fixture::new().await;
    let challenge = info(it.delete_device("A", Some(json!({"type": "m.login.msisdn2"}))).await);
    assert!(challenge.completed.is_empty() && challenge.auth_error.is_some());
}

#[tokio::test]
async fn an_address_is_proof_for_its_purpose_once_it_is_confirmed() {
    let it = Fixture::new().await;
    let flows: &[&[AuthType]] = &[&[AuthType::EmailIdentity]];
    let register = || Operation::of_stranger("register").with_address_for(Purpose::Register);
    let request = ValidationRequest {
        purpose: Purpose::Register,
        email: "new@example.org",
        client_secret: "secret",
        send_attempt: 1,
        next_link: None,
        requester: None,
    };
    let sid = it.validations.request(request).await.unwrap();
    let auth = |secret: &str| {
        let credentials = json!({"sid": sid, "client_secret": secret});
        Some(json!({"type": "m.login.email.identity", "threepid_creds": credentials}))
    };
    let waiting = info(it.authorise(register(), flows, auth("secret")).await);
    assert!(matches!(waiting.auth_error.unwrap().kind, ErrorKind::ThreepidAuthFailed));
    let code = it.mailer.sent().pop().unwrap().code.unwrap();
    it.validations.confirm(&sid, None, &code).await.unwrap();
    assert!(info(it.authorise(register(), flows, auth("another")).await).auth_error.is_some());
    let reset = Operation::of_stranger("reset").with_address_for(Purpose::ResetPassword);
    assert!(info(it.authorise(reset, flows, auth("secret")).await).auth_error.is_some());
    let proof = it.authorise(register(), flows, auth("secret")).await.unwrap();
    assert!(proof.address.is_some() && proof.user.is_none());
}
