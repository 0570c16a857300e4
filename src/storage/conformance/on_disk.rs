//! What only an engine on disk can show: data that outlives the store, and folders that cannot be opened.

use std::{task::Poll, time::Duration};

use super::*;
use crate::storage::Durability;

/// More rows than a scan reads at once, in blocks that are not in memory after the store was opened.
const MANY: u64 = 5_000;

#[tokio::test]
async fn data_and_position_outlive_the_store() {
    let folder = Folder::new();
    for restarts in 0..3_u64 {
        let store = folder.open();
        assert_eq!(store.position(), Position::from(restarts));
        assert_eq!(names(&store, KeyRange::all()).await.len() as u64, restarts);
        assert_eq!(put_name(&store, &restarts.to_string(), "here").await, Position::from(restarts + 1));
        store.close().await;
    }
}

#[tokio::test]
async fn relaxed_durability_keeps_everything_when_closed() {
    let folder = Folder::new();
    // Short enough for syncs to fall between the commits.
    let interval = Duration::from_millis(1);
    let options = StorageOptions { durability: Durability::Relaxed { interval }, ..StorageOptions::default() };
    let store = Store::open(folder.0.path(), &options).unwrap();
    for number in 0..500_u64 {
        assert_eq!(put_name(&store, &number.to_string(), "here").await, Position::from(number + 1));
    }
    store.close().await;
    drop(store);
    assert_eq!(names(&folder.open(), KeyRange::all()).await.len(), 500);
}

#[tokio::test]
async fn rows_that_are_only_on_disk_are_found() {
    let folder = Folder::new();
    let store = folder.open();
    let mut batch = Batch::new();
    for number in 0..MANY {
        NAMES.put(&mut batch, (format!("{number:05}"),), &number.to_string());
    }
    store.commit(batch).await.unwrap();
    store.close().await;
    drop(store);

    let store = folder.open();
    assert_eq!(name(&store.snapshot(), "04321").await.as_deref(), Some("4321"));
    store.close().await;
    drop(store);

    let store = folder.open();
    let wanted = [("00007",), ("x",), ("04999",), ("02500",)];
    let found = NAMES.get_many(&store.snapshot(), wanted).await.unwrap();
    assert_eq!(found, [Some("7".to_owned()), None, Some("4999".to_owned()), Some("2500".to_owned())]);
    store.close().await;
    drop(store);

    for direction in [Direction::Forward, Direction::Reverse] {
        let store = folder.open();
        // The first scan starts on the disk, the second goes on there after what is in memory by then.
        for limit in [10, 2_000, usize::MAX] {
            let rows = NAMES.scan(&store.snapshot(), KeyRange::all(), direction, limit).await.unwrap();
            let mut expected: Vec<_> = (0..MANY).map(|number| (format!("{number:05}"),)).collect();
            if direction == Direction::Reverse {
                expected.reverse();
            }
            expected.truncate(limit);
            assert_eq!(rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), expected);
        }
        store.close().await;
    }
}

#[tokio::test]
async fn many_rows_are_found_whichever_of_their_blocks_are_in_memory() {
    let folder = Folder::new();
    let room = ruma::owned_room_id!("!a:example.org");
    let text = |number: u64| number.to_string().repeat(20);
    // Files that overlap, so that many a key seems to stand in a block of one and stands in the other.
    for file in 0..2 {
        let store = folder.open();
        let mut batch = Batch::new();
        for number in (file..MANY).step_by(2) {
            NAMES.put(&mut batch, (format!("{number:05}"),), &text(number));
            let row = Stamped { at: Position::from(number), value: text(number) };
            EVENTS.put(&mut batch, (&room, live(number)), &row);
        }
        store.commit(batch).await.unwrap();
        store.close().await;
    }

    let store = folder.open();
    let snapshot = store.snapshot();
    for start in (0..MANY).step_by(7) {
        let numbers = [start, start + 1, start + 2, start + 4, MANY + start];
        let expected = numbers.map(|number| (number < MANY).then(|| text(number)));
        let keys = numbers.map(|number| (format!("{number:05}"),));
        assert_eq!(NAMES.get_many(&snapshot, keys).await.unwrap(), expected);
        let rows = EVENTS.get_many(&snapshot, numbers.map(|number| (&room, live(number)))).await.unwrap();
        assert_eq!(rows.into_iter().map(|row| Some(row?.value)).collect::<Vec<_>>(), expected);
    }
    store.close().await;
}

#[test]
fn reads_need_no_runtime() {
    let folder = Folder::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = folder.open();
    runtime.block_on(put_name(&store, "a", "one"));
    runtime.block_on(store.close());
    drop((runtime, store));

    let snapshot = folder.open().snapshot();
    let reading = std::pin::pin!(name(&snapshot, "a"));
    let Poll::Ready(found) = poll_once(reading) else { panic!("nothing would wake this read") };
    assert_eq!(found.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_folder_in_use_is_refused() {
    let folder = Folder::new();
    let store = folder.open();
    let error = Store::open(folder.0.path(), &StorageOptions::default()).unwrap_err().to_string();
    assert!(error.contains("is in use by another commonroom process"), "{error}");
    assert!(error.contains(folder.0.path().to_str().unwrap()), "{error}");
    store.close().await;
    drop(store);
    folder.open();
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_reported() {
    let folder = Folder::new();
    let file = folder.0.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let error = Store::open(&file.join("data"), &StorageOptions::default()).unwrap_err().to_string();
    assert!(error.contains("cannot be created"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let data = folder.0.path().join("deep/data");
    Store::open(&data, &StorageOptions::default()).unwrap().close().await;
    assert_eq!(std::fs::metadata(data).unwrap().permissions().mode() & 0o777, 0o700);
}
