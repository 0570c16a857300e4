//! Syncing ([spec](https://spec.matrix.org/v1.19/client-server-api/#syncing)).

use axum::{
    extract::{FromRequestParts, Query, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use ruma::api::client::{
    filter::FilterDefinition,
    sync::sync_events::v3::{self, Filter},
};
use serde::Deserialize;

use super::sync_body::Body;
use crate::{
    error::{Error, Result},
    http::{authenticate::Caller, endpoint::Request, json::Json},
    presence::Availability,
    sync::{StateExtent, StateStyle, Sync, SyncRequest},
    users::Filters,
};

/// `GET /sync`
pub async fn sync(
    State(service): State<Sync>,
    State(filters): State<Filters>,
    caller: Caller,
    Unstable { use_state_after }: Unstable,
    Request(request): Request<v3::Request>,
) -> Result<Response> {
    let by_unstable_name = use_state_after && !request.use_state_after;
    let style = if request.use_state_after || use_state_after { StateStyle::After } else { StateStyle::Before };
    let request = SyncRequest {
        user: caller.user_id.clone(),
        device: caller.device_id.clone(),
        since: request.since.as_deref().map(str::parse).transpose()?,
        filter: filter(&filters, &caller, request.filter).await?,
        extent: if request.full_state { StateExtent::Full } else { StateExtent::Changes },
        state_style: style,
        appearance: Availability::try_from(&request.set_presence)?,
        timeout: request.timeout.unwrap_or_default(),
    };
    let body = Body::from(service.sync(request).await?);
    let body = if by_unstable_name { body.with_unstable_names() } else { body };
    Ok(Json(body).into_response())
}

/// What a query has under the names that it had before it was part of the specification (MSC4222).
#[derive(Deserialize, Default)]
pub struct Unstable {
    #[serde(rename = "org.matrix.msc4222.use_state_after", default)]
    use_state_after: bool,
}

impl<S: Send + std::marker::Sync> FromRequestParts<S> for Unstable {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let query = Query::try_from_uri(&parts.uri);
        query.map(|Query(wish)| wish).map_err(|_| Error::invalid("The query of the request cannot be read."))
    }
}

/// The filter in the query itself, or the stored one that it names.
async fn filter(filters: &Filters, caller: &Caller, filter: Option<Filter>) -> Result<FilterDefinition> {
    match filter {
        // What begins as a filter and is none is taken for an id by ruma.
        Some(Filter::FilterId(id)) if id.starts_with('{') => Err(Error::invalid("The filter is not one.")),
        Some(Filter::FilterId(id)) => filters.current(&caller.user_id, &id).await,
        Some(Filter::FilterDefinition(definition)) => Ok(definition),
        _ => Ok(FilterDefinition::default()),
    }
}
