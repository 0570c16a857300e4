//! What becomes of a pusher whose gateway is nowhere, over a store in memory and with a clock that is set by hand.

use std::collections::HashSet;

use ruma::{
    OwnedRoomId, RoomVersionId,
    api::client::room::create_room::v3::{Request, RoomPreset},
    device_id,
    events::TimelineEventType,
    owned_user_id, server_name, user_id,
};
use serde_json::{json, value::to_raw_value};
use tokio::{
    task::{JoinSet, yield_now},
    time::timeout,
};

use super::*;
use crate::{
    config::Config,
    matrix::signing::SigningKey,
    rooms::{NoticeSettings, Settings},
    storage::{
        Batch, Position,
        schema::{
            delivery::{PUSH_PROGRESS, PushProgress},
            users::{DEVICES, Device, DeviceTokens},
        },
    },
    streams::Ephemerals,
    users::{OtherUsers, Users},
};

/// Nobody listens on this port.
const CONFIG: &str = r#"
    server_name = "example.org"
    data_dir = "data"
    [push]
    allow_http = true
    [outgoing]
    allowed_addresses = ["127.0.0.0/8"]
"#;

/// Alice and bob in a public room, and a pusher of bob whose gateway is nowhere.
struct Scene {
    push: Push,
    room: OwnedRoomId,
    key: Key,
}

impl Scene {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (store, clock, notifier) = (Store::in_memory(), Clock::manual(1_000_000), Notifier::default());
        let config = Config::read(CONFIG, "".as_ref(), []).unwrap();
        let users = Users::new(&store, &notifier, &clock, &config, &[]).unwrap();
        let settings = Settings {
            server_name: server_name!("example.org").to_owned(),
            default_version: RoomVersionId::V12,
            default_history_visibility: config.rooms.default_history_visibility,
            server_notices: NoticeSettings {
                sender: owned_user_id!("@_server:example.org"),
                room_name: "Server notices".to_owned(),
                avatar_url: None,
            },
        };
        let ephemerals = Ephemerals::new(1);
        let key = SigningKey::generate();
        let rooms = Rooms::new(store.clone(), clock.clone(), notifier.clone(), ephemerals, &users, key, settings);
        let mut request = Request::new();
        request.preset = Some(RoomPreset::PublicChat);
        let room = rooms.create(user_id!("@alice:example.org"), request).await.unwrap();
        rooms.join(&room, user_id!("@bob:example.org"), None).await.unwrap();

        let bob = owned_user_id!("@bob:example.org");
        let mut batch = Batch::new();
        let tokens = DeviceTokens { access: [1; 32], refresh: None };
        let device = Device { display_name: None, tokens, refreshed: None };
        DEVICES.put(&mut batch, (&*bob, device_id!("D")), &device);
        store.commit(batch).await.unwrap();
        let pusher = serde_json::from_value(json!({
            "pushkey": "key", "app_id": "app", "kind": "http", "lang": "en", "app_display_name": "App",
            "device_display_name": "Phone", "data": {"url": "http://127.0.0.1:9/_matrix/push/v1/notify"},
        }))
        .unwrap();
        users.pushers.set(&bob, device_id!("D"), &pusher, OtherUsers::Keep).await.unwrap();

        let outgoing = Outgoing::new(&config.outgoing).unwrap();
        let sources = Sources { rooms, pushers: users.pushers.clone(), outgoing };
        let push = Push::new(store, clock, notifier, Shutdown::default(), sources, Badge::Messages);
        Self { push, room, key: Key { user: bob, app_id: "app".to_owned(), pushkey: "key".to_owned() } }
    }

    async fn say(&self, text: &str) {
        let content = to_raw_value(&json!({ "msgtype": "m.text", "body": text })).unwrap();
        let sender = (user_id!("@alice:example.org"), device_id!("D"));
        let kind = TimelineEventType::RoomMessage;
        self.push.shared.rooms.send_message(&self.room, sender, kind, text.into(), content).await.unwrap();
    }

    /// Notes everything that happened since the store was new, as the follower does when it starts.
    async fn follow(&self, workers: &mut JoinSet<()>) -> Position {
        let mut owners = self.push.owners(&self.push.shared.store.snapshot()).await.unwrap();
        self.push.catch_up(workers, &mut owners, Position::ZERO).await.unwrap()
    }

    async fn progress(&self) -> Option<PushProgress> {
        let Key { user, app_id, pushkey } = &self.key;
        PUSH_PROGRESS.get(&self.push.shared.store.snapshot(), (&**user, app_id, pushkey)).await.unwrap()
    }

    /// Waits until what is kept of the pusher is as wanted.
    async fn progress_until(&self, wanted: impl Fn(&PushProgress) -> bool) -> PushProgress {
        let waiting = async {
            loop {
                if let Some(progress) = self.progress().await.filter(&wanted) {
                    return progress;
                }
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), waiting).await.expect("the worker gets there")
    }
}

#[tokio::test]
async fn what_waits_for_a_gateway_that_is_gone_is_given_up_after_a_day() {
    let (scene, mut workers) = (Scene::new().await, JoinSet::new());
    scene.say("one").await;
    let until = scene.follow(&mut workers).await;
    let failing = scene.progress_until(|progress| progress.failing.is_some()).await;
    assert!(failing.done < until, "it is still to be told");
    let attempt = failing.failing.unwrap();
    assert_eq!((attempt.since, attempt.attempts, attempt.next_attempt), (1_000_000, 1, 1_001_000));

    scene.push.shared.clock.advance(progress::PATIENCE);
    let given_up = scene.progress_until(|progress| progress.failing.is_none()).await;
    assert_eq!((given_up.done, given_up.badge), (until, 0));
    timeout(Duration::from_secs(30), workers.join_all()).await.expect("the worker rests");

    // What comes then is tried again from the start.
    scene.say("two").await;
    let mut workers = JoinSet::new();
    scene.follow(&mut workers).await;
    let failing = scene.progress_until(|progress| progress.failing.is_some()).await.failing.unwrap();
    assert_eq!(failing.attempts, 1);
}

#[tokio::test]
async fn a_pusher_that_is_gone_leaves_nothing_behind() {
    let (scene, mut workers) = (Scene::new().await, JoinSet::new());
    scene.say("one").await;
    scene.follow(&mut workers).await;
    scene.progress_until(|progress| progress.failing.is_some()).await;
    scene.push.shared.pushers.remove(&scene.key.user, &scene.key.ids()).await.unwrap();
    // It was waiting for its next attempt.
    scene.follow(&mut workers).await;
    timeout(Duration::from_secs(30), workers.join_all()).await.expect("the worker ends");
    assert_eq!(scene.progress().await, None);

    // Also when it went while the server was down.
    let mut batch = Batch::new();
    let left = PushProgress { since: Position::ZERO, done: Position::ZERO, badge: 0, failing: None };
    PUSH_PROGRESS.put(&mut batch, (&*scene.key.user, "app", "key"), &left);
    scene.push.shared.store.commit(batch).await.unwrap();
    scene.push.forget_others(&scene.push.shared.store.snapshot(), &HashSet::new()).await.unwrap();
    assert_eq!(scene.progress().await, None);
}
