//! Who may register, over a store in memory.

use ruma::owned_server_name;

use super::*;
use crate::users::{EmailValidations, NewRegistrationToken, Passwords, Standing};

struct Fixture {
    registration: Registration,
    accounts: Accounts,
    tokens: RegistrationTokens,
}

impl Fixture {
    fn new(mode: RegistrationMode) -> Self {
        Self::with(config::Registration { mode, ..config::Registration::default() })
    }

    fn with(options: config::Registration) -> Self {
        let (store, clock) = (Store::in_memory(), Clock::manual(1_000));
        let cost = config::Passwords { minimum_length: 8, memory_kib: 8, iterations: 1, parallelism: 1 };
        let passwords = Passwords::new(&cost).unwrap();
        let accounts = Accounts::new(store.clone(), passwords, clock.clone(), owned_server_name!("example.org"));
        let tokens = RegistrationTokens::new(store.clone(), clock.clone());
        let validations = EmailValidations::for_tests(store.clone(), clock.clone(), None);
        let third_party_ids = ThirdPartyIds::new(store.clone(), accounts.clone(), validations, clock.clone());
        let registration = Registration::new(store, accounts.clone(), tokens.clone(), third_party_ids, clock, options);
        Self { registration, accounts, tokens }
    }

    async fn register(&self, username: &str, admission: Admission) -> Result<OwnedUserId> {
        let new = NewAccount {
            username: Some(username.to_owned()),
            password: Some("correct horse".to_owned()),
            display_name: None,
            admission,
        };
        self.registration.register(new).await
    }

    async fn log_in(&self, name: &str, password: &str) -> Result<OwnedUserId> {
        let user = self.accounts.user_called(name)?;
        self.accounts.check_password(&user, password).await.map(|()| user)
    }
}

#[tokio::test]
async fn new_people_have_the_picture_that_the_operator_chose() {
    let picture = ruma::OwnedMxcUri::from("mxc://example.org/new");
    let (mode, avatar_url) = (RegistrationMode::Open, Some(picture.clone()));
    let it = Fixture::with(config::Registration { mode, avatar_url, ..config::Registration::default() });
    let alice = it.register("alice", Admission::Open).await.unwrap();
    let profile = PROFILES.get(&it.registration.store.snapshot(), (&alice,)).await.unwrap().unwrap();
    assert_eq!(profile.get("avatar_url"), Some(&picture.as_str().into()));
    assert_eq!(profile.get("displayname"), Some(&"alice".into()));

    let it = Fixture::new(RegistrationMode::Open);
    let alice = it.register("alice", Admission::Open).await.unwrap();
    let profile = PROFILES.get(&it.registration.store.snapshot(), (&alice,)).await.unwrap().unwrap();
    assert_eq!(profile.get("avatar_url"), None);
}

#[tokio::test]
async fn a_new_account_can_log_in_with_its_password_and_no_other() {
    let it = Fixture::new(RegistrationMode::Open);
    let alice = it.register("Alice", Admission::Open).await.unwrap();
    assert_eq!(alice, "@alice:example.org");
    assert_eq!(it.log_in("Alice", "correct horse").await.unwrap(), alice);
    assert_eq!(it.log_in("@alice:example.org", "correct horse").await.unwrap(), alice);
    for (name, password) in [
        ("alice", "wrong horse"),
        ("bob", "correct horse"),
        ("@alice:elsewhere.org", "correct horse"),
        ("not a name", "correct horse"),
        ("alice", ""),
    ] {
        assert_eq!(it.log_in(name, password).await.unwrap_err().kind, Kind::Forbidden, "{name} {password}");
    }
    let account = it.accounts.get(&alice).await.unwrap().unwrap();
    assert_eq!((account.role, account.standing, account.created_at), (Role::User, Standing::Active, 1_000));
}

#[tokio::test]
async fn a_name_is_given_once() {
    let it = Fixture::new(RegistrationMode::Open);
    it.registration.available("alice").await.unwrap();
    it.register("alice", Admission::Open).await.unwrap();
    assert_eq!(it.registration.available("ALICE").await.unwrap_err().kind, Kind::UserInUse);
    assert_eq!(it.register("alice", Admission::Open).await.unwrap_err().kind, Kind::UserInUse);
}

#[tokio::test]
async fn of_two_who_want_a_name_at_once_one_gets_it() {
    let it = Fixture::new(RegistrationMode::Open);
    let (first, second) = tokio::join!(it.register("alice", Admission::Open), it.register("alice", Admission::Open));
    let outcomes = [first, second].map(|outcome| outcome.map_err(|error| error.kind));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.contains(&Err(Kind::UserInUse)));
    assert_eq!(it.accounts.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_username_the_server_finds_one() {
    let it = Fixture::new(RegistrationMode::Open);
    let new = NewAccount { username: None, password: None, display_name: None, admission: Admission::Open };
    let user = it.registration.register(new).await.unwrap();
    assert_eq!(user.localpart().len(), CHOSEN_LENGTH);
    assert_eq!(it.log_in(user.as_str(), "").await.unwrap_err().kind, Kind::Forbidden);
}

#[tokio::test]
async fn a_weak_password_makes_no_account() {
    let it = Fixture::new(RegistrationMode::Open);
    let new = NewAccount {
        username: Some("alice".to_owned()),
        password: Some("short".to_owned()),
        display_name: None,
        admission: Admission::Open,
    };
    assert_eq!(it.registration.register(new).await.unwrap_err().kind, Kind::WeakPassword);
    it.registration.available("alice").await.unwrap();
}

#[tokio::test]
async fn a_one_time_token_makes_one_administrator_and_a_failure_does_not_use_it() {
    let it = Fixture::new(RegistrationMode::Token);
    it.register("taken", Admission::Granted(Role::User)).await.unwrap();
    let new = NewRegistrationToken { uses_allowed: Some(1), role: Role::Administrator, ..Default::default() };
    let token = it.tokens.create(new).await.unwrap();
    let with_token = || Admission::Token(token.clone());
    assert_eq!(it.register("taken", with_token()).await.unwrap_err().kind, Kind::UserInUse);
    let (first, second) = tokio::join!(it.register("alice", with_token()), it.register("bob", with_token()));
    let outcomes = [first, second].map(|outcome| outcome.map_err(|error| error.kind));
    assert!(outcomes.contains(&Err(Kind::Forbidden)));
    let winner = outcomes.into_iter().find_map(Result::ok).unwrap();
    assert_eq!(it.accounts.get(&winner).await.unwrap().unwrap().role, Role::Administrator);
}

#[test]
fn the_mode_decides_the_flows() {
    let stages = |mode| Fixture::new(mode).registration.flows().map(|flows| flows[0].stages.clone());
    assert_eq!(stages(RegistrationMode::Open).unwrap(), [AuthType::Dummy]);
    assert_eq!(stages(RegistrationMode::Token).unwrap(), [AuthType::RegistrationToken]);
    assert_eq!(stages(RegistrationMode::Closed).unwrap_err().kind, Kind::Forbidden);
}

#[tokio::test]
async fn without_a_shared_secret_its_endpoint_is_not_there() {
    let it = Fixture::new(RegistrationMode::Open);
    assert_eq!(it.registration.nonce().unwrap_err().kind, Kind::Unrecognized);
}

#[test]
fn what_is_asked_of_who_registers_follows_from_both_choices() {
    use RegistrationEmail::{Off, Optional, Required};
    use RegistrationMode::{Open, Token};
    let (dummy, email, token) = ("m.login.dummy", "m.login.email.identity", "m.login.registration_token");
    let cases: [(_, _, &[&[&str]]); 6] = [
        (Open, Off, &[&[dummy], &[token]]),
        (Token, Off, &[&[token]]),
        (Open, Optional, &[&[dummy], &[email], &[token, dummy], &[token, email]]),
        (Token, Optional, &[&[token, dummy], &[token, email]]),
        (Open, Required, &[&[email], &[token, email]]),
        (Token, Required, &[&[token, email]]),
    ];
    for (mode, email, expected) in cases {
        let it = Fixture::with(config::Registration { mode, email, ..config::Registration::default() });
        let flows = it.registration.flows().unwrap();
        let stages = |flow: &AuthFlow| flow.stages.iter().map(|stage| stage.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(flows.iter().map(stages).collect::<Vec<_>>(), expected, "{mode:?} {email:?}");
        assert_eq!(it.registration.check_takes_addresses().is_ok(), email != Off);
    }
    let closed = Fixture::with(config::Registration {
        mode: RegistrationMode::Closed,
        email: Required,
        ..config::Registration::default()
    });
    assert_eq!(closed.registration.check_takes_addresses().unwrap_err().kind, Kind::Forbidden);
}
