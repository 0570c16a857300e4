//! Who can prove an address, for what and how often, over a store in memory and mails that nobody sends.

use std::time::Duration;

use ruma::{owned_server_name, user_id};

use super::*;
use crate::{
    config,
    outgoing::mail::{Mailer, Sent},
    storage::schema::{
        third_party_ids::{Purpose, VALIDATION_ENDS, VALIDATION_REQUESTS, VALIDATIONS},
        users::Role,
    },
    streams::Notifier,
    users::{Belongings, OtherSessions, Passwords, Sessions, deactivate, reset_password},
};

const SECRET: &str = "client_secret";

struct Fixture {
    store: Store,
    clock: Clock,
    mailer: Mailer,
    accounts: Accounts,
    sessions: Sessions,
    validations: EmailValidations,
    ids: ThirdPartyIds,
}

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

fn bob() -> &'static UserId {
    user_id!("@bob:example.org")
}

fn wanted(purpose: Purpose, email: &str) -> ValidationRequest<'_> {
    ValidationRequest { purpose, email, client_secret: SECRET, send_attempt: 1, next_link: None, requester: None }
}

impl Fixture {
    /// With Alice and Bob, who have no addresses.
    async fn new() -> Self {
        let (store, clock) = (Store::in_memory(), Clock::manual(10 * 86_400_000));
        let cost = config::Passwords { minimum_length: 8, memory_kib: 8, iterations: 1, parallelism: 1 };
        let passwords = Passwords::new(&cost).unwrap();
        let accounts = Accounts::new(store.clone(), passwords, clock.clone(), owned_server_name!("example.org"));
        let mut batch = Batch::new();
        [alice(), bob()].into_iter().for_each(|user| accounts.insert(&mut batch, user, None, Role::User));
        store.commit(batch).await.unwrap();
        let lifetimes = config::Sessions::default();
        let sessions = Sessions::new(store.clone(), accounts.clone(), Notifier::default(), clock.clone(), lifetimes);
        let mailer = Mailer::outbox();
        let validations = EmailValidations::for_tests(store.clone(), clock.clone(), Some(mailer.clone()));
        let ids = ThirdPartyIds::new(store.clone(), accounts.clone(), validations.clone(), clock.clone());
        Self { store, clock, mailer, accounts, sessions, validations, ids }
    }

    fn last_mail(&self) -> Sent {
        self.mailer.sent().pop().expect("a mail was sent")
    }

    /// Has a mail sent; gives the id and the code.
    async fn begin(&self, purpose: Purpose, email: &str) -> (String, String) {
        let id = self.validations.request(wanted(purpose, email)).await.unwrap();
        (id, self.last_mail().code.expect("the mail has a code"))
    }

    async fn prove(&self, purpose: Purpose, email: &str) -> ValidatedAddress {
        let (id, code) = self.begin(purpose, email).await;
        self.validations.confirm(&id, Some(SECRET), &code).await.unwrap();
        self.validations.proved(purpose, &id, SECRET).await.unwrap()
    }

    async fn add(&self, user: &UserId, email: &str) -> Result<()> {
        let proof = self.prove(Purpose::Add, email).await;
        self.ids.add(user, &proof).await
    }

    async fn addresses(&self, user: &UserId) -> Vec<String> {
        self.ids.of(user).await.unwrap().into_iter().map(|id| id.address).collect()
    }

    async fn reset(&self, user: &UserId, proof: &ValidatedAddress) -> Result<()> {
        let services = (&self.accounts, &self.sessions, &self.ids);
        reset_password(services, user, "battery staple", &OtherSessions::End { but: None }, proof).await
    }
}

fn kind<T: std::fmt::Debug>(outcome: Result<T>) -> Kind {
    outcome.unwrap_err().kind
}

#[tokio::test]
async fn whoever_reads_the_mail_and_asked_for_it_has_the_address() {
    let it = Fixture::new().await;
    let (id, code) = it.begin(Purpose::Add, "Alice@Example.ORG").await;
    let mail = it.last_mail();
    assert_eq!(mail.to, "alice@example.org", "mails go to the canonical address only");
    assert!(mail.message.contains(&code));
    assert_eq!(kind(it.validations.proved(Purpose::Add, &id, SECRET).await), Kind::AddressUnproven);

    let confirmed = it.validations.confirm(&id, Some(SECRET), &code).await.unwrap();
    assert_eq!(confirmed, Confirmed { purpose: Purpose::Add, next_link: None });
    it.validations.confirm(&id, Some(SECRET), &code).await.unwrap();
    let proof = it.validations.proved(Purpose::Add, &id, SECRET).await.unwrap();
    it.clock.advance(Duration::from_secs(1));
    it.ids.add(alice(), &proof).await.unwrap();
    let ids = it.ids.of(alice()).await.unwrap();
    assert_eq!((ids[0].medium.as_str(), ids[0].address.as_str()), ("email", "alice@example.org"));
    assert_eq!(u64::from(ids[0].added_at.0) - u64::from(ids[0].validated_at.0), 1_000);
    assert_eq!(it.accounts.user_with_address("ALICE@example.org").await.unwrap().as_deref(), Some(alice()));

    // A proof counts once.
    assert_eq!(kind(it.ids.add(bob(), &proof).await), Kind::AddressUnproven);
    assert_eq!(kind(it.validations.proved(Purpose::Add, &id, SECRET).await), Kind::AddressUnproven);
    for left in [
        VALIDATIONS.scan(&it.store.snapshot(), KeyRange::all(), Direction::Forward, 9).await.unwrap().len(),
        VALIDATION_REQUESTS.scan(&it.store.snapshot(), KeyRange::all(), Direction::Forward, 9).await.unwrap().len(),
        VALIDATION_ENDS.scan(&it.store.snapshot(), KeyRange::all(), Direction::Forward, 9).await.unwrap().len(),
    ] {
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn a_proof_for_one_thing_is_none_for_another() {
    let it = Fixture::new().await;
    it.add(alice(), "alice@example.org").await.unwrap();
    let purposes = [Purpose::Register, Purpose::Add, Purpose::ResetPassword];
    for purpose in purposes {
        let email = if purpose == Purpose::ResetPassword { "alice@example.org" } else { "other@example.org" };
        let (id, code) = it.begin(purpose, email).await;
        it.validations.confirm(&id, None, &code).await.unwrap();
        for other in purposes {
            let proved = it.validations.proved(other, &id, SECRET).await;
            assert_eq!(proved.is_ok(), other == purpose, "{purpose:?} as {other:?}");
        }
        assert_eq!(kind(it.validations.proved(purpose, &id, "another_secret").await), Kind::AddressUnproven);
    }
}

#[tokio::test]
async fn a_wrong_code_is_refused_and_too_many_end_it() {
    let it = Fixture::new().await;
    let (id, code) = it.begin(Purpose::Add, "alice@example.org").await;
    assert_eq!(kind(it.validations.confirm(&id, Some("another_secret"), &code).await), Kind::InvalidParam);
    assert_eq!(kind(it.validations.confirm("another", Some(SECRET), &code).await), Kind::InvalidParam);
    for _ in 0..validations::MAXIMUM_FAILURES - 1 {
        assert_eq!(
            kind(it.validations.confirm(&id, Some(SECRET), "aaaaa-bbbbb-ccccc-ddddd").await),
            Kind::TokenIncorrect
        );
    }
    it.validations.look(&id, &code.to_uppercase().replace('-', " ")).await.unwrap();
    assert_eq!(kind(it.validations.look(&id, "").await), Kind::TokenIncorrect);
    assert_eq!(kind(it.validations.confirm(&id, Some(SECRET), &code).await), Kind::SessionExpired);
    // Another mail begins anew.
    let again = ValidationRequest { send_attempt: 2, ..wanted(Purpose::Add, "alice@example.org") };
    let other = it.validations.request(again).await.unwrap();
    assert_ne!(other, id);
    it.validations.confirm(&other, Some(SECRET), &it.last_mail().code.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_mail_works_for_its_time_and_a_proof_for_as_long_again() {
    let it = Fixture::new().await;
    let (id, code) = it.begin(Purpose::Add, "alice@example.org").await;
    it.clock.advance(Duration::from_secs(3_600));
    assert_eq!(kind(it.validations.confirm(&id, Some(SECRET), &code).await), Kind::SessionExpired);

    let (id, code) = it.begin(Purpose::Add, "alice@example.org").await;
    it.clock.advance(Duration::from_secs(3_599));
    it.validations.confirm(&id, Some(SECRET), &code).await.unwrap();
    it.clock.advance(Duration::from_secs(3_599));
    let proof = it.validations.proved(Purpose::Add, &id, SECRET).await.unwrap();
    it.clock.advance(Duration::from_secs(1));
    assert_eq!(kind(it.ids.add(alice(), &proof).await), Kind::AddressUnproven);
}

#[tokio::test]
async fn the_same_request_sends_one_mail_and_a_later_one_another() {
    let it = Fixture::new().await;
    let email = "alice@example.org";
    let attempt = |send_attempt, email| ValidationRequest { send_attempt, ..wanted(Purpose::Add, email) };
    let (first, second) = tokio::join!(
        it.validations.request(attempt(2, email)),
        it.validations.request(attempt(2, "ALICE@example.org"))
    );
    let id = first.unwrap();
    assert_eq!(second.unwrap(), id);
    it.validations.request(attempt(1, email)).await.unwrap();
    assert_eq!(it.mailer.sent().len(), 1);
    assert_eq!(it.validations.request(attempt(3, email)).await.unwrap(), id);
    assert_eq!(it.mailer.sent().len(), 2);
    // Both mails work.
    for mail in it.mailer.sent() {
        it.validations.look(&id, &mail.code.unwrap()).await.unwrap();
    }
    let other = ValidationRequest { client_secret: "other", ..attempt(1, email) };
    assert_ne!(it.validations.request(other).await.unwrap(), id);
    assert_eq!(it.mailer.sent().len(), 3);
    // Once it is confirmed, the same request sends nothing, and a later one begins anew.
    it.validations.confirm(&id, None, &it.mailer.sent()[0].code.clone().unwrap()).await.unwrap();
    assert_eq!(it.validations.request(attempt(3, email)).await.unwrap(), id);
    assert_eq!(it.mailer.sent().len(), 3);
    assert_ne!(it.validations.request(attempt(4, email)).await.unwrap(), id);
    assert!(it.validations.proved(Purpose::Add, &id, SECRET).await.is_ok());
}

#[tokio::test]
async fn a_mail_that_did_not_go_out_is_sent_by_the_same_request() {
    let it = Fixture::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "server_name = \"example.org\"\ndata_dir = \"d\"\n[mail]\nhost = \"127.0.0.1\"\nport = {port}\n\
         security = \"none\"\nfrom = \"a@example.org\""
    );
    let config = config::Config::read(&text, "".as_ref(), []).unwrap();
    let broken = EmailValidations::new(it.store.clone(), it.clock.clone(), &config).unwrap();
    let request = wanted(Purpose::Add, "alice@example.org");
    assert_eq!(kind(broken.request(request).await), Kind::Internal);
    it.validations.request(request).await.unwrap();
    assert_eq!(it.mailer.sent().len(), 1);
}

#[tokio::test]
async fn who_asks_does_not_learn_whether_an_account_has_the_address() {
    let it = Fixture::new().await;
    it.add(alice(), "alice@example.org").await.unwrap();
    let cases = [
        (Purpose::Register, "alice@example.org", "You have an account on example.org already"),
        (Purpose::Add, "alice@example.org", "You have an account on example.org already"),
        (Purpose::ResetPassword, "nobody@example.org", "No account with this address on example.org"),
    ];
    for (purpose, email, subject) in cases {
        let id = it.validations.request(wanted(purpose, email)).await.unwrap();
        let mail = it.last_mail();
        assert_eq!((mail.to.as_str(), mail.code), (email, None));
        assert!(mail.message.contains(&format!("Subject: {subject}\r\n")), "{}", mail.message);
        assert!(!mail.message.contains(&id));
        // It behaves as any other validation does of which somebody does not know the code.
        assert_eq!(kind(it.validations.confirm(&id, Some(SECRET), "guess").await), Kind::TokenIncorrect);
        assert_eq!(kind(it.validations.proved(purpose, &id, SECRET).await), Kind::AddressUnproven);
    }
    let sent = it.mailer.sent().len();
    let logged_in = ValidationRequest { requester: Some(bob()), ..wanted(Purpose::Add, "alice@example.org") };
    assert_eq!(kind(it.validations.request(logged_in).await), Kind::AddressInUse);
    assert_eq!(it.mailer.sent().len(), sent);
}

#[tokio::test]
async fn an_address_belongs_to_one_account_until_that_lets_it_go() {
    let it = Fixture::new().await;
    let proof = it.prove(Purpose::Add, "alice@example.org").await;
    let other = ValidationRequest { client_secret: "bobs", ..wanted(Purpose::Add, "alice@example.org") };
    let id = it.validations.request(other).await.unwrap();
    it.validations.confirm(&id, None, &it.last_mail().code.unwrap()).await.unwrap();
    let bobs = it.validations.proved(Purpose::Add, &id, "bobs").await.unwrap();
    let (first, second) = tokio::join!(it.ids.add(alice(), &proof), it.ids.add(bob(), &bobs));
    first.unwrap();
    assert_eq!(kind(second), Kind::AddressInUse);

    it.ids.remove(bob(), &Medium::Email, "alice@example.org").await.unwrap();
    it.ids.remove(alice(), &Medium::Msisdn, "alice@example.org").await.unwrap();
    it.ids.remove(alice(), &Medium::Email, "nonsense").await.unwrap();
    assert_eq!(it.addresses(alice()).await, ["alice@example.org"]);
    it.ids.remove(alice(), &Medium::Email, "ALICE@example.org").await.unwrap();
    assert_eq!(it.addresses(alice()).await, [] as [&str; 0]);
    it.ids.add(bob(), &bobs).await.unwrap();
    assert_eq!(it.addresses(bob()).await, ["alice@example.org"]);
}

#[tokio::test]
async fn an_account_that_ends_frees_its_addresses_and_gets_no_more() {
    let it = Fixture::new().await;
    it.add(alice(), "alice@example.org").await.unwrap();
    let proof = it.prove(Purpose::Add, "other@example.org").await;
    let reset = it.prove(Purpose::ResetPassword, "alice@example.org").await;
    deactivate(&it.accounts, &it.sessions, alice(), Belongings::Keep).await.unwrap();
    assert_eq!(it.addresses(alice()).await, [] as [&str; 0]);
    assert_eq!(it.accounts.user_with_address("alice@example.org").await.unwrap(), None);
    assert_eq!(kind(it.ids.add(alice(), &proof).await), Kind::UserDeactivated);
    assert_eq!(kind(it.validations.owner(&reset).await), Kind::AddressUnproven);
    assert_eq!(kind(it.reset(alice(), &reset).await), Kind::AddressUnproven);
    it.ids.add(bob(), &proof).await.unwrap();
}

#[tokio::test]
async fn a_password_is_reset_once_by_who_still_has_the_address() {
    let it = Fixture::new().await;
    it.add(alice(), "alice@example.org").await.unwrap();
    let proof = it.prove(Purpose::ResetPassword, "alice@example.org").await;
    assert_eq!(it.validations.owner(&proof).await.unwrap(), alice());
    assert_eq!(kind(it.reset(bob(), &proof).await), Kind::AddressUnproven);
    it.reset(alice(), &proof).await.unwrap();
    it.accounts.check_password(alice(), "battery staple").await.unwrap();
    assert_eq!(kind(it.reset(alice(), &proof).await), Kind::AddressUnproven);

    let proof = it.prove(Purpose::ResetPassword, "alice@example.org").await;
    it.sessions.lock(alice()).await.unwrap();
    assert_eq!(kind(it.reset(alice(), &proof).await), Kind::UserLocked);
    it.sessions.unlock(alice()).await.unwrap();
    it.ids.remove(alice(), &Medium::Email, "alice@example.org").await.unwrap();
    assert_eq!(kind(it.reset(alice(), &proof).await), Kind::AddressUnproven);
}

#[tokio::test]
async fn what_a_client_sends_is_checked() {
    let it = Fixture::new().await;
    let good = wanted(Purpose::Add, "alice@example.org");
    let long = "a".repeat(256);
    for client_secret in ["", "a b", "sécret", "a/b", &long] {
        let request = ValidationRequest { client_secret, ..good };
        assert_eq!(kind(it.validations.request(request).await), Kind::InvalidParam, "{client_secret:?}");
    }
    for email in ["", "alice", "alice@example.org\r\nBcc: bob@example.org", "Alice <alice@example.org>"] {
        let request = ValidationRequest { email, ..good };
        assert_eq!(kind(it.validations.request(request).await), Kind::InvalidParam, "{email:?}");
    }
    let long = format!("https://app.example.org/{}", "a".repeat(2_048));
    for link in ["javascript:alert(1)", "//app.example.org", "app.example.org", "https://a@app.example.org/", &long] {
        let request = ValidationRequest { next_link: Some(link), ..good };
        assert_eq!(kind(it.validations.request(request).await), Kind::InvalidParam, "{link}");
    }
    assert!(it.mailer.sent().is_empty());
}

#[tokio::test]
async fn only_trusted_hosts_are_led_to() {
    let it = Fixture::new().await;
    let cases = [
        ("https://app.example.org/#/register?a=b", Some("https://app.example.org/#/register?a=b")),
        ("https://evil.example/", None),
        ("https://app.example.org.evil.example/", None),
        ("https://evil.example\\@app.example.org/", None),
        ("", None),
    ];
    for (number, (link, expected)) in cases.into_iter().enumerate() {
        let secret = number.to_string();
        let request = ValidationRequest {
            next_link: Some(link),
            client_secret: &secret,
            ..wanted(Purpose::Add, "a@example.org")
        };
        let id = it.validations.request(request).await.unwrap();
        let confirmed = it.validations.confirm(&id, None, &it.last_mail().code.unwrap()).await.unwrap();
        assert_eq!(confirmed.next_link.as_deref(), expected, "{link}");
    }
}

#[tokio::test]
async fn what_is_over_for_long_is_removed_little_by_little() {
    let it = Fixture::new().await;
    for number in 0..15 {
        let secret = number.to_string();
        let request = ValidationRequest { client_secret: &secret, ..wanted(Purpose::Add, "a@example.org") };
        it.validations.request(request).await.unwrap();
    }
    it.clock.advance(Duration::from_secs(86_400 + 3_601));
    let left = async |number: u64| {
        let secret = format!("later{number}");
        let request = ValidationRequest { client_secret: &secret, ..wanted(Purpose::Add, "a@example.org") };
        it.validations.request(request).await.unwrap();
        let snapshot = it.store.snapshot();
        let validations = VALIDATIONS.scan(&snapshot, KeyRange::all(), Direction::Forward, 99).await.unwrap().len();
        let requests = VALIDATION_REQUESTS.scan(&snapshot, KeyRange::all(), Direction::Forward, 99).await.unwrap();
        assert_eq!(validations, requests.len());
        validations
    };
    assert_eq!(left(1).await, 6);
    assert_eq!(left(2).await, 2);
}

#[tokio::test]
async fn a_server_without_mail_says_so() {
    let it = Fixture::new().await;
    let without = EmailValidations::for_tests(it.store.clone(), it.clock.clone(), None);
    assert!(!without.are_possible() && without.submit_url().is_none());
    for (purpose, expected) in [
        (Purpose::Add, Kind::MediumNotSupported),
        (Purpose::Register, Kind::AddressDenied),
        (Purpose::ResetPassword, Kind::AddressDenied),
    ] {
        assert_eq!(kind(without.request(wanted(purpose, "alice@example.org")).await), expected);
    }
}

#[tokio::test]
async fn an_account_has_so_many_addresses_and_no_more() {
    let it = Fixture::new().await;
    for number in 0..MAXIMUM_PER_ACCOUNT {
        it.add(alice(), &format!("a{number}@example.org")).await.unwrap();
    }
    assert_eq!(kind(it.add(alice(), "one-more@example.org").await), Kind::Forbidden);
}
