//! Finding messages ("Server Side Search") and people ("User Directory").

use axum::extract::State;
use ruma::api::client::{
    search::search_events,
    user_directory::search_users::{self, v3::User},
};

use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
    },
    rooms::Reader,
    search::{People, Search},
};

/// `POST /search`
pub async fn messages(
    State(search): State<Search>,
    caller: Caller,
    Request(request): Request<search_events::v3::Request>,
) -> Result<Json<Value>> {
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let mut categories = json!({});
    if let Some(criteria) = &request.search_categories.room_events {
        let found = search.messages(reader, criteria, request.next_batch.as_deref()).await?;
        // Clients read these lists also when they are empty, which ruma would leave out.
        let mut events = json!({ "results": [], "highlights": [] });
        if let (Some(events), Value::Object(found)) =
            (events.as_object_mut(), serde_json::to_value(found).map_err(Error::internal)?)
        {
            events.extend(found);
        }
        categories = json!({ "room_events": events });
    }
    Ok(Json(json!({ "search_categories": categories })))
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
