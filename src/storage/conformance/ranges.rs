//! Scans and range deletions: both directions, every kind of bound, and keys that begin alike.

use ruma::room_id;

use super::*;

const NO_ROWS: [u64; 0] = [];

async fn counts(store: &Store, range: KeyRange<(String, u16, u16)>) -> Vec<u64> {
    let rows = COUNTS.scan(&store.snapshot(), range, Direction::Forward, usize::MAX).await.unwrap();
    rows.into_iter().map(|(_, count)| count).collect()
}

/// Rows `(name, major, minor)` with the number that the parts spell.
async fn fill(store: &Store) {
    let mut batch = Batch::new();
    for (hundreds, name) in [(1, "a"), (2, "b")] {
        for (tens, major) in [(0, 0), (1, 255), (2, 256), (3, u16::MAX)] {
            for minor in 0..2_u16 {
                let count = hundreds * 100 + tens * 10 + u64::from(minor);
                COUNTS.put(&mut batch, (name, major, minor), &count);
            }
        }
    }
    store.commit(batch).await.unwrap();
}

#[tokio::test]
async fn bounds_are_where_their_names_say() {
    on_every_engine(async |store| {
        fill(&store).await;
        let a = [100, 101, 110, 111, 120, 121, 130, 131];
        assert_eq!(counts(&store, KeyRange::all()).await.len(), 16);
        assert_eq!(counts(&store, KeyRange::prefix(("a",))).await, a);
        assert_eq!(counts(&store, KeyRange::prefix(("c",))).await, NO_ROWS);
        assert_eq!(counts(&store, KeyRange::prefix(("a", 255_u16))).await, a[2..4]);
        assert_eq!(counts(&store, KeyRange::prefix(("a", 255_u16, 1_u16))).await, [111]);

        assert_eq!(counts(&store, KeyRange::prefix_from(("a",), 255_u16)).await, a[2..]);
        assert_eq!(counts(&store, KeyRange::prefix_after(("a",), 255_u16)).await, a[4..]);
        assert_eq!(counts(&store, KeyRange::prefix_after(("a",), u16::MAX)).await, NO_ROWS);
        assert_eq!(counts(&store, KeyRange::prefix_until(("a",), 255_u16)).await, a[..4]);
        assert_eq!(counts(&store, KeyRange::prefix_until(("a",), u16::MAX)).await, a);
        assert_eq!(counts(&store, KeyRange::prefix_before(("a",), 255_u16)).await, a[..2]);
        assert_eq!(counts(&store, KeyRange::prefix_from(("a", 256_u16), 1_u16)).await, [121]);

        assert_eq!(counts(&store, KeyRange::from(("b",))).await[0], 200);
        assert_eq!(counts(&store, KeyRange::after(("b",))).await, NO_ROWS);
        assert_eq!(counts(&store, KeyRange::after(("a", 256_u16))).await[..2], [130, 131]);
        assert_eq!(counts(&store, KeyRange::until(("a",))).await, a);
        assert_eq!(counts(&store, KeyRange::before(("b", 255_u16, 1_u16))).await[8..], [200, 201, 210]);

        let both = KeyRange::prefix_after(("a",), 0_u16).and(KeyRange::prefix_until(("a",), 256_u16));
        assert_eq!(counts(&store, both).await, a[2..6]);
        let neither = KeyRange::prefix(("a",)).and(KeyRange::prefix(("b",)));
        assert_eq!(counts(&store, neither).await, NO_ROWS);
    })
    .await;
}

#[tokio::test]
async fn a_scan_goes_either_way_and_stops_at_its_limit() {
    on_every_engine(async |store| {
        fill(&store).await;
        let snapshot = store.snapshot();
        for (direction, limit, expected) in [
            (Direction::Forward, 3, vec![110, 111, 120]),
            (Direction::Reverse, 3, vec![131, 130, 121]),
            (Direction::Reverse, usize::MAX, vec![131, 130, 121, 120, 111, 110]),
            (Direction::Forward, 0, vec![]),
        ] {
            let range = KeyRange::prefix_after(("a",), 0_u16);
            let rows = COUNTS.scan(&snapshot, range, direction, limit).await.unwrap();
            assert_eq!(rows.iter().map(|(_, count)| *count).collect::<Vec<_>>(), expected, "{direction:?} {limit}");
        }
    })
    .await;
}

#[tokio::test]
async fn names_that_begin_alike_have_ranges_of_their_own() {
    on_every_engine(async |store| {
        let all = ["", "\0", "\0\0", "a", "a\0", "a\0b", "ab", "b", "\u{10ffff}"];
        let mut batch = Batch::new();
        for (count, name) in (0..).zip(all) {
            COUNTS.put(&mut batch, (name, 1_u16, 1_u16), &count);
        }
        store.commit(batch).await.unwrap();
        assert_eq!(counts(&store, KeyRange::all()).await, (0..9).collect::<Vec<_>>());
        for (count, name) in (0..).zip(all) {
            assert_eq!(counts(&store, KeyRange::prefix((name,))).await, [count], "{name:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn backfilled_events_sort_before_live_ones() {
    on_every_engine(async |store| {
        let (room, other) = (room_id!("!a:example.org"), room_id!("!a:example.orgs"));
        let orders = [Order::Backfilled(1), Order::Backfilled(u64::MAX), live(1), live(256), live(u64::MAX >> 1)];
        let mut batch = Batch::new();
        for order in orders.into_iter().rev() {
            EVENTS.put(&mut batch, (room, order), &Stamped::now(String::new()));
            EVENTS.put(&mut batch, (other, order), &Stamped::now(String::new()));
        }
        store.commit(batch).await.unwrap();
        let range = KeyRange::prefix_from((room,), Order::Backfilled(2));
        let rows = EVENTS.scan(&store.snapshot(), range, Direction::Reverse, usize::MAX).await.unwrap();
        let found: Vec<_> = rows.into_iter().map(|((_, order), _)| order).rev().collect();
        assert_eq!(found, orders[1..]);
    })
    .await;
}

#[tokio::test]
async fn deleting_a_range_leaves_what_is_beside_it() {
    on_every_engine(async |store| {
        fill(&store).await;
        put_name(&store, "a", "in the table before").await;
        let before = store.snapshot();
        let mut batch = Batch::new();
        COUNTS.delete_range(&mut batch, KeyRange::prefix_after(("a",), 255_u16));
        COUNTS.delete_range(&mut batch, KeyRange::prefix_before(("b",), u16::MAX));
        COUNTS.delete_range(&mut batch, KeyRange::after(("b",)).and(KeyRange::before(("a",))));
        store.commit(batch).await.unwrap();
        assert_eq!(counts(&store, KeyRange::all()).await, [100, 101, 110, 111, 230, 231]);
        let rows = COUNTS.scan(&before, KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
        assert_eq!(rows.len(), 16, "a snapshot keeps what was deleted later");

        let mut batch = Batch::new();
        COUNTS.delete_range(&mut batch, KeyRange::all());
        store.commit(batch).await.unwrap();
        assert_eq!(counts(&store, KeyRange::all()).await, NO_ROWS);
        assert_eq!(names(&store, KeyRange::all()).await, ["a"]);
    })
    .await;
}
