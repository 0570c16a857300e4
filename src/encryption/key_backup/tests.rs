//! Backups of keys, over a store in memory.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ruma::{OwnedRoomId, RoomId, device_id, room_id, serde::Raw};
use serde_json::{Value, json, value::to_raw_value};

use super::{keys::Keys, *};
use crate::{
    encryption::tests::{Scene, alice, bob},
    error::Kind,
    users::{self, Belongings},
};

fn description(auth_data: &Value) -> Box<RawValue> {
    to_raw_value(&json!({ "algorithm": "org.example.algorithm", "auth_data": auth_data })).unwrap()
}

/// A key that gets better as `index` gets smaller.
fn key(index: u32) -> Value {
    json!({ "first_message_index": index, "forwarded_count": 0, "is_verified": false, "session_data": { "index": index } })
}

fn keys(json: Value) -> Keys {
    serde_json::from_value(json).unwrap()
}

fn tea() -> &'static RoomId {
    room_id!("!tea:example.org")
}

impl Scene {
    /// Alice begins a backup.
    async fn begin(&self) -> String {
        let device = (alice(), device_id!("A"));
        self.encryption.key_backups.create(device, &description(&json!({ "public_key": "x" }))).await.unwrap()
    }

    async fn add(&self, version: &str, json: Value) -> Result<Tally> {
        self.encryption.key_backups.add(alice(), version, &keys(json)).await
    }

    async fn indexes(&self, version: &str) -> Vec<u64> {
        let mut pages = self.encryption.key_backups.keys(alice(), version, None).await.unwrap();
        let mut keys = Vec::new();
        loop {
            let page = pages.next().await.unwrap();
            if page.is_empty() {
                break;
            }
            keys.extend(page.into_iter().map(|(_, _, key)| Raw::<Value>::from_json(key)));
        }
        keys.iter().map(|key| key.get_field::<u64>("first_message_index").unwrap().unwrap()).collect()
    }

    async fn tally(&self, version: &str) -> Tally {
        self.encryption.key_backups.get(alice(), version).await.unwrap().tally
    }
}

#[tokio::test]
async fn nobody_has_more_than_a_hundred_backups() {
    let it = Scene::new().await;
    for _ in 0..MAXIMUM_BACKUPS {
        it.begin().await;
    }
    let (device, backups) = ((alice(), device_id!("A")), &it.encryption.key_backups);
    assert_eq!(backups.create(device, &description(&json!({}))).await.unwrap_err().kind, Kind::InvalidParam);
    backups.delete(alice(), "1").await.unwrap();
    it.begin().await;
}

#[tokio::test]
async fn versions_follow_each_other_and_never_come_back() {
    let it = Scene::new().await;
    let backups = &it.encryption.key_backups;
    assert_eq!(backups.current(alice()).await.unwrap_err().kind, Kind::NotFound);
    let (one, two) = (it.begin().await, it.begin().await);
    assert_eq!((&*one, &*two), ("1", "2"));
    assert_eq!(backups.current(alice()).await.unwrap().version, two);
    backups.delete(alice(), &two).await.unwrap();
    assert_eq!(backups.current(alice()).await.unwrap().version, one, "the one before is the newest again");
    backups.delete(alice(), &two).await.unwrap();
    assert_eq!(it.begin().await, "3");
    for unknown in ["0", "4", "", "x", "-1", "+1", "01", "1 ", "18446744073709551616"] {
        assert_eq!(backups.delete(alice(), unknown).await.unwrap_err().kind, Kind::NotFound, "{unknown:?}");
        assert_eq!(backups.get(alice(), unknown).await.unwrap_err().kind, Kind::NotFound, "{unknown:?}");
    }
    assert_eq!(backups.get(alice(), &two).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(backups.get(bob(), &one).await.unwrap_err().kind, Kind::NotFound);

    let begun = tokio::join!(it.begin(), it.begin(), it.begin());
    let begun = std::collections::BTreeSet::from([begun.0, begun.1, begun.2]);
    assert_eq!(begun, ["4", "5", "6"].map(str::to_owned).into(), "also when they are begun at once");
}

#[tokio::test]
async fn only_what_describes_the_same_algorithm_changes_a_backup() {
    let it = Scene::new().await;
    let backups = &it.encryption.key_backups;
    let version = it.begin().await;
    let before = it.add(&version, json!({ tea(): { "s": key(1) } })).await.unwrap();
    let new = json!({ "public_key": "y" });
    backups.update(alice(), &version, &description(&new)).await.unwrap();
    let info = backups.get(alice(), &version).await.unwrap();
    assert_eq!(info.description.get(), description(&new).get());
    assert_eq!(info.tally, before, "the keys are the same");

    let update = async |version: &str, body: Value| {
        backups.update(alice(), version, &to_raw_value(&body).unwrap()).await.map_err(|error| error.kind)
    };
    let body = |algorithm: &str, version: Value| json!({ "algorithm": algorithm, "auth_data": {}, "version": version });
    assert_eq!(update(&version, body("org.example.other", json!(null))).await, Err(Kind::InvalidParam));
    assert_eq!(update(&version, body("org.example.algorithm", json!("2"))).await, Err(Kind::InvalidParam));
    assert_eq!(update("2", body("org.example.algorithm", json!("2"))).await, Err(Kind::NotFound));
    assert_eq!(update(&version, json!({})).await, Err(Kind::BadJson));
    assert_eq!(update(&version, body("org.example.algorithm", json!(version))).await, Ok(()));
}

#[tokio::test]
async fn what_describes_no_backup_is_refused() {
    let it = Scene::new().await;
    let device = (alice(), device_id!("A"));
    let create = async |body: Value| {
        let body = to_raw_value(&body).unwrap();
        it.encryption.key_backups.create(device, &body).await.unwrap_err().kind
    };
    for body in [
        json!({}),
        json!({ "algorithm": "a" }),
        json!({ "auth_data": {} }),
        json!({ "algorithm": 1, "auth_data": {} }),
        json!({ "algorithm": "a", "auth_data": "x" }),
        json!({ "algorithm": "a", "auth_data": [] }),
    ] {
        assert_eq!(create(body.clone()).await, Kind::BadJson, "{body}");
    }
    assert_eq!(create(json!({ "algorithm": "a", "auth_data": { "x": "x".repeat(65_536) } })).await, Kind::TooLarge);
    assert_eq!(create(json!({ "algorithm": "a".repeat(256), "auth_data": {} })).await, Kind::TooLarge);
    let gone = it.encryption.key_backups.create((alice(), device_id!("NONE")), &description(&json!({}))).await;
    assert_eq!(gone.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn keys_are_added_to_the_newest_version_only() {
    let it = Scene::new().await;
    assert_eq!(it.add("1", json!({})).await.unwrap_err().kind, Kind::NotFound);
    let old = it.begin().await;
    it.add(&old, json!({ tea(): { "s": key(1) } })).await.unwrap();
    it.begin().await;
    for wrong in [&*old, "3", "x"] {
        match it.add(wrong, json!({ tea(): { "t": key(1) } })).await.unwrap_err().kind {
            Kind::WrongRoomKeysVersion { current } => assert_eq!(current, "2"),
            kind => panic!("{kind:?}"),
        }
    }
    assert_eq!(it.indexes(&old).await, [1], "but those of an older one can be read");
    it.encryption.key_backups.remove(alice(), &old, Selection::All).await.unwrap();
    assert!(it.indexes(&old).await.is_empty());
}

#[tokio::test]
async fn one_thing_that_is_no_key_spoils_all() {
    let it = Scene::new().await;
    let version = it.begin().await;
    let spoiled = json!({ tea(): { "good": key(1), "spoiled": { "first_message_index": 1 } } });
    assert_eq!(it.add(&version, spoiled).await.unwrap_err().kind, Kind::BadJson);
    let mut large = key(1);
    large["session_data"] = json!({ "ciphertext": "x".repeat(65_536) });
    let spoiled = json!({ tea(): { "good": key(1), "spoiled": large } });
    assert_eq!(it.add(&version, spoiled).await.unwrap_err().kind, Kind::TooLarge);
    let spoiled = json!({ tea(): { "good": key(1), "s".repeat(256): key(1) } });
    assert_eq!(it.add(&version, spoiled).await.unwrap_err().kind, Kind::InvalidParam);
    assert_eq!(it.tally(&version).await.count, UInt::MIN);
}

#[tokio::test]
async fn several_devices_back_up_at_once_and_the_count_is_exact() {
    let it = Scene::new().await;
    let version = it.begin().await;
    let add = |session: &'static str| it.add(&version, json!({ tea(): { session: key(1), "shared": key(1) } }));
    let (one, two, three, four) = tokio::join!(add("1"), add("2"), add("3"), add("4"));
    one.and(two).and(three).and(four).unwrap();
    assert_eq!(it.tally(&version).await.count, 5_u32.into());
    assert_eq!(it.indexes(&version).await.len(), 5);
}

#[tokio::test]
async fn a_backup_goes_when_everything_of_its_owner_goes() {
    let it = Scene::new().await;
    let version = it.begin().await;
    it.add(&version, json!({ tea(): { "s": key(1) } })).await.unwrap();
    let users = &it.users;
    // Whoever comes first, nothing is left.
    let add = it.add(&version, json!({ tea(): { "late": key(1) } }));
    let end = users::deactivate(&users.accounts, &users.sessions, alice(), Belongings::Erase);
    let (_, ended) = tokio::join!(add, end);
    ended.unwrap();
    let snapshot = it.store.snapshot();
    let all = || KeyRange::prefix((alice(),));
    assert!(KEY_BACKUPS.scan(&snapshot, all(), Direction::Forward, 1).await.unwrap().is_empty());
    let keys = KeyRange::prefix((alice(),));
    assert!(BACKED_UP_KEYS.scan(&snapshot, keys, Direction::Forward, 1).await.unwrap().is_empty());
    let device = (alice(), device_id!("A"));
    let again = it.encryption.key_backups.create(device, &description(&json!({}))).await;
    assert_eq!(again.unwrap_err().kind, Kind::NotFound);
}

/// Something that a client does to the keys in a backup.
#[derive(Clone, Debug)]
enum Deed {
    /// Keys by room and session, each of an index.
    Add(Vec<(u8, u8, u32)>),
    RemoveOne(u8, u8),
    RemoveRoom(u8),
    RemoveAll,
    /// The description changes, and no key.
    Describe,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let (room, session) = (0..3_u8, 0..3_u8);
    let deed = prop_oneof![
        5 => prop::collection::vec((room.clone(), session.clone(), 0..4_u32), 0..5).prop_map(Deed::Add),
        2 => (room.clone(), session).prop_map(|(room, session)| Deed::RemoveOne(room, session)),
        1 => room.prop_map(Deed::RemoveRoom),
        1 => Just(Deed::RemoveAll),
        1 => Just(Deed::Describe),
    ];
    prop::collection::vec(deed, 1..20)
}

fn room(number: u8) -> OwnedRoomId {
    RoomId::parse(format!("!room{number}:example.org")).unwrap()
}

/// Does it to the backup and to a map that shows what it should hold.
async fn carry_out(it: &Scene, version: &str, model: &mut BTreeMap<(u8, u8), u32>, deed: Deed) -> Option<Tally> {
    let backups = &it.encryption.key_backups;
    match deed {
        Deed::Add(added) => {
            let mut sent: BTreeMap<(u8, u8), u32> = BTreeMap::new();
            sent.extend(added.into_iter().map(|(room, session, index)| ((room, session), index)));
            let mut json = json!({});
            for ((number, session), index) in sent {
                json[room(number).as_str()][session.to_string()] = key(index);
                model.entry((number, session)).and_modify(|old| *old = index.min(*old)).or_insert(index);
            }
            Some(it.add(version, json).await.unwrap())
        }
        Deed::RemoveOne(number, session) => {
            model.remove(&(number, session));
            let (room, session) = (room(number), session.to_string());
            Some(backups.remove(alice(), version, Selection::Session(&room, &session)).await.unwrap())
        }
        Deed::RemoveRoom(number) => {
            model.retain(|(other, _), _| *other != number);
            Some(backups.remove(alice(), version, Selection::Room(&room(number))).await.unwrap())
        }
        Deed::RemoveAll => {
            model.clear();
            Some(backups.remove(alice(), version, Selection::All).await.unwrap())
        }
        Deed::Describe => {
            backups.update(alice(), version, &description(&json!({ "public_key": "new" }))).await.unwrap();
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_count_is_exact_and_the_etag_changes_exactly_when_the_keys_do(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let it = Scene::new().await;
            let version = it.begin().await;
            let mut model = BTreeMap::new();
            for deed in deeds {
                let (before, old) = (it.tally(&version).await, model.clone());
                let answered = carry_out(&it, &version, &mut model, deed.clone()).await;
                let after = it.tally(&version).await;
                assert_eq!(answered.unwrap_or_else(|| after.clone()), after);
                assert_eq!(before.etag == after.etag, old == model, "{deed:?}");
                assert_eq!(after.count, UInt::try_from(model.len()).unwrap());
                let expected: Vec<_> = model.values().map(|index| u64::from(*index)).collect();
                assert_eq!(it.indexes(&version).await, expected);
            }
        });
    }
}
