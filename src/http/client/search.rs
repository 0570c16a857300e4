//! Finding messages ("Server Side Search") and people ("User Directory").

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::{
    OwnedRoomId, UInt,
    api::client::{
        search::search_events::v3::{ResultGroupMapsByGroupingKey, ResultRoomEvents, SearchResult},
        user_directory::search_users::{self, v3::User},
    },
    events::AnyStateEvent,
    serde::Raw,
};
use serde::Serialize;

use super::amended::{Amended, ContextIsWanted};
use crate::{
    error::Result,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
    },
    rooms::Reader,
    search::{People, Search},
};

/// The response to a search, as ruma has it, but with results and highlights where there are none: ruma leaves them out, which
/// clients do not expect.
#[derive(Serialize)]
pub struct Found {
    search_categories: Categories,
}

#[derive(Serialize)]
struct Categories {
    #[serde(skip_serializing_if = "Option::is_none")]
    room_events: Option<RoomEvents>,
}

#[derive(Serialize)]
struct RoomEvents {
    count: UInt,
    results: Vec<SearchResult>,
    highlights: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    state: BTreeMap<OwnedRoomId, Vec<Raw<AnyStateEvent>>>,
    #[serde(skip_serializing_if = "has_none")]
    groups: ResultGroupMapsByGroupingKey,
}

/// `POST /search`
pub async fn messages(
    State(search): State<Search>,
    caller: Caller,
    Request(Amended(request)): Request<Amended<ContextIsWanted>>,
) -> Result<Json<Found>> {
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let room_events = match &request.search_categories.room_events {
        Some(criteria) => Some(search.messages(reader, criteria, request.next_batch.as_deref()).await?.into()),
        None => None,
    };
    Ok(Json(Found { search_categories: Categories { room_events } }))
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

impl From<ResultRoomEvents> for RoomEvents {
    fn from(found: ResultRoomEvents) -> Self {
        Self {
            count: found.count.unwrap_or_default(),
            results: found.results,
            highlights: found.highlights,
            next_batch: found.next_batch,
            state: found.state,
            groups: found.groups,
        }
    }
}

fn has_none(groups: &ResultGroupMapsByGroupingKey) -> bool {
    groups.is_empty()
}
