//! Finding messages ("Server Side Search") and people ("User Directory").

use axum::extract::State;
use ruma::api::client::{
    search::search_events,
    user_directory::search_users::{self, v3::User},
};

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::Reader,
    search::{People, Search},
};

/// `POST /search`
pub async fn messages(
    State(search): State<Search>,
    caller: Caller,
    Request(request): Request<search_events::v3::Request>,
) -> Answer<search_events::v3::Response> {
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let mut found = search_events::v3::ResultCategories::new();
    if let Some(criteria) = &request.search_categories.room_events {
        found.room_events = search.messages(reader, criteria, request.next_batch.as_deref()).await?;
    }
    Ok(Reply(search_events::v3::Response::new(found)))
}

/// `POST /user_directory/search`
pub async fn people(
    State(people): State<People>,
    caller: Caller,
    Request(request): Request<search_users::v3::Request>,
) -> Answer<search_users::v3::Response> {
    let limit = usize::try_from(u64::from(request.limit)).unwrap_or(usize::MAX);
    let found = people.find(&caller.user_id, &request.search_term, limit).await?;
    let results = found.people.into_iter().map(|person| {
        let mut user = User::new(person.user_id);
        (user.display_name, user.avatar_url) = (person.display_name, person.avatar_url);
        user
    });
    Ok(Reply(search_users::v3::Response::new(results.collect(), found.limited)))
}
