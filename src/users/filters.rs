//! Filters: what a client wants left out of its answers, uploaded once and then named by an id.

use ruma::{
    UserId,
    api::client::filter::FilterDefinition,
    serde::base64::{Base64, UrlSafe},
};
use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};

use crate::{
    error::{Error, Kind, Result},
    matrix::relation_filter::RelationFilter,
    storage::{Batch, Store, schema::users::FILTERS},
};

/// How many bytes of a filter's hash are its id: enough that two filters of a user never share one.
const ID_BYTES: usize = 15;

/// A filter with all that it says.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// What ruma knows of it.
    pub definition: FilterDefinition,
    /// How the events of timelines must be related.
    pub relations: RelationFilter,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    ///
    /// Fails for what is none.
    pub fn parse(json: &str) -> serde_json::Result<Self> {
        Ok(Self { definition: serde_json::from_str(json)?, relations: RelationFilter::of_timelines(json)? })
    }
}

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
    ///
    /// # Errors
    ///
    /// `BadJson` if it is no filter.
    pub async fn create(&self, user: &UserId, filter: &RawValue) -> Result<String> {
        let not_one = |cause: serde_json::Error| Kind::BadJson.with(format!("This is no filter: {cause}."));
        Filter::parse(filter.get()).map_err(not_one)?;
        // Spaces and the order of keys make no other filter.
        let json: Value = serde_json::from_str(filter.get()).map_err(not_one)?;
        let id = Base64::<UrlSafe, _>::new(&Sha256::digest(json.to_string())[..ID_BYTES]).encode();
        if !FILTERS.exists(&self.store.snapshot(), (user, &id)).await? {
            let mut batch = Batch::new();
            // Nobody is told of it, so it needs no position.
            batch.slots(0);
            FILTERS.put(&mut batch, (user, &id), &filter.to_owned());
            self.store.commit(batch).await?;
        }
        Ok(id)
    }

    /// The filter of `user` with this id as it was sent.
    ///
    /// # Errors
    ///
    /// `NotFound` if the user has no such filter.
    pub async fn as_sent(&self, user: &UserId, id: &str) -> Result<Box<RawValue>> {
        let filter = FILTERS.get(&self.store.snapshot(), (user, id)).await?;
        filter.ok_or_else(|| Error::not_found("You have no such filter."))
    }

    /// As [`Filters::as_sent`], read.
    ///
    /// # Errors
    ///
    /// As [`Filters::as_sent`].
    pub async fn current(&self, user: &UserId, id: &str) -> Result<Filter> {
        Filter::parse(self.as_sent(user, id).await?.get()).map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[tokio::test]
    async fn a_filter_is_found_by_its_id_and_by_its_owner_only() {
        let filters = Filters::new(Store::in_memory());
        let alice = user_id!("@alice:example.org");
        let filter = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
        let sent =
            filter(r#"{"room":{"timeline":{"limit":10,"related_by_rel_types":["m.x"]}},"event_format":"client"}"#);
        let id = filters.create(alice, &sent).await.unwrap();
        assert_eq!(filters.create(alice, &sent).await.unwrap(), id);
        assert_ne!(filters.create(alice, &filter("{}")).await.unwrap(), id);
        // An id that starts with a brace would be taken for a filter written out in the query of a sync.
        assert!(!id.starts_with('{'));
        let found = filters.current(alice, &id).await.unwrap();
        assert_eq!(found.definition.room.timeline.limit, Some(ruma::uint!(10)));
        assert_eq!(found.relations.related_by_rel_types, Some(vec!["m.x".to_owned()]));
        assert_eq!(filters.as_sent(alice, &id).await.unwrap().get(), sent.get());
        let wrong = filter(r#"{"room":{"timeline":{"related_by_senders":"@a:b"}}}"#);
        assert_eq!(filters.create(alice, &wrong).await.unwrap_err().kind, Kind::BadJson);
        // A number beyond all numbers, in a field that nobody knows.
        assert_eq!(filters.create(alice, &filter(r#"{"x":-1e400}"#)).await.unwrap_err().kind, Kind::BadJson);
        for (user, id) in [(user_id!("@bob:example.org"), &*id), (alice, "nonsense"), (alice, "")] {
            assert_eq!(filters.current(user, id).await.unwrap_err().kind, Kind::NotFound);
        }
    }
}
