//! What a profile accepts, over a store in memory.

use ruma::{owned_server_name, profile::DisplayName, user_id};
use serde_json::{Value, json};

use super::*;
use crate::{
    clock::Clock,
    config,
    storage::{Position, schema::users::Role},
    users::{Passwords, RoomsBehind},
};

async fn fixture() -> Profiles {
    let (store, clock) = (Store::in_memory(), Clock::manual(1_000));
    let cost = config::Passwords { minimum_length: 1, memory_kib: 8, iterations: 1, parallelism: 1 };
    let passwords = Passwords::new(&cost).unwrap();
    let accounts = Accounts::new(store.clone(), passwords, clock, owned_server_name!("example.org"));
    let mut batch = Batch::new();
    accounts.insert(&mut batch, alice(), None, Role::User);
    store.commit(batch).await.unwrap();
    Profiles::new(store, accounts, Notifier::default())
}

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

async fn set(profiles: &Profiles, name: &str, value: Value) -> Result<()> {
    profiles.set(alice(), &ProfileFieldValue::new(name, value).unwrap()).await
}

#[tokio::test]
async fn fields_are_set_changed_and_removed() {
    let profiles = fixture().await;
    assert_eq!(profiles.get(alice()).await.unwrap().iter().count(), 0);
    for _ in 0..2 {
        set(&profiles, "displayname", json!("Alice")).await.unwrap();
    }
    set(&profiles, "org.example.pets", json!({"cats": [1, null]})).await.unwrap();
    set(&profiles, "org.example.nothing", Value::Null).await.unwrap();
    let profile = profiles.get(alice()).await.unwrap();
    assert_eq!(profile.get_static::<DisplayName>().unwrap().as_deref(), Some("Alice"));
    assert_eq!(profile.get("org.example.pets"), Some(&json!({"cats": [1, null]})));
    assert_eq!(profile.get("org.example.nothing"), Some(&Value::Null));

    let pets = ProfileFieldName::from("org.example.pets");
    for _ in 0..2 {
        profiles.remove(alice(), &pets).await.unwrap();
    }

    // What was like that before is no change.
    let changes = Log::of_user_since(&profiles.store.snapshot(), alice(), Position::ZERO).await.unwrap();
    assert_eq!(changes.len(), 4);
}

#[tokio::test]
async fn an_empty_name_or_avatar_is_none() {
    let profiles = fixture().await;
    set(&profiles, "displayname", json!("Alice")).await.unwrap();
    set(&profiles, "avatar_url", json!("mxc://example.org/a")).await.unwrap();
    set(&profiles, "displayname", json!("")).await.unwrap();
    set(&profiles, "avatar_url", json!("")).await.unwrap();
    assert_eq!(profiles.get(alice()).await.unwrap().iter().count(), 0);
}

#[tokio::test]
async fn a_profile_stays_below_64_kib_as_a_whole() {
    let profiles = fixture().await;
    let overhead = json!({"org.example.a": "", "org.example.b": ""}).to_string().len();
    set(&profiles, "org.example.a", json!("a".repeat(30_000))).await.unwrap();
    let rest = MAXIMUM_PROFILE - overhead - 30_000;
    let too_much = set(&profiles, "org.example.b", json!("b".repeat(rest))).await;
    assert_eq!(too_much.unwrap_err().kind, Kind::ProfileTooLarge);
    set(&profiles, "org.example.b", json!("b".repeat(rest - 1))).await.unwrap();
}

#[tokio::test]
async fn names_and_values_have_limits() {
    let profiles = fixture().await;
    let longest = format!("org.{}", "a".repeat(251));
    set(&profiles, &longest, json!(1)).await.unwrap();
    assert_eq!(set(&profiles, &format!("{longest}a"), json!(1)).await.unwrap_err().kind, Kind::KeyTooLarge);
    for name in ["", "Org.example", "1.example", "org example", "org.exämple"] {
        assert_eq!(set(&profiles, name, json!(1)).await.unwrap_err().kind, Kind::InvalidParam, "{name}");
    }
    for (name, length) in [("displayname", 257), ("avatar_url", 1001)] {
        assert_eq!(set(&profiles, name, json!("ü".repeat(length))).await.unwrap_err().kind, Kind::InvalidParam);
    }
    set(&profiles, "displayname", json!("ü".repeat(256))).await.unwrap();
}

#[tokio::test]
async fn nobody_has_no_profile() {
    let profiles = fixture().await;
    let nobody = user_id!("@nobody:example.org");
    assert_eq!(profiles.get(nobody).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(profiles.of(&profiles.store.snapshot(), nobody).await.unwrap().iter().count(), 0);
}

#[tokio::test]
async fn rooms_fall_behind_with_what_they_show_and_nothing_else() {
    let profiles = fixture().await;
    let behind = RoomsBehind::new(profiles.store.clone(), Notifier::default());
    set(&profiles, "m.tz", json!("Europe/Berlin")).await.unwrap();
    assert_eq!(behind.all().await.unwrap(), []);
    for (field, value) in [("displayname", json!("Alice")), ("avatar_url", json!("mxc://example.org/a"))] {
        set(&profiles, field, value).await.unwrap();
        let (user, since) = behind.all().await.unwrap().remove(0);
        assert_eq!((&*user, since), (alice(), profiles.store.position()), "{field}");
        behind.caught_up(&user, since).await.unwrap();
    }
    profiles.remove(alice(), &ProfileFieldName::DisplayName).await.unwrap();
    assert_eq!(behind.all().await.unwrap().len(), 1);
}
