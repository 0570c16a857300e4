//! What holds of keys whatever happens at the same time.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use ruma::{
    DeviceId, OneTimeKeyAlgorithm, UserId, device_id,
    encryption::{CrossSigningKey, DeviceKeys, OneTimeKey},
    serde::Raw,
};
use serde_json::{Value, json, value::to_raw_value};

use super::*;
use crate::{
    encryption::tests::{Scene, alice, bob},
    error::{Kind, Result},
    matrix::public_keys::{key_id, test_key::TestKey},
    storage::{
        Direction, Key, KeyRange, Snapshot, Table,
        schema::encryption::{
            CROSS_SIGNING_KEYS, DEHYDRATED_DEVICES, DEVICE_KEYS, FALLBACK_KEYS, KEY_SIGNATURES, KEY_STOCKS,
            ONE_TIME_KEY_NAMES, ONE_TIME_KEYS,
        },
    },
    users::{Belongings, deactivate},
};

fn a() -> Owner<'static> {
    Owner { user: alice(), device: device_id!("A") }
}

fn raw<T>(value: &Value) -> Raw<T> {
    Raw::from_json(to_raw_value(value).unwrap())
}

/// The keys of a device, with one-time keys of these names and a fallback key.
fn upload(owner: Owner<'_>, key: &TestKey, names: &[u8]) -> KeyUpload {
    let Owner { user, device } = owner;
    let keys = json!({
        "user_id": user, "device_id": device, "algorithms": [],
        "keys": { key_id(device.as_str()): key.public() },
    });
    let keys: Raw<DeviceKeys> = raw(&key.sign(keys, user, device.as_str()));
    let one_time = |text: String| -> Raw<OneTimeKey> { raw(&key.sign(json!({ "key": text }), user, device.as_str())) };
    let id = |name: &str| format!("signed_curve25519:{name}").try_into().unwrap();
    let one_time_keys =
        names.iter().map(|name| (id(&name.to_string()), one_time(name.to_string()))).collect::<BTreeMap<_, _>>();
    let fallback_keys = BTreeMap::from([(id("F"), one_time("fallback".to_owned()))]);
    KeyUpload::check(owner, Some(&keys), &one_time_keys, &fallback_keys).unwrap()
}

/// Cross-signing keys of a user.
fn cross_signing(user: &UserId, seed: u8) -> CrossSigningUpload {
    under_master(user, seed, seed)
}

/// Cross-signing keys of a user, of which the master key may be another than the first time.
fn under_master(user: &UserId, master: u8, seed: u8) -> CrossSigningUpload {
    let master = TestKey::new(master);
    let key = |key: &TestKey, usage: &str| -> Raw<CrossSigningKey> {
        let json = json!({ "user_id": user, "usage": [usage], "keys": { key_id(&key.public()): key.public() } });
        raw(&master.sign(json, user, &master.public()))
    };
    let (self_signing, user_signing) = (TestKey::new(seed + 1), TestKey::new(seed + 2));
    let keys = (key(&self_signing, "self_signing"), key(&user_signing, "user_signing"));
    CrossSigningUpload::check(user, Some(&key(&master, "master")), Some(&keys.0), Some(&keys.1)).unwrap()
}

async fn claim(scene: &Scene, owner: Owner<'_>) -> Option<String> {
    let devices = BTreeMap::from([(owner.device.to_owned(), OneTimeKeyAlgorithm::SignedCurve25519)]);
    let claims = BTreeMap::from([(owner.user.to_owned(), devices)]);
    let claimed = scene.encryption.keys.claim(&claims).await.unwrap();
    let ids = claimed.keys.into_values().flat_map(BTreeMap::into_values).flat_map(BTreeMap::into_keys);
    ids.map(|id| id.key_name().to_string()).next()
}

/// How many rows a table has.
async fn count<K: Key, V, C: crate::storage::Codec<V>>(snapshot: &Snapshot, table: Table<K, V, C>) -> usize {
    table.scan(snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap().len()
}

/// How many rows there are of devices' keys.
async fn rows_of_devices(scene: &Scene) -> [usize; 6] {
    let snapshot = &scene.store.snapshot();
    [
        count(snapshot, DEVICE_KEYS).await,
        count(snapshot, ONE_TIME_KEYS).await,
        count(snapshot, ONE_TIME_KEY_NAMES).await,
        count(snapshot, FALLBACK_KEYS).await,
        count(snapshot, KEY_STOCKS).await,
        count(snapshot, DEHYDRATED_DEVICES).await,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_ends_leaves_nothing_behind_whatever_happens_meanwhile() {
    let scene = Scene::new().await;
    let keys = &scene.encryption.keys;
    for round in 0..30u8 {
        scene.log_in(alice(), device_id!("A")).await;
        if round % 2 == 0 {
            keys.upload(a(), &upload(a(), &TestKey::new(1), &[1, 2, 3])).await.unwrap();
        }
        let key = upload(a(), &TestKey::new(2), &[round, 4, 5]);
        let (uploaded, _, ()) =
            tokio::join!(keys.upload(a(), &key), claim(&scene, a()), scene.log_out(alice(), device_id!("A")));
        assert!(uploaded.is_ok() || uploaded.is_err_and(|error| error.kind == Kind::NotFound));
        claim(&scene, a()).await;
        assert_eq!(rows_of_devices(&scene).await, [0; 6], "in round {round}");
        assert_eq!(count(&scene.store.snapshot(), KEY_SIGNATURES).await, 0);
    }
}

#[tokio::test]
async fn an_account_that_ends_leaves_nothing_behind() {
    let scene = Scene::new().await;
    let keys = &scene.encryption.keys;
    keys.upload(a(), &upload(a(), &TestKey::new(1), &[1, 2])).await.unwrap();
    claim(&scene, a()).await;
    keys.upload_cross_signing(a(), &cross_signing(alice(), 10), Authentication::Missing).await.unwrap();
    let snapshot = scene.store.snapshot();
    assert_eq!(count(&snapshot, CROSS_SIGNING_KEYS).await, 3);
    deactivate(&scene.users.accounts, &scene.users.sessions, alice(), Belongings::Keep).await.unwrap();
    let snapshot = scene.store.snapshot();
    assert_eq!(rows_of_devices(&scene).await, [0; 6]);
    assert_eq!((count(&snapshot, CROSS_SIGNING_KEYS).await, count(&snapshot, KEY_SIGNATURES).await), (0, 0));
    let late = keys.upload_cross_signing(a(), &cross_signing(alice(), 10), Authentication::Given).await;
    assert_eq!(late.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_first_uploads_at_once_one_needs_the_password() {
    for _ in 0..10 {
        let scene = Scene::new().await;
        let keys = &scene.encryption.keys;
        let (one, two) = (cross_signing(alice(), 10), cross_signing(alice(), 20));
        let outcomes = tokio::join!(
            keys.upload_cross_signing(a(), &one, Authentication::Missing),
            keys.upload_cross_signing(a(), &two, Authentication::Missing),
        );
        let outcomes = [outcomes.0.unwrap(), outcomes.1.unwrap()];
        assert!(outcomes.contains(&Outcome::Published) && outcomes.contains(&Outcome::AuthenticationNeeded));
        assert_eq!(count(&scene.store.snapshot(), CROSS_SIGNING_KEYS).await, 3);
    }
}

#[tokio::test]
async fn a_new_master_key_vouches_for_keys_that_stay() {
    let scene = Scene::new().await;
    let keys = &scene.encryption.keys;
    keys.upload_cross_signing(a(), &cross_signing(alice(), 10), Authentication::Missing).await.unwrap();
    keys.upload_cross_signing(a(), &under_master(alice(), 20, 10), Authentication::Given).await.unwrap();
    let snapshot = scene.store.snapshot();
    let signatures = KEY_SIGNATURES.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
    let by: Vec<String> = signatures.into_iter().map(|((_, _, _, by), _)| by).collect();
    assert_eq!(by, vec![key_id(&TestKey::new(20).public()).to_string(); 3]);
}

#[tokio::test]
async fn a_device_and_a_key_never_get_the_same_name() {
    let scene = Scene::new().await;
    let (keys, sessions) = (&scene.encryption.keys, &scene.users.sessions);
    let log_in = |name: String| {
        let device = crate::users::NewDevice { device_id: Some(name.into()), ..Default::default() };
        async { sessions.start(alice(), device).await.map(drop) }
    };
    let names = cross_signing(alice(), 10).names();
    keys.upload_cross_signing(a(), &cross_signing(alice(), 10), Authentication::Missing).await.unwrap();
    for name in &names {
        assert_eq!(log_in(name.clone()).await.unwrap_err().kind, Kind::Forbidden);
    }
    // Another person may have such a device, and so may the same one once the key is replaced.
    scene.log_in(bob(), <&DeviceId>::from(&*names[0])).await;
    keys.upload_cross_signing(a(), &cross_signing(alice(), 20), Authentication::Given).await.unwrap();
    log_in(names[0].clone()).await.unwrap();
    let back = keys.upload_cross_signing(a(), &cross_signing(alice(), 10), Authentication::Given).await;
    assert_eq!(back.unwrap_err().kind, Kind::Forbidden);
}

/// What a device or somebody else does.
#[derive(Clone, Debug)]
enum Step {
    Upload(Vec<u8>),
    Claim,
    Restart,
}

/// Compares a device's stock with a queue, step by step.
async fn follow(steps: Vec<Step>) -> Result<()> {
    let mut scene = Scene::new().await;
    let (mut queue, mut seen) = (VecDeque::new(), Vec::new());
    let (mut fallback, mut fallback_used) = (false, false);
    for step in steps {
        match step {
            Step::Upload(mut names) => {
                names.sort_unstable_by_key(u8::to_string);
                names.dedup();
                scene.encryption.keys.upload(a(), &upload(a(), &TestKey::new(1), &names)).await?;
                fallback = true;
                for name in names {
                    if !seen.contains(&name) {
                        seen.push(name);
                        queue.push_back(name);
                    }
                }
            }
            Step::Claim => {
                let expected = match queue.pop_front() {
                    Some(name) => Some(name.to_string()),
                    None => fallback.then(|| "F".to_owned()).inspect(|_| fallback_used = true),
                };
                assert_eq!(claim(&scene, a()).await, expected);
            }
            Step::Restart => scene = scene.restarted(),
        }
        let stock = scene.encryption.keys.stock(&scene.store.snapshot(), a().user, a().device).await?;
        let left = stock.one_time_key_counts[&OneTimeKeyAlgorithm::SignedCurve25519];
        assert_eq!(u64::from(left), queue.len() as u64);
        assert_eq!(stock.unused_fallback_key_types.len(), usize::from(fallback && !fallback_used));
    }
    Ok(())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => proptest::collection::vec(0..12u8, 0..4).prop_map(Step::Upload),
        4 => Just(Step::Claim),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn keys_leave_in_the_order_in_which_they_came(steps in proptest::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(follow(steps)).unwrap();
    }
}
