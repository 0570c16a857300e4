//! What counts, for whom, and until when.

mod whatever_happens;

use ruma::{
    OwnedEventId, RoomId, UserId,
    api::client::room::create_room::v3::{Request, RoomPreset},
    device_id,
    events::{StateEventType, TimelineEventType, receipt::ReceiptThread},
    push::{NewPatternedPushRule, NewPushRule, NewSimplePushRule, RuleKind},
    user_id,
};
use serde_json::{Value, json, value::to_raw_value};

use super::*;
use crate::{
    rooms::{Intent, Mark, ReceiptKind, tests::rooms},
    streams::Notifier,
    users::{Place, ThreadSubscriptions},
};

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

fn bob() -> &'static UserId {
    user_id!("@bob:example.org")
}

fn carol() -> &'static UserId {
    user_id!("@carol:example.org")
}

fn people() -> [&'static UserId; 3] {
    [alice(), bob(), carol()]
}

/// A public room that alice made and bob is in, with what was sent there.
struct Scene {
    rooms: Rooms,
    id: OwnedRoomId,
    sent: Vec<OwnedEventId>,
}

impl Scene {
    async fn new() -> Self {
        let rooms = rooms();
        let mut request = Request::new();
        request.preset = Some(RoomPreset::PublicChat);
        let id = rooms.create(alice(), request).await.unwrap();
        rooms.join(&id, bob(), None).await.unwrap();
        Self { rooms, id, sent: Vec::new() }
    }

    async fn send(&mut self, sender: &UserId, kind: TimelineEventType, content: Value) -> OwnedEventId {
        self.try_to_send(sender, kind, content).await.unwrap()
    }

    async fn try_to_send(&mut self, sender: &UserId, kind: TimelineEventType, content: Value) -> Result<OwnedEventId> {
        let (content, transaction) = (to_raw_value(&content).unwrap(), self.sent.len().to_string());
        let sender = (sender, device_id!("D"));
        let sent = self.rooms.send_message(&self.id, sender, kind, transaction.as_str().into(), content).await?;
        self.sent.push(sent.clone());
        Ok(sent)
    }

    async fn say(&mut self, sender: &UserId, more: Value) -> OwnedEventId {
        let mut content = json!({ "msgtype": "m.text", "body": "hello" });
        content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.send(sender, TimelineEventType::RoomMessage, content).await
    }

    async fn read(&self, reader: &UserId, thread: ReceiptThread, event: &OwnedEventId) -> Result<()> {
        let mark = Mark::Receipt { kind: ReceiptKind::Private, thread };
        self.rooms.mark_read(&self.id, reader, &[(mark, event.clone())]).await
    }

    async fn unread(&self, reader: &UserId) -> Unread {
        unread(&self.rooms, &self.id, reader).await
    }

    /// The notifications and highlights of the whole room.
    async fn total(&self, reader: &UserId) -> (u64, u64) {
        let Counts { notifications, highlights } = self.unread(reader).await.total();
        (notifications, highlights)
    }

    async fn redact(&mut self, sender: &UserId, event: &OwnedEventId) -> Result<()> {
        let transaction = format!("redaction of {event} after {}", self.sent.len());
        let sender = (sender, device_id!("D"));
        self.rooms.redact(&self.id, sender, event, transaction.as_str().into(), None).await.map(drop)
    }

    /// Alice sets the power that it takes to notify everybody.
    async fn give_power_to_call(&self, level: i64) {
        let levels = json!({ "users": {}, "notifications": { "room": level } });
        let intent = Intent::state(alice(), StateEventType::RoomPowerLevels, "", &levels).unwrap();
        self.rooms.append(&self.id, intent).await.unwrap();
    }

    /// Somebody subscribes to a thread, or wants to hear of it no more.
    async fn follow(&self, user: &UserId, root: &OwnedEventId, follows: bool) {
        let subscriptions = ThreadSubscriptions::new(self.rooms.shared.store.clone(), Notifier::default());
        match follows {
            true => subscriptions.subscribe(user, &self.id, root, None).await.unwrap(),
            false => subscriptions.unsubscribe(user, &self.id, root).await.unwrap(),
        }
    }

    /// Has nobody hear of threads to which they are not subscribed, or everybody as always.
    async fn silence_threads(&self, user: &UserId, silent: bool) {
        let rule = ".io.element.msc4306.rule.unsubscribed_thread";
        self.rooms.shared.push_rules.set_enabled(user, RuleKind::PostContent, rule, silent).await.unwrap();
    }

    fn forget(&self) {
        self.rooms.shared.unread.folds.clear();
    }
}

async fn unread(rooms: &Rooms, id: &RoomId, reader: &UserId) -> Unread {
    let snapshot = rooms.shared.store.snapshot();
    let (room, viewer) = (rooms.room(id).await.unwrap(), rooms.viewer(&snapshot, id, reader).await.unwrap());
    rooms.unread(&snapshot, &room, &viewer).await.unwrap()
}

fn in_thread(root: &OwnedEventId) -> Value {
    json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": root } })
}

fn mention(user: &UserId) -> Value {
    json!({ "m.mentions": { "user_ids": [user] } })
}

#[tokio::test]
async fn what_others_say_counts_until_it_is_read() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.total(bob()).await, (0, 0), "his own join, and what was before it, are nothing new");
    scene.say(alice(), json!({})).await;
    let last = scene.say(alice(), mention(bob())).await;
    assert_eq!(scene.total(bob()).await, (2, 1));
    assert_eq!(scene.total(alice()).await, (0, 0));
    scene.read(bob(), ReceiptThread::Unthreaded, &last).await.unwrap();
    assert_eq!(scene.total(bob()).await, (0, 0));
    assert_eq!(scene.total(carol()).await, (0, 0), "she is not in the room");
}

#[tokio::test]
async fn rules_decide_what_counts() {
    let mut scene = Scene::new().await;
    scene.say(alice(), json!({ "msgtype": "m.notice" })).await;
    let edited = scene.sent[0].clone();
    let edit = json!({ "m.relates_to": { "rel_type": "m.replace", "event_id": edited }, "m.new_content": {} });
    scene.say(alice(), edit).await;
    scene.send(alice(), TimelineEventType::Reaction, json!({ "m.relates_to": {} })).await;
    assert_eq!(scene.total(bob()).await, (0, 0));
    scene.say(bob(), json!({ "m.mentions": { "room": true } })).await;
    assert_eq!(scene.total(alice()).await, (1, 0), "bob has not the power to call everybody");
    scene.say(alice(), json!({ "m.mentions": { "room": true } })).await;
    assert_eq!(scene.total(bob()).await, (1, 1));
}

#[tokio::test]
async fn changed_rules_hold_for_what_is_unread_already() {
    let mut scene = Scene::new().await;
    scene.say(alice(), json!({ "body": "lunch?" })).await;
    assert_eq!(scene.total(bob()).await, (1, 0));
    let rules = scene.rooms.shared.push_rules.clone();
    let highlight = serde_json::from_value(json!(["notify", { "set_tweak": "highlight" }])).unwrap();
    let lunch = NewPushRule::Content(NewPatternedPushRule::new("lunch".to_owned(), "lunch".to_owned(), highlight));
    rules.put(bob(), lunch, Place::default()).await.unwrap();
    assert_eq!(scene.total(bob()).await, (1, 1));
    let mute = NewPushRule::Room(NewSimplePushRule::new(scene.id.clone(), vec![]));
    rules.remove(bob(), RuleKind::Content, "lunch").await.unwrap();
    rules.put(bob(), mute, Place::default()).await.unwrap();
    assert_eq!(scene.total(bob()).await, (0, 0));
    rules.set_enabled(bob(), RuleKind::Room, scene.id.as_str(), false).await.unwrap();
    assert_eq!(scene.total(bob()).await, (1, 0));
}

#[tokio::test]
async fn subscriptions_to_threads_hold_for_what_is_unread_already() {
    let mut scene = Scene::new().await;
    let (root, other) = (scene.say(bob(), json!({})).await, scene.say(bob(), json!({})).await);
    scene.say(alice(), in_thread(&root)).await;
    let edit = json!({ "rel_type": "m.reference", "event_id": scene.sent[2] });
    scene.say(alice(), json!({ "m.relates_to": edit })).await;
    scene.say(alice(), in_thread(&other)).await;
    let mut named = in_thread(&other);
    named["m.mentions"] = json!({ "user_ids": [bob()] });
    scene.say(alice(), named).await;
    assert_eq!(scene.total(bob()).await, (4, 1), "without a subscription one hears of everything");
    scene.silence_threads(bob(), true).await;
    assert_eq!(scene.total(bob()).await, (1, 1), "who wants it quiet hears when they are named");
    scene.follow(bob(), &root, true).await;
    assert_eq!(scene.total(bob()).await, (3, 1), "what refers to something in a thread is in the thread");
    scene.follow(bob(), &root, false).await;
    assert_eq!(scene.total(bob()).await, (1, 1));

    // Nor do they hear of the room, except of what they are subscribed to.
    scene.silence_threads(bob(), false).await;
    let mute = NewPushRule::Room(NewSimplePushRule::new(scene.id.clone(), vec![]));
    scene.rooms.shared.push_rules.put(bob(), mute, Place::default()).await.unwrap();
    assert_eq!(scene.total(bob()).await, (1, 1));
    scene.follow(bob(), &other, true).await;
    assert_eq!(scene.total(bob()).await, (2, 1));
    assert_eq!(scene.unread(bob()).await.threads.keys().collect::<Vec<_>>(), [&other]);
}

#[tokio::test]
async fn ignored_people_say_nothing() {
    let mut scene = Scene::new().await;
    scene.say(alice(), mention(bob())).await;
    assert_eq!(scene.total(bob()).await, (1, 1));
    let ignore = async |people: Value| {
        let content = to_raw_value(&json!({ "ignored_users": people })).unwrap();
        scene.rooms.shared.account_data.set(bob(), None, "m.ignored_user_list", content).await.unwrap();
    };
    ignore(json!({ alice().as_str(): {} })).await;
    assert_eq!(scene.total(bob()).await, (0, 0));
    ignore(json!({})).await;
    assert_eq!(scene.total(bob()).await, (1, 1));
}

#[tokio::test]
async fn threads_are_counted_and_read_by_themselves() {
    let mut scene = Scene::new().await;
    let root = scene.say(alice(), json!({})).await;
    let inside = scene.say(alice(), in_thread(&root)).await;
    scene.say(alice(), in_thread(&root)).await;
    let last = scene.say(alice(), json!({})).await;
    let counts = |notifications| Counts { notifications, highlights: 0 };
    let unread = |main, thread: Option<u64>| {
        let threads = thread.map(|thread| (root.clone(), counts(thread)));
        Unread { main: counts(main), threads: threads.into_iter().collect() }
    };
    assert_eq!(scene.unread(bob()).await, unread(2, Some(2)));
    scene.read(bob(), ReceiptThread::Main, &last).await.unwrap();
    assert_eq!(scene.unread(bob()).await, unread(0, Some(2)));
    scene.read(bob(), ReceiptThread::Thread(root.clone()), &inside).await.unwrap();
    assert_eq!(scene.unread(bob()).await, unread(0, Some(1)));
    scene.read(bob(), ReceiptThread::Unthreaded, &last).await.unwrap();
    assert_eq!(scene.unread(bob()).await, unread(0, None));
}

#[tokio::test]
async fn what_was_said_in_threads_counts_by_the_room_as_it_was() {
    let mut scene = Scene::new().await;
    let root = scene.say(bob(), json!({})).await;
    let mut call_everybody = in_thread(&root);
    call_everybody["m.mentions"] = json!({ "room": true });
    scene.say(bob(), call_everybody.clone()).await;
    scene.give_power_to_call(0).await;
    scene.say(bob(), call_everybody.clone()).await;
    scene.give_power_to_call(50).await;
    scene.say(bob(), call_everybody).await;
    let last = scene.say(bob(), json!({})).await;
    scene.read(alice(), ReceiptThread::Main, &last).await.unwrap();
    assert_eq!(scene.total(alice()).await, (3, 1));
    scene.forget();
    assert_eq!(scene.total(alice()).await, (3, 1));
}

#[tokio::test]
async fn who_answers_has_read_what_was_said_in_that_thread() {
    let mut scene = Scene::new().await;
    let root = scene.say(alice(), json!({})).await;
    scene.say(alice(), in_thread(&root)).await;
    scene.say(bob(), in_thread(&root)).await;
    let unread = scene.unread(bob()).await;
    assert_eq!((unread.main.notifications, unread.threads.len()), (1, 0), "but not what was said elsewhere");
    scene.say(bob(), json!({})).await;
    assert_eq!(scene.total(bob()).await, (0, 0));
}

#[tokio::test]
async fn what_is_redacted_counts_no_longer() {
    let mut scene = Scene::new().await;
    let first = scene.say(alice(), mention(bob())).await;
    scene.say(alice(), json!({})).await;
    assert_eq!(scene.total(bob()).await, (2, 1));
    scene.redact(alice(), &first).await.unwrap();
    assert_eq!(scene.total(bob()).await, (1, 0));
}

#[tokio::test]
async fn who_comes_back_has_nothing_to_catch_up_with() {
    let mut scene = Scene::new().await;
    scene.say(alice(), json!({})).await;
    assert_eq!(scene.total(bob()).await, (1, 0));
    scene.rooms.leave(&scene.id, bob(), None).await.unwrap();
    assert_eq!(scene.total(bob()).await, (0, 0));
    scene.say(alice(), json!({})).await;
    scene.rooms.join(&scene.id, bob(), None).await.unwrap();
    assert_eq!(scene.total(bob()).await, (0, 0));
    scene.say(alice(), json!({})).await;
    assert_eq!(scene.total(bob()).await, (1, 0));
}

#[tokio::test]
async fn a_device_that_stands_behind_another_gets_the_counts_of_its_moment() {
    let mut scene = Scene::new().await;
    scene.say(alice(), json!({})).await;
    let earlier = scene.rooms.shared.store.snapshot();
    scene.say(alice(), json!({})).await;
    assert_eq!(scene.total(bob()).await, (2, 0));
    let (room, viewer) =
        (scene.rooms.room(&scene.id).await.unwrap(), scene.rooms.viewer(&earlier, &scene.id, bob()).await.unwrap());
    assert_eq!(scene.rooms.unread(&earlier, &room, &viewer).await.unwrap().total().notifications, 1);
    assert_eq!(scene.total(bob()).await, (2, 0));
}
