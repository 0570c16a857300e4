//! The way of an event through the core, over a store in memory.

mod aliases;
mod company;
mod create;
mod directory;
mod hierarchy;
mod history;
mod jump_to_date;
mod keeping_up;
mod membership;
mod redaction;
pub(super) mod scene;
mod server_notices;
mod state;
mod upgrade;

use ruma::{
    OwnedUserId, UserId,
    api::client::room::create_room::v3::Request,
    device_id,
    events::{StateEventType, TimelineEventType, room::member::MembershipState},
    owned_user_id, server_name, user_id,
};
use serde_json::value::{RawValue, to_raw_value};

use super::{timeline::PageRequest, *};
use crate::storage::{Direction, KeyRange};

/// Rooms over a store in memory.
pub(super) fn rooms() -> Rooms {
    rooms_in(Store::in_memory())
}

/// The service as it starts on what a store holds.
fn rooms_in(store: Store) -> Rooms {
    let text = "server_name = \"example.org\"\ndata_dir = \"data\"";
    let config = crate::config::Config::read(text, "".as_ref(), []).unwrap();
    let (clock, notifier) = (Clock::manual(1_000), Notifier::default());
    let users = Users::new(&store, &notifier, &clock, &config, &[]).unwrap();
    let settings = Settings {
        server_name: server_name!("example.org").to_owned(),
        default_version: RoomVersionId::V12,
        default_history_visibility: HistoryVisibility::Joined,
        server_notices: NoticeSettings {
            sender: owned_user_id!("@_server:example.org"),
            room_name: "Server notices".to_owned(),
            avatar_url: None,
        },
    };
    Rooms::new(store, clock, notifier, Ephemerals::new(1), &users, SigningKey::generate(), settings)
}

fn alice() -> OwnedUserId {
    owned_user_id!("@alice:example.org")
}

/// The content of a message.
pub(super) fn text(body: &str) -> Box<RawValue> {
    to_raw_value(&serde_json::json!({ "msgtype": "m.text", "body": body })).unwrap()
}

async fn bodies_seen_by(rooms: &Rooms, room_id: &ruma::RoomId, user: &UserId) -> Vec<String> {
    let room = rooms.room(room_id).await.unwrap();
    let snapshot = rooms.shared.store.snapshot();
    let viewer = rooms.viewer(&snapshot, room_id, user).await.unwrap();
    let range = KeyRange::prefix((room_id,));
    let request = PageRequest { room: &room, range, direction: Direction::Forward, limit: 100 };
    let page = rooms.page(&snapshot, request, &viewer, |event| event.kind == TimelineEventType::RoomMessage).await;
    let body = |event: &super::timeline::TimelineEvent| {
        event.event.content_as::<serde_json::Value>().unwrap()["body"].as_str().unwrap().to_owned()
    };
    page.unwrap().events.iter().map(body).collect()
}

#[tokio::test]
async fn every_room_version_can_be_created_and_spoken_in() {
    let rooms = rooms();
    for version in crate::matrix::room_version::SUPPORTED {
        let mut request = Request::new();
        request.room_version = Some(version.clone());
        request.name = Some("A room".to_owned());
        let id = rooms.create(&alice(), request).await.unwrap();
        let sender = (&*alice(), device_id!("D"));
        let kind = TimelineEventType::RoomMessage;
        rooms.send_message(&id, sender, kind, "1".into(), text("hello")).await.unwrap();
        assert_eq!(bodies_seen_by(&rooms, &id, &alice()).await, ["hello"], "in version {version}");
        let state = rooms.room(&id).await.unwrap().current();
        assert_eq!(state.membership(&alice()), MembershipState::Join);
        assert!(state.get(&StateEventType::RoomName, "").is_some());
    }
}

#[tokio::test]
async fn a_repeated_transaction_makes_one_event() {
    let rooms = rooms();
    let id = rooms.create(&alice(), Request::new()).await.unwrap();
    let send = || async {
        let sender = (&*alice(), device_id!("D"));
        rooms.send_message(&id, sender, TimelineEventType::RoomMessage, "1".into(), text("once")).await.unwrap()
    };
    let (one, two, three) = tokio::join!(send(), send(), send());
    assert!(one == two && two == three);
    assert_eq!(bodies_seen_by(&rooms, &id, &alice()).await, ["once"]);
}

#[tokio::test]
async fn who_joins_later_sees_nothing_from_before_and_strangers_see_nothing_at_all() {
    let rooms = rooms();
    let bob = user_id!("@bob:example.org");
    let id = rooms.create(&alice(), Request::new()).await.unwrap();
    let say = |n: &'static str| {
        rooms.send_message(
            &id,
            (user_id!("@alice:example.org"), device_id!("D")),
            TimelineEventType::RoomMessage,
            n.into(),
            text(n),
        )
    };
    say("before").await.unwrap();
    rooms.invite(&id, &alice(), bob, None).await.unwrap();
    say("invited").await.unwrap();
    rooms.join(&id, bob, None).await.unwrap();
    say("joined").await.unwrap();
    rooms.leave(&id, bob, None).await.unwrap();
    say("left").await.unwrap();
    assert_eq!(bodies_seen_by(&rooms, &id, bob).await, ["joined"]);
    assert_eq!(bodies_seen_by(&rooms, &id, user_id!("@eve:example.org")).await, [""; 0]);
    rooms.forget(&id, bob).await.unwrap();
    assert_eq!(bodies_seen_by(&rooms, &id, bob).await, [""; 0]);
}

#[tokio::test]
async fn many_senders_of_one_room_all_get_their_message_in() {
    let rooms = rooms();
    let id = rooms.create(&alice(), Request::new()).await.unwrap();
    let sends = (0..50).map(|n| {
        let (rooms, id) = (rooms.clone(), id.clone());
        tokio::spawn(async move {
            let sender = (user_id!("@alice:example.org"), device_id!("D"));
            let kind = TimelineEventType::RoomMessage;
            rooms.send_message(&id, sender, kind, format!("{n}").as_str().into(), text("hi")).await.unwrap()
        })
    });
    for send in sends.collect::<Vec<_>>() {
        send.await.unwrap();
    }
    assert_eq!(bodies_seen_by(&rooms, &id, &alice()).await.len(), 50);
}
