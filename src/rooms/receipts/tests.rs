//! Receipts move forward, fit their thread, and reach whom they concern.

use ruma::{
    OwnedRoomId, OwnedUserId, api::client::room::create_room::v3::Request, device_id, events::TimelineEventType,
    owned_user_id,
};
use serde_json::{Value, json, value::to_raw_value};

use super::*;
use crate::{
    error::Kind,
    rooms::tests::{rooms, text},
    storage::Order,
};

fn alice() -> OwnedUserId {
    owned_user_id!("@alice:example.org")
}

fn bob() -> OwnedUserId {
    owned_user_id!("@bob:example.org")
}

/// A room that alice and bob are in.
struct Scene {
    rooms: Rooms,
    id: OwnedRoomId,
}

impl Scene {
    async fn new() -> Self {
        let rooms = rooms();
        let id = rooms.create(&alice(), Request::new()).await.unwrap();
        rooms.invite(&id, &alice(), &bob(), None).await.unwrap();
        rooms.join(&id, &bob(), None).await.unwrap();
        Self { rooms, id }
    }

    /// Alice says something, which relates to `to` if that is given.
    async fn say(&self, n: &str, relation: Option<(&str, &OwnedEventId)>) -> OwnedEventId {
        let mut content: Value = serde_json::from_str(text(n).get()).unwrap();
        if let Some((kind, to)) = relation {
            content["m.relates_to"] = json!({ "rel_type": kind, "event_id": to });
        }
        let content = to_raw_value(&content).unwrap();
        let sender = (&*alice(), device_id!("D"));
        self.rooms.send_message(&self.id, sender, TimelineEventType::RoomMessage, n.into(), content).await.unwrap()
    }

    async fn read(&self, reader: &UserId, mark: Mark, event: &OwnedEventId) -> Result<()> {
        self.rooms.mark_read(&self.id, reader, &[(mark, event.clone())]).await
    }

    /// The contents that `reader` gets, as JSON without times.
    async fn news(&self, reader: &UserId, since: Option<Position>) -> Vec<Value> {
        let snapshot = self.rooms.shared.store.snapshot();
        let viewer = self.rooms.viewer(&snapshot, &self.id, reader).await.unwrap();
        let contents = self.rooms.receipts_since(&snapshot, &self.id, &viewer, since).await.unwrap();
        let mut contents: Vec<Value> = contents.iter().map(|content| serde_json::to_value(content).unwrap()).collect();
        let events = contents.iter_mut().flat_map(|content| content.as_object_mut().unwrap().values_mut());
        let kinds = events.flat_map(|event| event.as_object_mut().unwrap().values_mut());
        for reader in kinds.flat_map(|kind| kind.as_object_mut().unwrap().values_mut()) {
            assert_eq!(reader.as_object_mut().unwrap().remove("ts"), Some(json!(1_000)));
        }
        contents
    }

    fn position(&self) -> Position {
        self.rooms.shared.store.position()
    }
}

fn public(thread: ReceiptThread) -> Mark {
    Mark::Receipt { kind: ReceiptKind::Public, thread }
}

fn private(thread: ReceiptThread) -> Mark {
    Mark::Receipt { kind: ReceiptKind::Private, thread }
}

const EVERYWHERE: ReceiptThread = ReceiptThread::Unthreaded;

#[tokio::test]
async fn a_receipt_moves_forward_and_never_back() {
    let scene = Scene::new().await;
    let (one, two) = (scene.say("1", None).await, scene.say("2", None).await);
    scene.read(&bob(), public(EVERYWHERE), &one).await.unwrap();
    let at_one = scene.position();
    scene.read(&bob(), public(EVERYWHERE), &two).await.unwrap();
    let at_two = scene.position();
    let expected = json!({ &*two: { "m.read": { bob(): {} } } });
    assert_eq!(scene.news(&alice(), Some(at_one)).await, std::slice::from_ref(&expected));

    scene.read(&bob(), public(EVERYWHERE), &one).await.unwrap();
    scene.read(&bob(), public(EVERYWHERE), &two).await.unwrap();
    assert_eq!(scene.position(), at_two, "nothing was written");
    assert_eq!(scene.news(&alice(), Some(at_two)).await, [""; 0]);
    assert_eq!(scene.news(&alice(), None).await, [expected], "the receipt at the first event is gone");
}

#[tokio::test]
async fn a_private_receipt_is_for_its_reader_alone() {
    let scene = Scene::new().await;
    let one = scene.say("1", None).await;
    let before = scene.position();
    let (of_alice, of_bob) = (scene.rooms.shared.notifier.watch(&alice()), scene.rooms.shared.notifier.watch(&bob()));
    scene.read(&bob(), private(EVERYWHERE), &one).await.unwrap();
    of_bob.changed().await;
    let woken = tokio::time::timeout(std::time::Duration::ZERO, of_alice.changed()).await;
    assert!(woken.is_err(), "alice is not even woken");
    for since in [None, Some(before)] {
        assert_eq!(scene.news(&alice(), since).await, [""; 0]);
        assert_eq!(scene.news(&bob(), since).await, [json!({ &*one: { "m.read.private": { bob(): {} } } })]);
    }
}

#[tokio::test]
async fn receipts_for_one_event_that_exclude_each_other_come_one_by_one() {
    let scene = Scene::new().await;
    let one = scene.say("1", None).await;
    scene.read(&bob(), public(ReceiptThread::Main), &one).await.unwrap();
    scene.read(&bob(), public(EVERYWHERE), &one).await.unwrap();
    scene.read(&alice(), public(ReceiptThread::Main), &one).await.unwrap();
    let main = json!({ "thread_id": "main" });
    assert_eq!(
        scene.news(&alice(), None).await,
        [json!({ &*one: { "m.read": { bob(): {}, alice(): main } } }), json!({ &*one: { "m.read": { bob(): main } } }),]
    );
}

#[tokio::test]
async fn a_receipt_must_stand_in_its_thread() {
    let scene = Scene::new().await;
    let root = scene.say("root", None).await;
    let inside = scene.say("in the thread", Some(("m.thread", &root))).await;
    let about_inside = scene.say("about it", Some(("m.annotation", &inside))).await;
    let about_root = scene.say("about the root", Some(("m.reference", &root))).await;
    let elsewhere = scene.say("elsewhere", None).await;
    let (main, thread) = (ReceiptThread::Main, ReceiptThread::Thread(root.clone()));
    let cases = [
        (&root, true, true),
        (&inside, false, true),
        (&about_inside, false, true),
        (&about_root, true, true),
        (&elsewhere, true, false),
    ];
    for (event, fits_main, fits_thread) in cases {
        for (thread, fits) in [(&main, fits_main), (&thread, fits_thread)] {
            let outcome = scene.read(&bob(), public(thread.clone()), event).await.map_err(|error| error.kind);
            assert_eq!(outcome, if fits { Ok(()) } else { Err(Kind::InvalidParam) }, "{thread:?} at {event}");
        }
    }
    let nonsense = ReceiptThread::try_from(Some("nonsense")).unwrap();
    assert_eq!(scene.read(&bob(), public(nonsense), &root).await.unwrap_err().kind, Kind::InvalidParam);
}

#[tokio::test]
async fn who_comes_later_does_not_learn_what_was_read_before() {
    let scene = Scene::new().await;
    let one = scene.say("1", None).await;
    scene.read(&bob(), public(EVERYWHERE), &one).await.unwrap();
    let carol = owned_user_id!("@carol:example.org");
    scene.rooms.invite(&scene.id, &alice(), &carol, None).await.unwrap();
    scene.rooms.join(&scene.id, &carol, None).await.unwrap();
    assert_eq!(scene.news(&carol, None).await, [""; 0]);
    let two = scene.say("2", None).await;
    scene.read(&bob(), public(EVERYWHERE), &two).await.unwrap();
    assert_eq!(scene.news(&carol, None).await, [json!({ &*two: { "m.read": { bob(): {} } } })]);
}

#[tokio::test]
async fn only_members_read_and_only_what_they_see() {
    let scene = Scene::new().await;
    let one = scene.say("1", None).await;
    let eve = owned_user_id!("@eve:example.org");
    assert_eq!(scene.read(&eve, public(EVERYWHERE), &one).await.unwrap_err().kind, Kind::Forbidden);
    scene.rooms.invite(&scene.id, &alice(), &eve, None).await.unwrap();
    scene.rooms.join(&scene.id, &eve, None).await.unwrap();
    let kind = |outcome: Result<()>| outcome.unwrap_err().kind;
    assert_eq!(kind(scene.read(&eve, public(EVERYWHERE), &one).await), Kind::NotFound, "it was before her time");
    let other = scene.rooms.create(&alice(), Request::new()).await.unwrap();
    let elsewhere = scene.rooms.room(&other).await.unwrap().current().heads[0].clone();
    assert_eq!(kind(scene.read(&alice(), Mark::FullyRead, &elsewhere).await), Kind::NotFound);
}

#[tokio::test]
async fn several_marks_are_set_together_or_not_at_all() {
    let scene = Scene::new().await;
    let (one, two) = (scene.say("1", None).await, scene.say("2", None).await);
    let marks = |read: &OwnedEventId| {
        let unknown = OwnedEventId::try_from("$unknown").unwrap();
        let private_mark = if *read == one { unknown } else { read.clone() };
        [(Mark::FullyRead, one.clone()), (public(EVERYWHERE), read.clone()), (private(EVERYWHERE), private_mark)]
    };
    let refused = scene.rooms.mark_read(&scene.id, &bob(), &marks(&one)).await;
    assert_eq!(refused.unwrap_err().kind, Kind::NotFound);
    assert_eq!(scene.news(&bob(), None).await, [""; 0]);

    let before = scene.position().get();
    scene.rooms.mark_read(&scene.id, &bob(), &marks(&two)).await.unwrap();
    assert_eq!(scene.position().get(), before + 3, "each change has a position of its own");
    let expected = json!({ &*two: { "m.read": { bob(): {} }, "m.read.private": { bob(): {} } } });
    assert_eq!(scene.news(&bob(), None).await, [expected]);

    let marker = async || {
        let data = &scene.rooms.shared.account_data;
        data.current(&bob(), Some(&scene.id), "m.fully_read").await.unwrap().unwrap().get().to_owned()
    };
    assert_eq!(marker().await, json!({ "event_id": one }).to_string());
    scene.read(&bob(), Mark::FullyRead, &two).await.unwrap();
    scene.read(&bob(), Mark::FullyRead, &one).await.unwrap();
    assert_eq!(marker().await, json!({ "event_id": two }).to_string(), "the marker does not go back");
}

#[tokio::test]
async fn of_a_crowd_only_the_newest_receipts_come_and_ones_own() {
    let scene = Scene::new().await;
    let one = scene.say("1", None).await;
    scene.read(&bob(), private(EVERYWHERE), &one).await.unwrap();
    let mut batch = Batch::new();
    batch.slots(1_500);
    for slot in 0..1_500 {
        let reader = UserId::parse(format!("@reader{slot}:example.org")).unwrap();
        let (event_id, thread, order) = (one.clone(), String::new(), Order::Live(scene.position()));
        let receipt = Receipt { reader, kind: ReceiptKind::Public, thread, event_id, order, received_at: 1_000 };
        RECEIPTS_BY_POSITION.put(&mut batch, (&scene.id, Position::pending(slot)), &receipt);
    }
    scene.rooms.shared.store.commit(batch).await.unwrap();
    let news = &scene.news(&bob(), None).await[0][one.as_str()];
    let crowd = news["m.read"].as_object().unwrap();
    assert_eq!(crowd.len(), 1_000);
    assert!(crowd.contains_key("@reader1499:example.org") && !crowd.contains_key("@reader1:example.org"));
    assert!(!news["m.read.private"][bob().as_str()].is_null());
    assert!(scene.news(&alice(), None).await[0][one.as_str()]["m.read.private"].is_null());
}
