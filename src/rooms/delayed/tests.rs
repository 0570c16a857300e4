//! When events that wait are sent, what else can become of them, and what is refused.

use ruma::{OwnedUserId, device_id};
use serde_json::{Value, json, value::to_raw_value};

use super::*;
use crate::rooms::tests::scene::{Scene, user};

struct Delays {
    scene: Scene,
    alice: OwnedUserId,
}

impl Delays {
    async fn new() -> Self {
        Self { scene: Scene::private().await, alice: user("alice") }
    }

    fn request(&self, delay: u64, content: Value) -> DelayRequest {
        DelayRequest {
            room_id: self.scene.id.clone(),
            kind: "m.room.message".into(),
            state_key: None,
            content: to_raw_value(&content).unwrap(),
            delay: Duration::from_millis(delay),
            transaction: None,
        }
    }

    async fn schedule(&self, request: DelayRequest) -> Result<String> {
        self.scene.rooms.send_later((&self.alice, device_id!("D")), request).await
    }

    async fn say_in(&self, delay: u64, text: &str) -> String {
        self.schedule(self.request(delay, json!({"body": text}))).await.unwrap()
    }

    async fn pass(&self, milliseconds: u64) -> u64 {
        self.scene.rooms.shared.clock.advance(Duration::from_millis(milliseconds));
        self.scene.rooms.send_all_due().await.unwrap()
    }

    async fn said(&self) -> Vec<String> {
        let (mut all, _) =
            self.scene.walk("alice", Direction::Forward, 100, json!({"types": ["m.room.message"]})).await;
        all.retain(|body| !body.starts_with("m.room"));
        all
    }

    async fn end(&self, id: &str) -> Option<DelayedEnd> {
        self.scene.rooms.delayed_event(&self.alice, id).await.unwrap().event.outcome.map(|outcome| outcome.end)
    }

    async fn waiting(&self) -> Vec<String> {
        let waiting = self.scene.rooms.delayed_events(&self.alice).await.unwrap();
        waiting.into_iter().map(|status| status.id).collect()
    }
}

#[tokio::test]
async fn events_are_sent_in_the_order_of_their_times_and_not_before() {
    let delays = Delays::new().await;
    let late = delays.say_in(200, "late").await;
    let early = delays.say_in(100, "early").await;
    assert_eq!(delays.waiting().await, [&*early, &*late]);
    assert_eq!(delays.pass(99).await, 1_100);
    assert!(delays.said().await.is_empty());
    assert_eq!(delays.pass(1).await, 1_200);
    assert_eq!(delays.said().await, ["early"]);
    delays.pass(500).await;
    assert_eq!(delays.said().await, ["early", "late"]);
    assert!(delays.waiting().await.is_empty());
    assert!(matches!(delays.end(&late).await, Some(DelayedEnd::Sent(_))));
    delays.pass(500).await;
    assert_eq!(delays.said().await.len(), 2, "nothing is sent twice");
}

#[tokio::test]
async fn who_knows_the_id_decides_once() {
    let delays = Delays::new().await;
    let rooms = delays.scene.rooms.clone();
    let (sent, cancelled, restarted) =
        (delays.say_in(100, "now").await, delays.say_in(100, "never").await, delays.say_in(100, "later").await);
    rooms.act_on_delayed(&sent, DelayAction::Send).await.unwrap();
    rooms.act_on_delayed(&cancelled, DelayAction::Cancel).await.unwrap();
    rooms.shared.clock.advance(Duration::from_millis(60));
    rooms.act_on_delayed(&restarted, DelayAction::Restart).await.unwrap();
    for (id, action, outcome) in [
        (&sent, DelayAction::Send, None),
        (&sent, DelayAction::Cancel, Some(Kind::Conflict)),
        (&sent, DelayAction::Restart, Some(Kind::Conflict)),
        (&cancelled, DelayAction::Cancel, None),
        (&cancelled, DelayAction::Send, Some(Kind::Conflict)),
        (&cancelled, DelayAction::Restart, Some(Kind::Conflict)),
        (&"unknown".to_owned(), DelayAction::Send, Some(Kind::NotFound)),
    ] {
        let got = rooms.act_on_delayed(id, action).await.err().map(|error| error.kind);
        assert_eq!(got, outcome, "{action:?} of {id}");
    }
    delays.pass(60).await;
    assert_eq!(delays.said().await, ["now"]);
    delays.pass(40).await;
    assert_eq!(delays.said().await, ["now", "later"]);
}

#[tokio::test]
async fn an_event_that_is_sent_from_two_sides_at_once_is_sent_once() {
    let delays = Delays::new().await;
    let id = delays.say_in(1, "once").await;
    let rooms = &delays.scene.rooms;
    rooms.shared.clock.advance(Duration::from_millis(1));
    let (one, two, three) = tokio::join!(
        rooms.act_on_delayed(&id, DelayAction::Send),
        rooms.act_on_delayed(&id, DelayAction::Send),
        rooms.send_all_due()
    );
    one.and(two).unwrap();
    three.unwrap();
    assert_eq!(delays.said().await, ["once"]);
}

#[tokio::test]
async fn whether_the_sender_may_is_asked_when_it_is_sent() {
    let delays = Delays::new().await;
    let mut refused = delays.request(100, json!({"membership": "join"}));
    (refused.kind, refused.state_key) = ("m.room.member".into(), Some("@other:example.org".to_owned()));
    let id = delays.schedule(refused).await.unwrap();
    let cause = delays.scene.rooms.act_on_delayed(&id, DelayAction::Send).await.unwrap_err();
    assert_eq!(delays.waiting().await, [&*id], "it goes on to wait after {cause}");
    delays.pass(100).await;
    let status = delays.scene.rooms.delayed_event(&delays.alice, &id).await.unwrap();
    assert_eq!(status.failure().unwrap().kind, cause.kind);
    delays.scene.rooms.act_on_delayed(&id, DelayAction::Cancel).await.unwrap();
}

#[tokio::test]
async fn state_is_set_when_its_time_comes_even_where_it_holds_already() {
    let delays = Delays::new().await;
    let schedule = async || {
        let mut name = delays.request(100, json!({"name": "Later"}));
        (name.kind, name.state_key) = ("m.room.name".into(), Some(String::new()));
        delays.schedule(name).await.unwrap()
    };
    let (first, second) = (schedule().await, schedule().await);
    delays.pass(100).await;
    assert_eq!(delays.scene.state("alice", "m.room.name").await.unwrap()["content"]["name"], "Later");
    let (first, second) = (delays.end(&first).await, delays.end(&second).await);
    assert!(matches!(first, Some(DelayedEnd::Sent(_))));
    assert_eq!(first, second);
}

#[tokio::test]
async fn only_the_sender_learns_of_the_id() {
    let delays = Delays::new().await;
    delays.scene.join("bob").await;
    let id = delays.say_in(100, "hello").await;
    delays.pass(100).await;
    let Some(DelayedEnd::Sent(event)) = delays.end(&id).await else { panic!("it was sent") };
    let unsigned = async |name| delays.scene.event(name, &event).await.unwrap()["unsigned"].clone();
    assert_eq!(unsigned("alice").await["org.matrix.msc4140.delay_id"], *id);
    assert_eq!(unsigned("bob").await.get("org.matrix.msc4140.delay_id"), None);
    let error = delays.scene.rooms.delayed_event(&user("bob"), &id).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
}

#[tokio::test]
async fn a_transaction_schedules_once_for_as_long_as_the_event_is_known() {
    let delays = Delays::new().await;
    let schedule = async || {
        let request = delays.request(100, json!({"body": "once"}));
        delays.schedule(DelayRequest { transaction: Some("t".into()), ..request }).await.unwrap()
    };
    let id = schedule().await;
    assert_eq!(schedule().await, id);
    delays.pass(100).await;
    assert_eq!(schedule().await, id);
    delays.pass(KEPT.as_millis() as u64).await;
    let forgotten = delays.scene.rooms.delayed_event(&delays.alice, &id).await.unwrap_err();
    assert_eq!(forgotten.kind, Kind::NotFound);
    assert_ne!(schedule().await, id);
}

#[tokio::test]
async fn what_cannot_be_an_event_or_waits_too_long_is_refused() {
    let delays = Delays::new().await;
    let with = |change: &dyn Fn(&mut DelayRequest)| {
        let mut request = delays.request(100, json!({}));
        change(&mut request);
        request
    };
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(120), "]".repeat(120));
    for (request, kind) in [
        (with(&|it| it.delay = Duration::ZERO), Kind::InvalidParam),
        (with(&|it| it.delay = LONGEST_DELAY + Duration::from_millis(1)), Kind::Forbidden),
        (with(&|it| it.delay = Duration::from_millis(u64::MAX)), Kind::Forbidden),
        (with(&|it| it.content = to_raw_value(&json!({"a": 1.5})).unwrap()), Kind::BadJson),
        (with(&|it| it.content = RawValue::from_string(deep.clone()).unwrap()), Kind::BadJson),
        (with(&|it| it.content = to_raw_value(&json!({"a": "x".repeat(65_536)})).unwrap()), Kind::TooLarge),
        (with(&|it| it.kind = "t".repeat(256).into()), Kind::TooLarge),
        (with(&|it| it.state_key = Some("k".repeat(256))), Kind::TooLarge),
    ] {
        let what = format!("{request:.100?}");
        assert_eq!(delays.schedule(request).await.unwrap_err().kind, kind, "{what}");
    }
    assert!(delays.waiting().await.is_empty());
}

#[tokio::test]
async fn a_user_has_only_so_many_that_wait_and_so_many_that_did() {
    let delays = Delays::new().await;
    for _ in 0..MAXIMUM_DELAYED {
        delays.say_in(60_000, "hello").await;
    }
    let refused = delays.schedule(delays.request(100, json!({}))).await.unwrap_err();
    match refused.kind {
        Kind::LimitExceeded { retry_after } => assert_eq!(retry_after, Duration::from_secs(60)),
        kind => panic!("{kind:?}"),
    }
    let first = delays.waiting().await.remove(0);
    for id in delays.waiting().await {
        delays.scene.rooms.shared.clock.advance(Duration::from_millis(1));
        let action = if id == first { DelayAction::Send } else { DelayAction::Cancel };
        delays.scene.rooms.act_on_delayed(&id, action).await.unwrap();
    }
    let more = delays.say_in(60_000, "hello").await;
    delays.scene.rooms.act_on_delayed(&more, DelayAction::Cancel).await.unwrap();
    let forgotten = delays.scene.rooms.delayed_event(&delays.alice, &first).await.unwrap_err();
    assert_eq!(forgotten.kind, Kind::NotFound, "it is the oldest of those that are known");
    assert!(delays.end(&more).await.is_some());
}

#[tokio::test]
async fn what_was_due_while_the_server_was_down_is_sent_when_it_starts() {
    let delays = Delays::new().await;
    delays.say_in(2_000, "second").await;
    delays.say_in(1_000, "first").await;
    let again = Delays { scene: delays.scene.after_restart(), alice: user("alice") };
    again.pass(5_000).await;
    assert_eq!(again.said().await, ["first", "second"]);
}
