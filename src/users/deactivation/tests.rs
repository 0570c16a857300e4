//! What is left of an account that ended or changed its password, over a store in memory.

use ruma::{device_id, event_id, owned_device_id, owned_server_name, profile::ProfileFieldValue, room_id, user_id};
use serde_json::value::RawValue;

use super::*;
use crate::{
    clock::Clock,
    config,
    error::Kind,
    storage::{Store, schema::users::Role},
    streams::Notifier,
    users::{
        AccountData, EmailValidations, NewDevice, OtherSessions, Passwords, Profiles, PushRules, RoomsBehind,
        ThirdPartyIds, ThreadSubscription, ThreadSubscriptions, change_password,
        registration::{Admission, NewAccount, Registration},
        registration_tokens::RegistrationTokens,
    },
};

struct Fixture {
    store: Store,
    accounts: Accounts,
    sessions: Sessions,
    registration: Registration,
}

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

impl Fixture {
    /// With Alice, whose password is "old password" and who has the devices A, B and C.
    async fn new() -> Self {
        let (store, clock) = (Store::in_memory(), Clock::manual(1_000));
        let cost = config::Passwords { minimum_length: 8, memory_kib: 8, iterations: 1, parallelism: 1 };
        let passwords = Passwords::new(&cost).unwrap();
        let accounts = Accounts::new(store.clone(), passwords, clock.clone(), owned_server_name!("example.org"));
        let (notifier, lifetimes) = (Notifier::default(), config::Sessions::default());
        let sessions = Sessions::new(store.clone(), accounts.clone(), notifier, clock.clone(), lifetimes);
        let tokens = RegistrationTokens::new(store.clone(), clock.clone());
        let validations = EmailValidations::for_tests(store.clone(), clock.clone(), None);
        let third_party_ids = ThirdPartyIds::new(store.clone(), accounts.clone(), validations, clock.clone());
        let options = config::Registration::default();
        let registration = Registration::new(store.clone(), accounts.clone(), tokens, third_party_ids, clock, options);
        let it = Self { store, accounts, sessions, registration };
        it.register().await.unwrap();
        for device in ["A", "B", "C"] {
            let device = NewDevice { device_id: Some(device.into()), ..NewDevice::default() };
            it.sessions.start(alice(), device).await.unwrap();
        }
        it
    }

    async fn register(&self) -> Result<ruma::OwnedUserId> {
        let new = NewAccount {
            username: Some("alice".to_owned()),
            password: Some("old password".to_owned()),
            display_name: None,
            admission: Admission::Granted(Role::User),
        };
        self.registration.register(new).await
    }

    async fn devices(&self) -> Vec<ruma::OwnedDeviceId> {
        self.sessions.devices(alice()).await.unwrap().into_iter().map(|device| device.device_id).collect()
    }

    async fn change_password(&self, password: &str, others: OtherSessions) -> Result<()> {
        change_password(&self.accounts, &self.sessions, alice(), password, &others).await
    }
}

#[tokio::test]
async fn a_deactivated_account_is_closed_and_its_name_stays_taken() {
    let it = Fixture::new().await;
    deactivate(&it.accounts, &it.sessions, alice(), Belongings::Keep).await.unwrap();
    assert_eq!(it.devices().await, [] as [ruma::OwnedDeviceId; 0]);
    for password in ["old password", "", "other"] {
        let refused = it.accounts.check_password(alice(), password).await.unwrap_err();
        assert_eq!(refused.kind, Kind::UserDeactivated);
    }
    assert_eq!(it.register().await.unwrap_err().kind, Kind::UserInUse);
    let started = it.sessions.start(alice(), NewDevice::default()).await;
    assert_eq!(started.unwrap_err().kind, Kind::UserDeactivated);
    let changed = it.change_password("new password", OtherSessions::Keep).await;
    assert_eq!(changed.unwrap_err().kind, Kind::UserDeactivated);
    let behind = RoomsBehind::new(it.store.clone(), Notifier::default()).all().await.unwrap();
    assert_eq!(behind[0].0, alice(), "the rooms are still to be left");
    let again = deactivate(&it.accounts, &it.sessions, alice(), Belongings::Erase).await;
    assert_eq!(again.unwrap_err().kind, Kind::UserDeactivated);
    assert_eq!(it.accounts.set_role(alice(), Role::Administrator).await.unwrap_err().kind, Kind::UserDeactivated);
}

#[tokio::test]
async fn belongings_go_only_when_they_shall() {
    for (belongings, left) in [(Belongings::Keep, 2), (Belongings::Erase, 0)] {
        let it = Fixture::new().await;
        let notifier = Notifier::default();
        let profiles = Profiles::new(it.store.clone(), it.accounts.clone(), notifier.clone());
        let data = AccountData::new(it.store.clone(), notifier.clone(), PushRules::new(it.store.clone(), notifier));
        let value = ProfileFieldValue::new("org.example.a", 1.into()).unwrap();
        profiles.set(alice(), &value).await.unwrap();
        let content = RawValue::from_string("{\"n\": 1}".to_owned()).unwrap();
        data.set(alice(), None, "org.example.a", content).await.unwrap();
        let threads = ThreadSubscriptions::new(it.store.clone(), Notifier::default());
        let (room, root) = (room_id!("!tea:example.org"), event_id!("$root"));
        threads.subscribe(alice(), room, root, None).await.unwrap();

        deactivate(&it.accounts, &it.sessions, alice(), belongings).await.unwrap();
        let everything = (None, it.store.position());
        let told = threads.changes(&it.store.snapshot(), alice(), everything, 9).await.unwrap();
        assert_eq!(told.changes.len(), usize::from(belongings == Belongings::Keep));
        assert_eq!(profiles.get(alice()).await.unwrap().iter().count(), left);
        let kept = data.current(alice(), None, "org.example.a").await.unwrap();
        assert_eq!(kept.is_some(), belongings == Belongings::Keep);
        let followed = threads.of(alice(), room, root).await.unwrap() != ThreadSubscription::None;
        assert_eq!(followed, belongings == Belongings::Keep);
        let standing = it.accounts.get(alice()).await.unwrap().unwrap().standing;
        assert_eq!(standing, Standing::Deactivated { erased: belongings == Belongings::Erase });
    }
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_that_it_shall() {
    let it = Fixture::new().await;
    it.change_password("new password", OtherSessions::Keep).await.unwrap();
    assert_eq!(it.devices().await.len(), 3);
    it.change_password("next password", OtherSessions::End { but: Some(owned_device_id!("B")) }).await.unwrap();
    assert_eq!(it.devices().await, [device_id!("B")]);
    it.change_password("last password", OtherSessions::End { but: None }).await.unwrap();
    assert_eq!(it.devices().await, [] as [ruma::OwnedDeviceId; 0]);
    it.accounts.check_password(alice(), "last password").await.unwrap();
    for password in ["old password", "new password", "next password"] {
        assert_eq!(it.accounts.check_password(alice(), password).await.unwrap_err().kind, Kind::Forbidden);
    }
}

#[tokio::test]
async fn a_weak_new_password_changes_nothing() {
    let it = Fixture::new().await;
    let weak = it.change_password("short", OtherSessions::End { but: None }).await;
    assert_eq!(weak.unwrap_err().kind, Kind::WeakPassword);
    assert_eq!(it.devices().await.len(), 3);
    it.accounts.check_password(alice(), "old password").await.unwrap();
}
