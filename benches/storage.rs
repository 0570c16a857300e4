//! What storage costs: commits, look-ups and scans, in memory and on disk.

use std::{
    fmt::Display,
    hint::black_box,
    time::{Duration, Instant},
};

use commonroom::storage::{
    Batch, Direction, Durability, Family, KeyRange, Order, Position, Stamped, StorageOptions, Store, Table,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, owned_user_id};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const EVENTS: Table<(OwnedRoomId, Order), Stamped<String>> = Table::new(60_000, "events", Family::Timeline);
const ORDERS: Table<(OwnedEventId,), (OwnedRoomId, u64)> = Table::new(60_001, "orders", Family::Rows);
const CHANGES: Table<(Position,), OwnedRoomId> = Table::new(60_002, "changes", Family::Log);
const BY_SENDER: Table<(OwnedUserId, Position), OwnedEventId> = Table::new(60_003, "by sender", Family::Log);
const HEADS: Table<(OwnedRoomId,), OwnedEventId> = Table::new(60_004, "heads", Family::Rows);
const TRANSACTIONS: Table<(OwnedUserId, String), OwnedEventId> = Table::new(60_005, "transactions", Family::Rows);

/// Rows to read from, more than the smallest caches hold.
const EVENTS_TO_READ: u64 = 20_000;

fn room(number: u64) -> OwnedRoomId {
    RoomId::parse(format!("!room-{number:04}-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")).unwrap()
}

fn event(room: u64, number: u64) -> OwnedEventId {
    EventId::parse(format!("$event-{room:04}-{number:010}-aaaaaaaaaaaaaaaaaaaaa")).unwrap()
}

/// A message of one kilobyte that compresses like one.
fn message(number: u64) -> String {
    let mut text = format!(r#"{{"type":"m.room.message","depth":{number},"content":{{"body":""#);
    let mut random = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while text.len() < 1_020 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        text.push_str(
            ["the ", "room ", "is ", "open ", "to ", "everyone ", "who ", "asks "][(random >> 60) as usize & 7],
        );
    }
    text.push_str("\"}}");
    text
}

/// What sending a message writes: the event and five small rows.
fn send(room: &RoomId, id: &EventId, number: u64) -> Batch {
    let sender = owned_user_id!("@someone:example.org");
    let at = Position::pending(0);
    let mut batch = Batch::new();
    EVENTS.put(&mut batch, (room, Order::Live(at)), &Stamped { at, value: message(number) });
    ORDERS.put(&mut batch, (id,), &(room.to_owned(), number));
    CHANGES.put(&mut batch, (at,), &room.to_owned());
    BY_SENDER.put(&mut batch, (&sender, at), &id.to_owned());
    HEADS.put(&mut batch, (room,), &id.to_owned());
    TRANSACTIONS.put(&mut batch, (&sender, number.to_string()), &id.to_owned());
    batch
}

/// Commits `count` messages from each of `committers` tasks, each waiting for its commit before the next.
async fn send_concurrently(store: &Store, committers: u64, count: u64) -> Duration {
    let started = Instant::now();
    let tasks = (0..committers).map(|committer| {
        let (store, room) = (store.clone(), room(committer));
        tokio::spawn(async move {
            for number in 0..count {
                store.commit(send(&room, &event(committer, number), number)).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    started.elapsed()
}

struct Engines {
    runtime: Runtime,
    stores: Vec<(&'static str, Store)>,
    _folders: Vec<TempDir>,
}

fn engines() -> Engines {
    let interval = Duration::from_millis(100);
    let mut stores = vec![("memory", Store::in_memory())];
    let mut folders = Vec::new();
    for (name, durability) in [("fsync", Durability::Fsync), ("relaxed", Durability::Relaxed { interval })] {
        let folder = tempfile::tempdir().unwrap();
        let options = StorageOptions { durability, ..StorageOptions::default() };
        stores.push((name, Store::open(folder.path(), &options).unwrap()));
        folders.push(folder);
    }
    Engines { runtime: Runtime::new().unwrap(), stores, _folders: folders }
}

fn commits(criterion: &mut Criterion) {
    let Engines { runtime, stores, _folders } = engines();
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(1));
    for (name, store) in &stores {
        for committers in [1, 20] {
            group.bench_function(id(name, committers), |bencher| {
                bencher.iter_custom(|count| {
                    let each = count.div_ceil(committers);
                    let elapsed = runtime.block_on(send_concurrently(store, committers, each));
                    elapsed.mul_f64(count as f64 / (each * committers) as f64)
                });
            });
        }
    }
}

fn reads(criterion: &mut Criterion) {
    let Engines { runtime, stores, _folders } = engines();
    for (name, store) in &stores {
        runtime.block_on(async {
            for number in 0..EVENTS_TO_READ {
                let commit = store.commit(send(&room(number % 20), &event(0, number), number));
                if number + 1 == EVENTS_TO_READ {
                    commit.await.unwrap();
                }
            }
        });
        let snapshot = store.snapshot();
        let mut number = 0;
        let mut next = || {
            number = (number + 7_919) % EVENTS_TO_READ;
            number
        };
        criterion.bench_function(&format!("snapshot/{name}"), |bencher| bencher.iter(|| black_box(store.snapshot())));
        criterion.bench_function(&format!("get/small row/{name}"), |bencher| {
            bencher.iter(|| runtime.block_on(ORDERS.get(&snapshot, (event(0, next()),))).unwrap().unwrap());
        });
        criterion.bench_function(&format!("get/event/{name}"), |bencher| {
            bencher.iter(|| {
                let number = next();
                let order = Order::Live((number + 1).into());
                runtime.block_on(EVENTS.get(&snapshot, (room(number % 20), order))).unwrap().unwrap()
            });
        });
        criterion.bench_function(&format!("get/absent/{name}"), |bencher| {
            bencher.iter(|| runtime.block_on(ORDERS.get(&snapshot, (event(1, next()),))).unwrap());
        });
        criterion.bench_function(&format!("scan/100 events/{name}"), |bencher| {
            bencher.iter(|| {
                let range = KeyRange::prefix_before((room(next() % 20),), Order::Live(10_000.into()));
                runtime.block_on(EVENTS.scan(&snapshot, range, Direction::Reverse, 100)).unwrap()
            });
        });
    }
}

fn id(name: &str, parameter: impl Display) -> BenchmarkId {
    BenchmarkId::new(name, parameter)
}

criterion_group! {
    name = storage;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = commits, reads
}
criterion_main!(storage);
