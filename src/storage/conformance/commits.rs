//! Commits: their order, their positions, when they become visible, and what makes them fail.

use std::sync::{Arc, Mutex, mpsc};

use ruma::room_id;
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};

use super::*;
use crate::{error::Kind, storage::Json};

/// A value that cannot be serialised.
#[derive(Deserialize)]
struct Moody;

impl Serialize for Moody {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("not today"))
    }
}

const MOODS: Table<(String,), Moody, Json> = Table::new(60_010, "moods", Family::Rows);

/// Keeps the writer busy until the answer is dropped, so that what is queued meanwhile forms one group.
async fn hold_writer(store: &Store) -> mpsc::Sender<()> {
    let (entered, inside) = tokio::sync::oneshot::channel();
    let (release, held) = mpsc::channel::<()>();
    let mut batch = Batch::new();
    batch.slots(0);
    batch.on_visible(move |_| {
        entered.send(()).unwrap();
        let _ = held.recv();
    });
    drop(store.commit(batch));
    inside.await.unwrap();
    release
}

#[tokio::test]
async fn a_row_is_there_after_its_commit_and_gone_after_its_deletion() {
    on_every_engine(async |store| {
        assert_eq!(store.position(), Position::ZERO);
        assert_eq!(put_name(&store, "a", "one").await, Position::from(1));
        let snapshot = store.snapshot();
        assert_eq!(snapshot.position(), Position::from(1));
        assert_eq!(name(&snapshot, "a").await.as_deref(), Some("one"));
        assert!(NAMES.exists(&snapshot, ("a",)).await.unwrap());
        assert!(!NAMES.exists(&snapshot, ("b",)).await.unwrap());
        assert_eq!(NAMES.get_many(&snapshot, [("b",), ("a",)]).await.unwrap(), [None, Some("one".to_owned())]);

        let mut batch = Batch::new();
        NAMES.delete(&mut batch, ("a",));
        assert_eq!(store.commit(batch).await.unwrap(), Position::from(2));
        assert_eq!(name(&store.snapshot(), "a").await, None);
        assert_eq!(name(&snapshot, "a").await.as_deref(), Some("one"), "a snapshot stays as it was");
        assert_eq!(snapshot.position(), Position::from(1));
    })
    .await;
}

#[tokio::test]
async fn the_last_change_of_a_row_wins_within_a_batch() {
    on_every_engine(async |store| {
        let mut batch = naming("a", "one");
        NAMES.delete_range(&mut batch, KeyRange::all());
        NAMES.put(&mut batch, ("b",), &"two".to_owned());
        NAMES.put(&mut batch, ("c",), &"three".to_owned());
        NAMES.put(&mut batch, ("c",), &"four".to_owned());
        NAMES.delete(&mut batch, ("b",));
        store.commit(batch).await.unwrap();
        assert_eq!(names(&store, KeyRange::all()).await, ["c"]);
        assert_eq!(name(&store.snapshot(), "c").await.as_deref(), Some("four"));
    })
    .await;
}

#[tokio::test]
async fn pending_positions_become_the_positions_of_the_commit() {
    on_every_engine(async |store| {
        put_name(&store, "a", "one").await;
        let room = room_id!("!a:example.org");
        let mut batch = Batch::new();
        batch.slots(2);
        for slot in 0..2 {
            let at = Position::pending(slot);
            EVENTS.put(&mut batch, (room, Order::Live(at)), &Stamped { at, value: slot.to_string() });
        }
        assert_eq!(store.commit(batch).await.unwrap(), Position::from(2));
        assert_eq!(store.position(), Position::from(3));
        assert_eq!(put_name(&store, "a", "two").await, Position::from(4));
        let rows = EVENTS.scan(&store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
        let stamped = |at: u64, value: &str| Stamped { at: at.into(), value: value.to_owned() };
        assert_eq!(
            rows,
            [((room.to_owned(), live(2)), stamped(2, "0")), ((room.to_owned(), live(3)), stamped(3, "1")),]
        );
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_absorbed_another_is_both_or_nothing() {
    on_every_engine(async |store| {
        let room = room_id!("!a:example.org");
        let at_places = |from: u16, slots: u16| {
            let mut batch = Batch::new();
            batch.slots(slots);
            for slot in 0..slots {
                let at = Position::pending(slot);
                EVENTS.put(&mut batch, (room, Order::Live(at)), &Stamped { at, value: (from + slot).to_string() });
            }
            batch
        };
        let calls = Arc::new(Mutex::new(Vec::new()));
        let hook = |batch: &mut Batch, name: &'static str| {
            let calls = calls.clone();
            batch.on_visible(move |position| calls.lock().unwrap().push((name, position.get())));
        };
        let (mut one, mut two) = (at_places(0, 2), at_places(2, 3));
        NAMES.expect(&mut two, ("a",), None);
        NAMES.put(&mut one, ("a",), &"one".to_owned());
        NAMES.delete(&mut two, ("a",));
        NAMES.put(&mut two, ("b",), &"two".to_owned());
        hook(&mut one, "one");
        hook(&mut two, "two");
        one.absorb(two);
        assert_eq!(one.slot_count(), 5);
        assert_eq!(store.commit(one).await.unwrap(), Position::from(1));
        assert_eq!(store.position(), Position::from(5));
        assert_eq!(*calls.lock().unwrap(), [("two", 1), ("one", 1)]);
        let rows = EVENTS.scan(&store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
        let expected =
            (1..=5u64).map(|at| ((room.to_owned(), live(at)), Stamped { at: at.into(), value: (at - 1).to_string() }));
        assert_eq!(rows, expected.collect::<Vec<_>>());
        assert_eq!(names(&store, KeyRange::all()).await, ["b"]);

        let (mut three, mut four) = (naming("c", "three"), naming("d", "four"));
        NAMES.expect(&mut four, ("b",), None);
        NAMES.put(&mut three, ("e",), &"five".to_owned());
        three.absorb(four);
        assert_eq!(store.commit(three).await.unwrap_err().kind, Kind::Conflict);
        assert_eq!(names(&store, KeyRange::all()).await, ["b"]);
    })
    .await;
}

#[tokio::test]
async fn a_batch_without_slots_consumes_no_position() {
    on_every_engine(async |store| {
        put_name(&store, "a", "one").await;
        let mut batch = naming("b", "two");
        batch.slots(0);
        assert_eq!(store.commit(batch).await.unwrap(), Position::from(1));
        assert_eq!(name(&store.snapshot(), "b").await.as_deref(), Some("two"));
        assert_eq!(put_name(&store, "a", "three").await, Position::from(2));
    })
    .await;
}

#[tokio::test]
async fn commits_are_ordered_by_the_calls_and_visible_when_their_hooks_run() {
    on_every_engine(async |store| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let release = hold_writer(&store).await;
        let mut commits = Vec::new();
        for number in 0..300_u64 {
            let mut batch = naming(&number.to_string(), "here");
            let (seen, handle) = (Arc::clone(&seen), store.clone());
            batch.on_visible(move |position| {
                let visible = handle.snapshot().position();
                seen.lock().unwrap().push((number, position, visible >= position));
            });
            commits.push(store.commit(batch));
        }
        assert_eq!(store.position(), Position::ZERO, "what waits in the queue is not visible");
        drop(release);
        for (number, commit) in (0..).zip(commits) {
            let position = commit.await.unwrap();
            assert_eq!(position, Position::from(number + 1));
            assert!(seen.lock().unwrap().len() > number as usize, "the hook runs before the commit resolves");
            assert!(name(&store.snapshot(), &number.to_string()).await.is_some());
        }
        let expected: Vec<_> = (0..300).map(|number| (number, Position::from(number + 1), true)).collect();
        assert_eq!(*seen.lock().unwrap(), expected);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_commit_is_written_all_the_same() {
    on_every_engine(async |store| {
        drop(store.commit(naming("a", "one")));
        assert_eq!(put_name(&store, "b", "two").await, Position::from(2));
        assert_eq!(name(&store.snapshot(), "a").await.as_deref(), Some("one"));
    })
    .await;
}

#[tokio::test]
async fn a_failed_expectation_writes_nothing_of_its_batch() {
    on_every_engine(async |store| {
        put_name(&store, "a", "one").await;
        let ran = Arc::new(Mutex::new(false));
        for expected in [None, Some("two".to_owned())] {
            let mut batch = naming("a", "three");
            NAMES.expect(&mut batch, ("a",), expected.as_ref());
            let ran = Arc::clone(&ran);
            batch.on_visible(move |_| *ran.lock().unwrap() = true);
            let error = store.commit(batch).await.unwrap_err();
            assert!(matches!(error.kind, Kind::Conflict), "{error}");
        }
        assert_eq!(name(&store.snapshot(), "a").await.as_deref(), Some("one"));
        assert_eq!(store.position(), Position::from(1), "a conflict consumes no position");
        assert!(!*ran.lock().unwrap());

        let mut batch = naming("a", "three");
        NAMES.expect(&mut batch, ("a",), Some(&"one".to_owned()));
        NAMES.expect(&mut batch, ("b",), None);
        assert_eq!(store.commit(batch).await.unwrap(), Position::from(2));
        assert_eq!(name(&store.snapshot(), "a").await.as_deref(), Some("three"));
    })
    .await;
}

#[tokio::test]
async fn expectations_see_the_batches_queued_before_them() {
    on_every_engine(async |store| {
        put_name(&store, "old", "there").await;
        let release = hold_writer(&store).await;
        let claim = |key: &str, value: &str, expected: Option<&str>| {
            let mut batch = naming(key, value);
            NAMES.expect(&mut batch, (key,), expected.map(str::to_owned).as_ref());
            store.commit(batch)
        };
        let won = claim("a", "first", None);
        let lost = claim("a", "second", None);
        let followed = claim("a", "third", Some("first"));
        let mut clearing = Batch::new();
        NAMES.delete_range(&mut clearing, KeyRange::from(("b",)));
        NAMES.put(&mut clearing, ("z",), &"again".to_owned());
        let cleared = store.commit(clearing);
        let vanished = claim("old", "mine", None);
        let rewritten = claim("z", "mine", Some("again"));
        let mut deleting = Batch::new();
        NAMES.delete(&mut deleting, ("a",));
        let deleted = store.commit(deleting);
        let empty_again = claim("a", "fourth", None);
        drop(release);
        assert_eq!(won.await.unwrap(), Position::from(2));
        assert!(matches!(lost.await.unwrap_err().kind, Kind::Conflict));
        for (position, commit) in (3..).zip([followed, cleared, vanished, rewritten, deleted, empty_again]) {
            assert_eq!(commit.await.unwrap(), Position::from(position));
        }
        assert_eq!(name(&store.snapshot(), "a").await.as_deref(), Some("fourth"));
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_cannot_be_encoded_fails_alone() {
    on_every_engine(async |store| {
        let mut moody = naming("a", "one");
        MOODS.put(&mut moody, ("a",), &Moody);
        let error = store.commit(moody).await.unwrap_err().to_string();
        assert!(error.contains("moods") && error.contains("not today"), "{error}");

        let mut greedy = Batch::new();
        let at = Position::pending(1);
        EVENTS.put(&mut greedy, (room_id!("!a:example.org"), Order::Live(at)), &Stamped { at, value: String::new() });
        let error = store.commit(greedy).await.unwrap_err().to_string();
        assert!(error.contains("slot 1"), "{error}");

        assert_eq!(name(&store.snapshot(), "a").await, None);
        assert_eq!(put_name(&store, "a", "two").await, Position::from(1));
    })
    .await;
}

#[tokio::test]
async fn a_hook_that_panics_stops_nobody() {
    on_every_engine(async |store| {
        let mut batch = naming("a", "one");
        batch.on_visible(|_| panic!("this panic is part of the test"));
        assert_eq!(store.commit(batch).await.unwrap(), Position::from(1));
        assert_eq!(put_name(&store, "a", "two").await, Position::from(2));
    })
    .await;
}

#[tokio::test]
async fn closing_finishes_what_is_queued_and_takes_no_more() {
    on_every_engine(async |store| {
        let release = hold_writer(&store).await;
        let queued = store.commit(naming("a", "one"));
        let mut closing = Box::pin(store.close());
        assert!(poll_once(closing.as_mut()).is_pending());
        drop(release);
        closing.await;
        assert_eq!(queued.await.unwrap(), Position::from(1));
        let error = store.commit(naming("a", "two")).await.unwrap_err().to_string();
        assert!(error.contains("closed"), "{error}");
        assert_eq!(name(&store.snapshot(), "a").await.as_deref(), Some("one"), "reads go on");
        store.close().await;
    })
    .await;
}
