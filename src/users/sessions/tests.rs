//! What a session promises, over a store in memory and a clock that stands still until told.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use ruma::{device_id, owned_device_id, owned_server_name, user_id};

use super::*;
use crate::{
    error::Error,
    storage::{Direction, KeyRange, Position},
    streams::{Change, Log},
    users::{Passwords, Role, Token},
};

const SEEN: Seen<'_> = Seen { address: IpAddr::V4(Ipv4Addr::LOCALHOST), user_agent: Some("Story/1.0") };
const MINUTE: Duration = Duration::from_secs(60);

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

struct Fixture {
    sessions: Sessions,
    clock: Clock,
}

impl Fixture {
    async fn new() -> Self {
        let clock = Clock::manual(1_000_000);
        let store = Store::in_memory();
        let cost = config::Passwords { minimum_length: 1, memory_kib: 8, iterations: 1, parallelism: 1 };
        let passwords = Passwords::new(&cost).unwrap();
        let accounts = Accounts::new(store.clone(), passwords, clock.clone(), owned_server_name!("example.org"));
        let mut batch = Batch::new();
        accounts.insert(&mut batch, alice(), None, Role::User);
        store.commit(batch).await.unwrap();
        let lifetimes = config::Sessions { access_token_lifetime: 5 * MINUTE, refresh_token_lifetime: 60 * MINUTE };
        let sessions = Sessions::new(store, accounts, Notifier::default(), clock.clone(), lifetimes);
        Self { sessions, clock }
    }

    async fn start(&self, device: &str) -> Grant {
        let device = NewDevice { device_id: Some(device.into()), ..NewDevice::default() };
        self.sessions.start(alice(), device).await.unwrap()
    }

    async fn start_refreshing(&self) -> Grant {
        let device = NewDevice { refreshing: Refreshing::Supported, ..NewDevice::default() };
        self.sessions.start(alice(), device).await.unwrap()
    }

    async fn authenticate(&self, token: &Token) -> Result<Arc<Session>> {
        self.sessions.authenticate(&token.clone().reveal(), SEEN).await
    }

    async fn refresh(&self, token: &Option<Token>) -> Result<Grant> {
        self.sessions.refresh(&token.clone().unwrap().reveal()).await
    }

    /// A second service over the same store, as after a restart.
    fn restarted(&self) -> Self {
        let Sessions { store, accounts, clock, lifetimes, .. } = self.sessions.clone();
        let sessions = Sessions::new(store, accounts, Notifier::default(), clock, lifetimes);
        Self { sessions, clock: self.clock.clone() }
    }

    async fn device_list_changes(&self) -> usize {
        let changes = Log::of_user_since(&self.sessions.store.snapshot(), alice(), Position::ZERO).await.unwrap();
        changes.iter().filter(|(_, change)| matches!(change, Change::DeviceList { .. })).count()
    }
}

fn soft(error: Error) -> bool {
    match error.kind {
        Kind::UnknownToken { soft_logout } => soft_logout,
        kind => panic!("{kind:?} is another failure"),
    }
}

#[tokio::test]
async fn a_token_leads_to_its_device_until_it_logs_out() {
    let it = Fixture::new().await;
    let grant = it.start("PHONE").await;
    assert_eq!((grant.refresh_token.as_ref(), grant.expires_in), (None, None));
    for fixture in [&it, &it.restarted()] {
        let session = fixture.authenticate(&grant.access_token).await.unwrap();
        assert_eq!((&*session.user_id, &*session.device_id), (alice(), device_id!("PHONE")));
    }
    it.sessions.end(alice(), &[owned_device_id!("PHONE")]).await.unwrap();
    assert!(!soft(it.authenticate(&grant.access_token).await.unwrap_err()));
    assert!(!soft(it.restarted().authenticate(&grant.access_token).await.unwrap_err()));
    assert_eq!(it.sessions.devices(alice()).await.unwrap(), []);
}

#[tokio::test]
async fn a_token_that_was_never_given_out_is_unknown() {
    let it = Fixture::new().await;
    for token in ["", "nonsense", "cr_access_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert!(!soft(it.sessions.authenticate(token, SEEN).await.unwrap_err()), "{token:?}");
        assert!(!soft(it.sessions.refresh(token).await.unwrap_err()), "{token:?}");
    }
}

#[tokio::test]
async fn logging_in_again_on_a_device_ends_its_old_session_and_keeps_its_name() {
    let it = Fixture::new().await;
    let device = NewDevice {
        device_id: Some(owned_device_id!("PHONE")),
        display_name: Some("Phone".to_owned()),
        ..NewDevice::default()
    };
    let old = it.sessions.start(alice(), device.clone()).await.unwrap();
    it.authenticate(&old.access_token).await.unwrap();
    let renamed = NewDevice { display_name: Some("Other".to_owned()), ..device };
    let new = it.sessions.start(alice(), renamed).await.unwrap();
    assert!(!soft(it.authenticate(&old.access_token).await.unwrap_err()));
    it.authenticate(&new.access_token).await.unwrap();
    let devices = it.sessions.devices(alice()).await.unwrap();
    assert_eq!((devices.len(), devices[0].display_name.as_deref()), (1, Some("Phone")));
    assert_eq!(it.device_list_changes().await, 1);
}

#[tokio::test]
async fn a_device_id_has_limits() {
    let it = Fixture::new().await;
    for id in ["", &"A".repeat(256)] {
        let device = NewDevice { device_id: Some(id.into()), ..NewDevice::default() };
        assert_eq!(it.sessions.start(alice(), device).await.unwrap_err().kind, Kind::InvalidParam);
    }
}

#[tokio::test]
async fn an_expired_access_token_is_a_soft_logout_until_it_is_refreshed() {
    let it = Fixture::new().await;
    let first = it.start_refreshing().await;
    assert_eq!(first.expires_in, Some(5 * MINUTE));
    it.clock.advance(4 * MINUTE);
    it.authenticate(&first.access_token).await.unwrap();
    it.clock.advance(MINUTE);
    assert!(soft(it.authenticate(&first.access_token).await.unwrap_err()));
    assert!(soft(it.restarted().authenticate(&first.access_token).await.unwrap_err()));
    let second = it.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(second.device_id, first.device_id);
    it.authenticate(&second.access_token).await.unwrap();
}

#[tokio::test]
async fn old_tokens_work_until_the_first_of_the_new_ones_is_used() {
    let it = Fixture::new().await;
    let first = it.start_refreshing().await;
    let lost = it.refresh(&first.refresh_token).await.unwrap();
    it.authenticate(&first.access_token).await.unwrap();

    // The client never got the answer and asks again: only the newer answer counts.
    let second = it.refresh(&first.refresh_token).await.unwrap();
    assert!(!soft(it.authenticate(&lost.access_token).await.unwrap_err()));
    assert!(!soft(it.refresh(&lost.refresh_token).await.unwrap_err()));

    it.authenticate(&second.access_token).await.unwrap();
    assert!(!soft(it.authenticate(&first.access_token).await.unwrap_err()));
    assert!(!soft(it.refresh(&first.refresh_token).await.unwrap_err()));
    it.authenticate(&second.access_token).await.unwrap();
}

#[tokio::test]
async fn using_the_new_refresh_token_ends_the_old_tokens_too() {
    let it = Fixture::new().await;
    let first = it.start_refreshing().await;
    let second = it.refresh(&first.refresh_token).await.unwrap();
    let third = it.refresh(&second.refresh_token).await.unwrap();
    assert!(!soft(it.refresh(&first.refresh_token).await.unwrap_err()));
    assert!(!soft(it.authenticate(&first.access_token).await.unwrap_err()));
    it.authenticate(&second.access_token).await.unwrap();
    it.authenticate(&third.access_token).await.unwrap();
    assert!(!soft(it.authenticate(&second.access_token).await.unwrap_err()));
    assert_eq!(it.sessions.devices(alice()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_refresh_token_expires_softly_and_dies_with_its_device() {
    let it = Fixture::new().await;
    let grant = it.start_refreshing().await;
    it.clock.advance(60 * MINUTE);
    assert!(soft(it.refresh(&grant.refresh_token).await.unwrap_err()));
    it.sessions.end_all(alice()).await.unwrap();
    assert!(!soft(it.refresh(&grant.refresh_token).await.unwrap_err()));
}

#[tokio::test]
async fn ending_all_sessions_ends_refreshed_ones_too() {
    let it = Fixture::new().await;
    let first = it.start_refreshing().await;
    let second = it.refresh(&first.refresh_token).await.unwrap();
    let other = it.start("OTHER").await;
    it.authenticate(&other.access_token).await.unwrap();
    it.sessions.end_all(alice()).await.unwrap();
    for token in [&first.access_token, &second.access_token, &other.access_token] {
        assert!(!soft(it.authenticate(token).await.unwrap_err()));
    }
    assert!(!soft(it.refresh(&second.refresh_token).await.unwrap_err()));
}

#[tokio::test]
async fn a_locked_account_keeps_its_sessions_and_starts_none() {
    let it = Fixture::new().await;
    let grant = it.start_refreshing().await;
    assert!(!it.authenticate(&grant.access_token).await.unwrap().locked);
    it.sessions.lock(alice()).await.unwrap();
    assert!(it.authenticate(&grant.access_token).await.unwrap().locked);
    assert_eq!(it.sessions.start(alice(), NewDevice::default()).await.unwrap_err().kind, Kind::UserLocked);
    assert_eq!(it.refresh(&grant.refresh_token).await.unwrap_err().kind, Kind::UserLocked);
    it.sessions.unlock(alice()).await.unwrap();
    assert!(!it.authenticate(&grant.access_token).await.unwrap().locked);
}

#[tokio::test]
async fn devices_show_when_they_were_last_seen_also_after_a_restart() {
    let it = Fixture::new().await;
    let grant = it.start("PHONE").await;
    assert_eq!(it.sessions.device(alice(), device_id!("PHONE")).await.unwrap().last_seen, None);
    let at = it.clock.millis();
    it.authenticate(&grant.access_token).await.unwrap();
    it.clock.advance(MINUTE / 2);
    it.authenticate(&grant.access_token).await.unwrap();
    let seen = it.sessions.device(alice(), device_id!("PHONE")).await.unwrap().last_seen.unwrap();
    assert_eq!((seen.at, seen.address), (at, SEEN.address));

    assert_eq!(it.restarted().sessions.devices(alice()).await.unwrap()[0].last_seen, None);
    it.sessions.write_last_seen().await.unwrap();
    assert_eq!(it.restarted().sessions.devices(alice()).await.unwrap()[0].last_seen, Some(seen));

    it.clock.advance(MINUTE / 2);
    it.authenticate(&grant.access_token).await.unwrap();
    let seen = it.sessions.devices(alice()).await.unwrap()[0].last_seen.unwrap();
    assert_eq!(seen.at, it.clock.millis());
}

#[tokio::test]
async fn a_device_can_be_renamed_and_only_an_own_one_is_there() {
    let it = Fixture::new().await;
    it.start("PHONE").await;
    it.sessions.rename_device(alice(), device_id!("PHONE"), "My phone").await.unwrap();
    let device = it.sessions.device(alice(), device_id!("PHONE")).await.unwrap();
    assert_eq!(device.display_name.as_deref(), Some("My phone"));
    assert_eq!(it.device_list_changes().await, 2);

    let bob = user_id!("@bob:example.org");
    assert_eq!(it.sessions.device(bob, device_id!("PHONE")).await.unwrap_err().kind, Kind::NotFound);
    let renamed = it.sessions.rename_device(alice(), device_id!("NONE"), "x").await;
    assert_eq!(renamed.unwrap_err().kind, Kind::NotFound);
    let renamed = it.sessions.rename_device(alice(), device_id!("PHONE"), &"x".repeat(101)).await;
    assert_eq!(renamed.unwrap_err().kind, Kind::InvalidParam);
}

#[tokio::test]
async fn nothing_secret_is_in_the_store_or_in_debug_output() {
    let it = Fixture::new().await;
    let grant = it.start_refreshing().await;
    let shown = format!("{grant:?}");
    for token in [grant.access_token, grant.refresh_token.unwrap()] {
        let secret = token.reveal();
        assert!(!shown.contains(&secret));
        let snapshot = it.sessions.store.snapshot();
        let rows = ACCESS_TOKENS.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
        assert!(!rows.is_empty());
        assert!(!format!("{rows:?}").contains(&secret));
    }
}
