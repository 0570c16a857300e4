//! What becomes of a message to a device, over a store in memory.

mod whatever_happens;

use std::time::Duration;

use ruma::{device_id, user_id};
use serde_json::{Value, json};

use super::*;
use crate::{
    encryption::tests::{Scene, alice, bob},
    storage::schema::encryption_messages::TO_DEVICE_TRANSACTIONS,
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn messages(json: Value) -> Messages {
    serde_json::from_value(json).unwrap()
}

/// The JSON of messages of the text to a device of a user, whoever and whichever that is.
fn to(user: &UserId, device: &str, text: &str) -> Value {
    json!({ user: { device: { "text": text } } })
}

impl Scene {
    /// Bob's device sends.
    pub(super) async fn send(&self, transaction: &str, json: Value) -> Result<()> {
        let sender = (bob(), device_id!("C"));
        self.encryption.to_device.send(sender, "org.example", transaction.into(), &messages(json)).await
    }

    /// What a device would be told after a position, and up to where that is everything.
    pub(super) async fn told(&self, device: &str, after: Position, limit: usize) -> (Vec<String>, Position) {
        let device = (alice(), device.into());
        let waiting = self.encryption.to_device.waiting(&self.store.snapshot(), device, after, limit).await.unwrap();
        (waiting.events.iter().map(text).collect(), waiting.until)
    }

    /// Everything that waits for one of Alice's devices.
    async fn inbox(&self, device: &str) -> Vec<String> {
        self.told(device, Position::ZERO, usize::MAX).await.0
    }

    pub(super) async fn acknowledge(&self, device: &str, until: Position) {
        self.encryption.to_device.acknowledge((alice(), device.into()), until).await.unwrap();
    }
}

fn text(event: &Raw<AnyToDeviceEvent>) -> String {
    let event: Value = event.deserialize_as_unchecked().unwrap();
    assert_eq!((&event["type"], &event["sender"]), (&json!("org.example"), &json!(bob())));
    event["content"]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_waits_until_it_is_acknowledged() {
    let it = Scene::new().await;
    it.send("1", to(alice(), "A", "one")).await.unwrap();
    it.send("2", to(alice(), "A", "two")).await.unwrap();
    assert_eq!(it.restarted().inbox("A").await, ["one", "two"]);
    assert!(it.inbox("B").await.is_empty());

    let (told, until) = it.told("A", Position::ZERO, 1).await;
    assert_eq!(told, ["one"]);
    assert_eq!(it.told("A", until, 9).await.0, ["two"], "what was told is not told again");
    assert_eq!(it.inbox("A").await, ["one", "two"], "but it is there until the device says so");
    it.acknowledge("A", until).await;
    assert_eq!(it.restarted().inbox("A").await, ["two"]);
    it.acknowledge("A", it.store.position()).await;
    assert!(it.inbox("A").await.is_empty());
}

#[tokio::test]
async fn many_messages_go_at_once() {
    let it = Scene::new().await;
    for number in 0..REMOVED_ONE_BY_ONE + 5 {
        it.send(&number.to_string(), to(alice(), "*", "many")).await.unwrap();
    }
    it.acknowledge("A", Position::from(it.store.position().get() - 1)).await;
    assert_eq!((it.inbox("A").await.len(), it.inbox("B").await.len()), (1, REMOVED_ONE_BY_ONE + 5));
}

#[tokio::test]
async fn a_star_stands_for_every_device_that_is_not_named() {
    let it = Scene::new().await;
    it.send("1", json!({ alice(): { "*": { "text": "all" }, "B": { "text": "only you" } } })).await.unwrap();
    assert_eq!((it.inbox("A").await, it.inbox("B").await), (vec!["all".to_owned()], vec!["only you".to_owned()]));
    it.log_in(alice(), device_id!("LATER")).await;
    assert!(it.inbox("LATER").await.is_empty());
}

#[tokio::test]
async fn whom_there_is_not_is_skipped() {
    let it = Scene::new().await;
    let nobody = user_id!("@nobody:example.org");
    let elsewhere = user_id!("@alice:elsewhere.org");
    let json = json!({
        alice(): { "A": { "text": "here" }, "NONE": { "text": "lost" } },
        nobody: { "*": { "text": "lost" } },
        elsewhere: { "*": { "text": "lost" }, "A": { "text": "lost" } },
    });
    it.send("1", json).await.unwrap();
    let rows = TO_DEVICE.scan(&it.store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
    assert_eq!(rows.len(), 1);
    it.send("2", json!({})).await.unwrap();
    it.send("3", json!({ alice(): {} })).await.unwrap();
}

#[tokio::test]
async fn a_transaction_of_a_device_sends_once() {
    let it = Scene::new().await;
    let once = || it.send("1", to(alice(), "A", "once"));
    let (one, two, three) = tokio::join!(once(), once(), once());
    one.and(two).and(three).unwrap();
    it.restarted().send("1", to(alice(), "A", "again")).await.unwrap();
    assert_eq!(it.inbox("A").await, ["once"]);

    it.log_in(bob(), device_id!("D")).await;
    let other_device = (bob(), device_id!("D"));
    let again = messages(to(alice(), "A", "from another device"));
    let to_device = &it.encryption.to_device;
    to_device.send(other_device, "org.example", "1".into(), &again).await.unwrap();
    to_device.send(other_device, "org.example.other", "1".into(), &again).await.unwrap();
    let waiting = to_device.waiting(&it.store.snapshot(), (alice(), device_id!("A")), Position::ZERO, 9).await;
    assert_eq!(waiting.unwrap().events.len(), 3, "another device and another type count for themselves");
}

#[tokio::test]
async fn transactions_are_remembered_for_a_month_and_not_for_ever() {
    let it = Scene::new().await;
    it.send("1", to(alice(), "A", "first")).await.unwrap();
    it.clock.advance(29 * DAY);
    it.send("1", to(alice(), "A", "again")).await.unwrap();
    assert_eq!(it.inbox("A").await, ["first"]);
    it.clock.advance(60 * DAY);
    it.send("2", to(alice(), "A", "later")).await.unwrap();
    let all = KeyRange::all();
    let rows = TO_DEVICE_TRANSACTIONS.scan(&it.store.snapshot(), all, Direction::Forward, usize::MAX).await.unwrap();
    let remembered: Vec<_> = rows.iter().map(|((.., transaction), ())| transaction.as_str()).collect();
    assert_eq!(remembered, ["2"]);
}

#[tokio::test]
async fn a_device_that_ends_leaves_nothing_behind() {
    let it = Scene::new().await;
    it.send("1", to(alice(), "A", "before")).await.unwrap();
    it.log_out(alice(), device_id!("A")).await;
    it.log_in(alice(), device_id!("A")).await;
    assert!(it.inbox("A").await.is_empty());

    // Whichever comes first, nothing is left.
    for number in 0..20 {
        it.log_in(alice(), device_id!("A")).await;
        let transaction = format!("race {number}");
        let send = it.send(&transaction, to(alice(), "A", "while it ends"));
        let (sent, ()) = tokio::join!(send, it.log_out(alice(), device_id!("A")));
        sent.unwrap();
        assert!(it.inbox("A").await.is_empty());
    }
    it.log_out(bob(), device_id!("C")).await;
    assert_eq!(it.send("2", to(alice(), "B", "too late")).await.unwrap_err().kind, Kind::NotFound);
    let transactions = KeyRange::prefix((bob(),));
    let snapshot = it.store.snapshot();
    let rows = TO_DEVICE_TRANSACTIONS.scan(&snapshot, transactions, Direction::Forward, 1).await.unwrap();
    assert!(rows.is_empty());
}

#[tokio::test]
async fn an_inbox_that_nobody_empties_has_a_bound_and_keeps_the_newest_keys() {
    let it = Scene::new().await;
    let to_device = it.encryption.to_device.clone().with_inboxes_of(16);
    for number in 0..60 {
        let (kind, transaction) =
            (if number % 3 == 0 { "org.example" } else { "m.room.encrypted" }, number.to_string());
        let one = messages(to(alice(), "A", &transaction));
        to_device.send((bob(), device_id!("C")), kind, transaction.as_str().into(), &one).await.unwrap();
    }
    let device = (alice(), device_id!("A"));
    let waiting = to_device.waiting(&it.store.snapshot(), device, Position::ZERO, 99).await.unwrap().events;
    let told: Vec<Value> = waiting.iter().map(|event| event.deserialize_as_unchecked().unwrap()).collect();
    assert!((16..=18).contains(&told.len()), "{}", told.len());
    let keys = |event: &&Value| event["type"] == "m.room.encrypted";
    let numbers: Vec<u32> =
        told.iter().filter(keys).map(|event| event["content"]["text"].as_str().unwrap().parse().unwrap()).collect();
    let newest: Vec<u32> = (0..60).filter(|number| number % 3 != 0).collect();
    assert_eq!(numbers, newest[newest.len() - numbers.len()..], "none of the newest is missing");
    assert!(numbers.len() >= 14);
    it.send("other", to(alice(), "B", "others keep theirs")).await.unwrap();
    assert_eq!(it.inbox("B").await, ["others keep theirs"]);
}

#[tokio::test]
async fn a_message_wakes_those_whom_it_is_for() {
    let it = Scene::new().await;
    let (alice_waits, bob_waits) = (it.notifier.watch(alice()), it.notifier.watch(bob()));
    it.send("1", to(alice(), "A", "wake up")).await.unwrap();
    alice_waits.changed().await;
    assert!(tokio::time::timeout(Duration::ZERO, bob_waits.changed()).await.is_err());
}

#[tokio::test]
async fn what_is_too_much_or_no_message_is_refused_as_a_whole() {
    let it = Scene::new().await;
    let sized = |length: usize| to(alice(), "A", &"x".repeat(length));
    let refused = async |json: Value| it.send("1", json).await.unwrap_err().kind;
    let overhead = {
        it.send("0", sized(0)).await.unwrap();
        let device = (alice(), device_id!("A"));
        let to_device = &it.encryption.to_device;
        to_device.waiting(&it.store.snapshot(), device, Position::ZERO, 1).await.unwrap().events[0].json().get().len()
    };
    assert_eq!(refused(sized(65_537 - overhead)).await, Kind::TooLarge);
    for content in [json!("text"), json!([]), json!(null), json!(1)] {
        let whole = json!({ alice(): { "A": { "text": "fine" }, "B": content } });
        assert_eq!(refused(whole).await, Kind::BadJson);
    }
    let sender = (bob(), device_id!("C"));
    let send = async |kind: &str, transaction: &str| {
        it.encryption.to_device.send(sender, kind, transaction.into(), &messages(sized(1))).await
    };
    assert_eq!(send(&"t".repeat(256), "1").await.unwrap_err().kind, Kind::TooLarge);
    assert_eq!(send("t", &"1".repeat(256)).await.unwrap_err().kind, Kind::InvalidParam);
    assert_eq!(it.inbox("A").await.len(), 1, "nothing of what was refused arrived");
    it.send("1", sized(65_536 - overhead)).await.unwrap();
}

#[test]
fn a_request_has_bounds() {
    let event = serde_json::value::to_raw_value(&"x".repeat(60_000)).unwrap();
    let mut bounds = Bounds::default();
    let refused = (0..10_000).find_map(|_| bounds.spend(&event).err()).unwrap();
    assert_eq!(refused.kind, Kind::TooLarge);

    let (small, mut bounds) = (serde_json::value::to_raw_value("").unwrap(), Bounds::default());
    (0..10_000).for_each(|_| bounds.spend(&small).unwrap());
    assert_eq!(bounds.spend(&small).unwrap_err().kind, Kind::TooLarge);
}
