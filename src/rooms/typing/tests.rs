//! Typing starts, goes on, and ends in each of its ways.

use std::time::Duration;

use ruma::{
    OwnedUserId, api::client::room::create_room::v3::Request, device_id, events::TimelineEventType, owned_user_id,
};
use tokio::time::timeout;

use super::*;
use crate::{
    error::Kind,
    rooms::tests::{rooms, text},
};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

fn alice() -> OwnedUserId {
    owned_user_id!("@alice:example.org")
}

/// Rooms, and one of them in which alice is.
async fn room_of_alice() -> (Rooms, OwnedRoomId) {
    let rooms = rooms();
    let id = rooms.create(&alice(), Request::new()).await.unwrap();
    (rooms, id)
}

fn position(rooms: &Rooms) -> u64 {
    rooms.shared.typing.ephemerals.current().count
}

#[tokio::test]
async fn starting_and_stopping_are_news_and_going_on_is_not() {
    let (rooms, id) = room_of_alice().await;
    assert_eq!(rooms.typing_since(&id, 0), None, "nobody ever typed");
    rooms.start_typing(&id, &alice(), HALF_A_MINUTE).await.unwrap();
    let started = position(&rooms);
    assert_eq!(rooms.typing_since(&id, 0), Some(vec![alice()]));
    assert_eq!(rooms.rooms_with_typing_since(0), std::slice::from_ref(&id));

    rooms.start_typing(&id, &alice(), HALF_A_MINUTE).await.unwrap();
    assert_eq!(rooms.typing_since(&id, started), None);
    assert_eq!(rooms.rooms_with_typing_since(started), [""; 0]);

    rooms.stop_typing(&id, &alice()).await.unwrap();
    assert_eq!(rooms.typing_since(&id, started), Some(vec![]));
    assert_eq!(rooms.rooms_with_typing_since(started), std::slice::from_ref(&id));
    let stopped = position(&rooms);
    rooms.stop_typing(&id, &alice()).await.unwrap();
    assert_eq!(position(&rooms), stopped, "who does not type cannot stop");
}

#[tokio::test]
async fn only_members_type() {
    let (rooms, id) = room_of_alice().await;
    let eve = owned_user_id!("@eve:example.org");
    assert_eq!(rooms.start_typing(&id, &eve, HALF_A_MINUTE).await.unwrap_err().kind, Kind::Forbidden);
    assert_eq!(rooms.stop_typing(&id, &eve).await.unwrap_err().kind, Kind::Forbidden);
    assert_eq!(position(&rooms), 0);
}

#[tokio::test]
async fn what_was_typed_is_sent_or_left_behind() {
    let (rooms, id) = room_of_alice().await;
    rooms.start_typing(&id, &alice(), HALF_A_MINUTE).await.unwrap();
    let sender = (&*alice(), device_id!("D"));
    rooms.send_message(&id, sender, TimelineEventType::Reaction, "1".into(), text("+1")).await.unwrap();
    assert_eq!(rooms.typing_since(&id, 0), Some(vec![alice()]), "a reaction is not typed");
    rooms.send_message(&id, sender, TimelineEventType::RoomMessage, "2".into(), text("hi")).await.unwrap();
    assert_eq!(rooms.typing_since(&id, 0), Some(vec![]));

    rooms.start_typing(&id, &alice(), HALF_A_MINUTE).await.unwrap();
    rooms.leave(&id, &alice(), None).await.unwrap();
    assert_eq!(rooms.typing_since(&id, 0), Some(vec![]));
}

#[tokio::test]
async fn typing_ends_at_its_last_end_and_no_later_than_allowed() {
    let (rooms, id) = room_of_alice().await;
    let now = rooms.shared.clock.millis();
    let ends = |after: Duration| rooms.shared.typing.end_until(now + after.as_millis() as u64);
    rooms.start_typing(&id, &alice(), Duration::from_secs(10)).await.unwrap();
    rooms.start_typing(&id, &alice(), Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(ends(Duration::from_secs(119)), (BTreeSet::new(), Some(now + 120_000)));
    assert_eq!(rooms.typing_since(&id, 0), Some(vec![alice()]));
    assert_eq!(ends(Duration::from_secs(120)), (BTreeSet::from([id.clone()]), None));
    assert_eq!(rooms.typing_since(&id, 0), Some(vec![]));
}

#[tokio::test]
async fn whoever_waits_is_woken_when_typing_ends_by_itself() {
    let (rooms, id) = room_of_alice().await;
    let shutdown = Shutdown::default();
    let keeping = tokio::spawn(rooms.clone().end_typing_in_time(shutdown.clone()));
    rooms.start_typing(&id, &alice(), Duration::from_millis(5)).await.unwrap();
    let watch = rooms.shared.notifier.watch(&alice());
    rooms.shared.clock.advance(Duration::from_millis(5));
    timeout(HALF_A_MINUTE, watch.changed()).await.expect("the end of typing wakes those who see it");
    assert_eq!(rooms.typing_since(&id, 0), Some(vec![]));
    shutdown.begin();
    timeout(HALF_A_MINUTE, keeping).await.expect("the task ends with the server").unwrap();
}
