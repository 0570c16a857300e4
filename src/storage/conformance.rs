//! What every engine must do; each test runs on all of them.

use std::sync::{Arc, Mutex};

use ruma::{OwnedRoomId, RoomId, room_id};

use super::{Batch, Direction, Family, KeyRange, Order, Position, Stamped, Store, Table};
use crate::error::Kind;

const NAMES: Table<(String,), String> = Table::new(60_000, "names", Family::Rows);
const EVENTS: Table<(OwnedRoomId, Order), Stamped<String>> = Table::new(60_001, "events", Family::Timeline);
const NEXT_DOOR: Table<(OwnedRoomId, Order), String> = Table::new(60_002, "next door", Family::Timeline);

/// Runs a test on a fresh store of each engine.
async fn on_every_engine<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    test(Store::in_memory()).await;
}

fn live(position: u64) -> Order {
    Order::Live(position.into())
}

async fn put_name(store: &Store, key: &str, value: &str) -> Position {
    let mut batch = Batch::new();
    NAMES.put(&mut batch, (key,), &value.to_owned());
    store.commit(batch).await.unwrap()
}

#[tokio::test]
async fn a_row_is_there_after_its_commit_and_gone_after_its_deletion() {
    on_every_engine(async |store| {
        assert_eq!(store.position(), Position::ZERO);
        assert_eq!(put_name(&store, "a", "one").await, Position::from(1));
        let snapshot = store.snapshot();
        assert_eq!(snapshot.position(), Position::from(1));
        assert_eq!(NAMES.get(&snapshot, ("a",)).await.unwrap().as_deref(), Some("one"));
        assert!(NAMES.exists(&snapshot, ("a",)).await.unwrap());
        assert_eq!(NAMES.get_many(&snapshot, [("b",), ("a",)]).await.unwrap(), [None, Some("one".to_owned())]);

        let mut batch = Batch::new();
        NAMES.delete(&mut batch, ("a",));
        assert_eq!(store.commit(batch).await.unwrap(), Position::from(2));
        assert_eq!(NAMES.get(&store.snapshot(), ("a",)).await.unwrap(), None);
        assert_eq!(NAMES.get(&snapshot, ("a",)).await.unwrap().as_deref(), Some("one"), "a snapshot stays as it was");
    })
    .await;
}

#[tokio::test]
async fn a_failed_expectation_writes_nothing() {
    on_every_engine(async |store| {
        put_name(&store, "a", "one").await;
        let ran = Arc::new(Mutex::new(false));
        let mut batch = Batch::new();
        NAMES.expect(&mut batch, ("a",), Some(&"two".to_owned()));
        NAMES.put(&mut batch, ("a",), &"three".to_owned());
        batch.on_visible({
            let ran = Arc::clone(&ran);
            move |_| *ran.lock().unwrap() = true
        });
        let error = store.commit(batch).await.unwrap_err();
        assert!(matches!(error.kind, Kind::Conflict), "{error}");
        assert_eq!(NAMES.get(&store.snapshot(), ("a",)).await.unwrap().as_deref(), Some("one"));
        assert_eq!(store.position(), Position::from(1), "a conflict consumes no position");
        assert!(!*ran.lock().unwrap());
    })
    .await;
}

#[tokio::test]
async fn pending_positions_become_the_position_of_the_commit() {
    on_every_engine(async |store| {
        let room: &RoomId = room_id!("!a:example.org");
        let mut batch = Batch::new();
        batch.slots(2);
        for slot in 0..2 {
            let at = Position::pending(slot);
            EVENTS.put(&mut batch, (room, Order::Live(at)), &Stamped { at, value: slot.to_string() });
        }
        NEXT_DOOR.put(&mut batch, (room, live(1)), &"other table".to_owned());
        assert_eq!(store.commit(batch).await.unwrap(), Position::from(1));
        assert_eq!(store.position(), Position::from(2));
        let range = KeyRange::prefix_after((room,), live(1));
        let rows = EVENTS.scan(&store.snapshot(), range, Direction::Forward, usize::MAX).await.unwrap();
        let stamped = Stamped { at: Position::from(2), value: "1".to_owned() };
        assert_eq!(rows, [((room.to_owned(), live(2)), stamped)]);
    })
    .await;
}
