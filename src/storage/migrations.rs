//! Which version the stored data has, and how older data is moved forward.
//!
//! There is one version for all tables together. Whoever changes a table's key, value or meaning adds a [`Step`].

mod event_times;
mod silent_threads;
mod thread_order;

use std::pin::Pin;

use tracing::info;

use super::{
    Batch, Position, Store,
    schema::{META, SCHEMA_VERSION},
};
use crate::error::{Error, Result};

/// One change of the data, from one version to the next.
pub(super) struct Step {
    /// What changes, for the log.
    what: &'static str,
    /// Makes the change, in as many commits as it takes. It may be interrupted at any place and is then run again from
    /// the start, so it must not mind what it has done before.
    run: Run,
}

type Run = for<'a> fn(&'a Store) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Every step since the first version: the one at index `n` leads from version `n + 1` to `n + 2`.
pub(super) const STEPS: &[Step] = &[
    Step { what: "events can be found by their time", run: |store| Box::pin(event_times::fill(store)) },
    Step {
        what: "threads are silent only for who wants that",
        run: |store| Box::pin(silent_threads::forget_rules(store)),
    },
    Step { what: "threads can be found by their newest events", run: |store| Box::pin(thread_order::fill(store)) },
];

/// Moves the data to the version that `steps` lead to, and refuses data that is newer.
pub(super) async fn bring_up_to_date(store: &Store, steps: &[Step]) -> Result<()> {
    let newest = steps.len() as u64 + 1;
    let snapshot = store.snapshot();
    let stored = match META.get(&snapshot, SCHEMA_VERSION).await? {
        Some(version) => version,
        None if snapshot.position() == Position::ZERO => return set_version(store, newest).await,
        None => return Err(Error::internal("the data does not say which version it has")),
    };
    drop(snapshot);
    if stored > newest {
        return Err(Error::internal(format_args!(
            "the data has version {stored}, which a newer commonroom has written; this one knows versions up to {newest}. \
             Start the newer one, or put back a backup from before the upgrade"
        )));
    }
    for (version, step) in (1..newest).zip(steps).skip_while(|(version, _)| *version < stored) {
        info!(from = version, to = version + 1, "moving the stored data forward: {}", step.what);
        (step.run)(store).await?;
        set_version(store, version + 1).await?;
    }
    Ok(())
}

async fn set_version(store: &Store, version: u64) -> Result<()> {
    let mut batch = Batch::new();
    batch.slots(0);
    META.put(&mut batch, SCHEMA_VERSION, &version);
    store.commit(batch).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Direction, Family, KeyRange, Table};

    /// How names were stored in the first version of this test's schema, and from the second on.
    const SHOUTED: Table<(String,), String> = Table::new(60_000, "shouted names", Family::Rows);
    const NAMES: Table<(String,), (String, u64)> = Table::new(60_001, "names", Family::Rows);

    const TO_SECOND: Step = Step { what: "names are no longer shouted", run: |store| Box::pin(lower_names(store)) };
    const TO_THIRD: Step = Step { what: "nothing", run: |_| Box::pin(async { Ok(()) }) };
    const BROKEN: Step = Step { what: "too much", run: |_| Box::pin(async { Err(Error::internal("no space")) }) };

    async fn lower_names(store: &Store) -> Result<()> {
        let mut batch = Batch::new();
        for ((key,), name) in SHOUTED.scan(&store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX).await? {
            NAMES.put(&mut batch, (&key,), &(name.to_lowercase(), name.len() as u64));
        }
        SHOUTED.delete_range(&mut batch, KeyRange::all());
        store.commit(batch).await.map(drop)
    }

    async fn version(store: &Store) -> Option<u64> {
        META.get(&store.snapshot(), SCHEMA_VERSION).await.unwrap()
    }

    async fn store_of_the_first_version() -> Store {
        let store = Store::in_memory();
        bring_up_to_date(&store, &[]).await.unwrap();
        let mut batch = Batch::new();
        SHOUTED.put(&mut batch, ("a",), &"ALICE".to_owned());
        store.commit(batch).await.unwrap();
        store
    }

    #[tokio::test]
    async fn a_new_store_has_the_newest_version_and_no_position() {
        let store = Store::in_memory();
        bring_up_to_date(&store, &[TO_SECOND]).await.unwrap();
        assert_eq!(version(&store).await, Some(2));
        assert_eq!(store.position(), Position::ZERO);
    }

    #[tokio::test]
    async fn older_data_is_moved_forward_once() {
        let store = store_of_the_first_version().await;
        assert_eq!(version(&store).await, Some(1));
        for steps in [&[TO_SECOND, TO_THIRD][..], &[TO_SECOND, TO_THIRD][..]] {
            bring_up_to_date(&store, steps).await.unwrap();
            assert_eq!(version(&store).await, Some(3));
            let row = NAMES.get(&store.snapshot(), ("a",)).await.unwrap();
            assert_eq!(row, Some(("alice".to_owned(), 5)));
            assert!(!SHOUTED.exists(&store.snapshot(), ("a",)).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_step_that_fails_leaves_the_version_before_it() {
        let store = store_of_the_first_version().await;
        let error = bring_up_to_date(&store, &[TO_SECOND, BROKEN]).await.unwrap_err();
        assert_eq!(error.to_string(), "no space");
        assert_eq!(version(&store).await, Some(2));
        bring_up_to_date(&store, &[TO_SECOND, TO_THIRD]).await.unwrap();
        assert_eq!(version(&store).await, Some(3));
    }

    #[tokio::test]
    async fn newer_data_is_refused_with_both_versions() {
        let store = Store::in_memory();
        set_version(&store, 7).await.unwrap();
        let error = bring_up_to_date(&store, &[TO_SECOND]).await.unwrap_err().to_string();
        assert!(error.contains("version 7") && error.contains("up to 2"), "{error}");
        assert_eq!(version(&store).await, Some(7));
    }

    #[tokio::test]
    async fn data_without_a_version_is_refused() {
        let store = Store::in_memory();
        store.commit(Batch::new()).await.unwrap();
        assert!(bring_up_to_date(&store, &[]).await.is_err());
    }
}
