//! Any sequence of batches leaves what a sorted map would hold.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;

type Model = BTreeMap<(String, u16, u16), u64>;

#[derive(Clone, Debug)]
enum Change {
    Put((String, u16, u16), u64),
    Delete((String, u16, u16)),
    DeleteAfter(String, u16),
    DeletePrefix(String),
}

/// Few different keys, so that changes meet.
fn key() -> impl Strategy<Value = (String, u16, u16)> {
    ("[a\0]{0,2}", 0..3_u16, 0..2_u16)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (key(), any::<u64>()).prop_map(|(key, value)| Change::Put(key, value)),
        2 => key().prop_map(Change::Delete),
        1 => ("[a\0]{0,2}", 0..3_u16).prop_map(|(name, major)| Change::DeleteAfter(name, major)),
        1 => "[a\0]{0,2}".prop_map(Change::DeletePrefix),
    ]
}

fn apply(change: &Change, model: &mut Model, batch: &mut Batch) {
    match change {
        Change::Put(key, value) => {
            COUNTS.put(batch, key, value);
            model.insert(key.clone(), *value);
        }
        Change::Delete(key) => {
            COUNTS.delete(batch, key);
            model.remove(key);
        }
        Change::DeleteAfter(name, major) => {
            COUNTS.delete_range(batch, KeyRange::prefix_after((name,), *major));
            model.retain(|key, _| !(key.0 == *name && key.1 > *major));
        }
        Change::DeletePrefix(name) => {
            COUNTS.delete_range(batch, KeyRange::prefix((name,)));
            model.retain(|key, _| key.0 != *name);
        }
    }
}

async fn check(store: &Store, batches: &[Vec<Change>]) {
    // The store is used again for the next case.
    let mut batch = Batch::new();
    COUNTS.delete_range(&mut batch, KeyRange::all());
    drop(store.commit(batch));

    let mut model = Model::new();
    let mut last = None;
    for changes in batches {
        let mut batch = Batch::new();
        changes.iter().for_each(|change| apply(change, &mut model, &mut batch));
        last = Some(store.commit(batch));
    }
    if let Some(commit) = last {
        commit.await.unwrap();
    }
    let snapshot = store.snapshot();
    let expected: Vec<_> = model.into_iter().collect();
    let rows = COUNTS.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
    assert_eq!(rows, expected);
    let mut rows = COUNTS.scan(&snapshot, KeyRange::all(), Direction::Reverse, usize::MAX).await.unwrap();
    rows.reverse();
    assert_eq!(rows, expected);
    for (key, value) in expected {
        assert_eq!(COUNTS.get(&snapshot, &key).await.unwrap(), Some(value));
    }
}

#[test]
fn any_changes_leave_what_a_sorted_map_would_hold() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let folder = Folder::new();
    let stores = [Store::in_memory(), folder.open()];
    proptest!(ProptestConfig::with_cases(64), |(batches in vec(vec(change(), 1..8), 1..6))| {
        for store in &stores {
            runtime.block_on(check(store, &batches));
        }
    });
    stores.iter().for_each(|store| runtime.block_on(store.close()));
}
