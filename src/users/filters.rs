//! Filters: what a client wants left out of its answers, uploaded once and then named by an id.

use ruma::{
    UserId,
    api::client::filter::FilterDefinition,
    serde::base64::{Base64, UrlSafe},
};
use sha2::{Digest, Sha256};

use crate::{
    error::{Error, Result},
    storage::{Batch, Snapshot, Store, schema::users::FILTERS},
};

/// How many bytes of a filter's hash are its id: enough that two filters of a user never share one.
const ID_BYTES: usize = 15;

/// A cheap-clone service over the filters of all users.
#[derive(Clone)]
pub struct Filters {
    store: Store,
}

impl Filters {
    /// The filters in `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Keeps a filter of `user` and returns its id, which is the same for the same filter.
    pub async fn create(&self, user: &UserId, filter: &FilterDefinition) -> Result<String> {
        let json = serde_json::to_vec(filter).map_err(Error::internal)?;
        let id = Base64::<UrlSafe, _>::new(&Sha256::digest(&json)[..ID_BYTES]).encode();
        if !FILTERS.exists(&self.store.snapshot(), (user, &id)).await? {
            let mut batch = Batch::new();
            // Nobody is told of it, so it needs no position.
            batch.slots(0);
            FILTERS.put(&mut batch, (user, &id), filter);
            self.store.commit(batch).await?;
        }
        Ok(id)
    }

    /// The filter of `user` with this id, as of `snapshot`.
    ///
    /// # Errors
    ///
    /// `NotFound` if the user has no such filter.
    pub async fn get(&self, snapshot: &Snapshot, user: &UserId, id: &str) -> Result<FilterDefinition> {
        let filter = FILTERS.get(snapshot, (user, id)).await?;
        filter.ok_or_else(|| Error::not_found("You have no such filter."))
    }

    /// As [`Filters::get`], as of now.
    pub async fn current(&self, user: &UserId, id: &str) -> Result<FilterDefinition> {
        self.get(&self.store.snapshot(), user, id).await
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;
    use crate::error::Kind;

    #[tokio::test]
    async fn a_filter_is_found_by_its_id_and_by_its_owner_only() {
        let filters = Filters::new(Store::in_memory());
        let alice = user_id!("@alice:example.org");
        let filter: FilterDefinition =
            serde_json::from_str(r#"{"room":{"timeline":{"limit":10}},"event_format":"client"}"#).unwrap();
        let id = filters.create(alice, &filter).await.unwrap();
        assert_eq!(filters.create(alice, &filter).await.unwrap(), id);
        assert_ne!(filters.create(alice, &FilterDefinition::default()).await.unwrap(), id);
        // An id that starts with a brace would be taken for a filter written out in the query of a sync.
        assert!(!id.starts_with('{'));
        let found = filters.current(alice, &id).await.unwrap();
        assert_eq!(found.room.timeline.limit, filter.room.timeline.limit);
        for (user, id) in [(user_id!("@bob:example.org"), &*id), (alice, "nonsense"), (alice, "")] {
            assert_eq!(filters.current(user, id).await.unwrap_err().kind, Kind::NotFound);
        }
    }
}
