//! Syncing ([spec](https://spec.matrix.org/v1.19/client-server-api/#syncing)).

use axum::{
    extract::{FromRequestParts, Query, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use ruma::api::client::sync::sync_events::v3;
use serde::Deserialize;

use super::{as_sent::AsSent, sync_body::Body};
use crate::{
    error::{Error, Result},
    http::{authenticate::Caller, endpoint::Request, json::Json},
    presence::Availability,
    sync::{StateExtent, StateStyle, Sync, SyncRequest},
    users::{Filter, Filters},
};

/// `GET /sync`
pub async fn sync(
    State(service): State<Sync>,
    State(filters): State<Filters>,
    caller: Caller,
    Unstable { use_state_after }: Unstable,
    Request(sent): Request<AsSent<v3::Request>>,
) -> Result<Response> {
    let written_out = sent.in_query("filter");
    let request = sent.request;
    let by_unstable_name = use_state_after && !request.use_state_after;
    let style = if request.use_state_after || use_state_after { StateStyle::After } else { StateStyle::Before };
    let filter = filter(&filters, &caller, request.filter, written_out.as_deref()).await?;
    let request = SyncRequest {
        user: caller.user_id.clone(),
        device: caller.device_id.clone(),
        since: request.since.as_deref().map(str::parse).transpose()?,
        filter: filter.definition,
        relations: filter.relations,
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
async fn filter(
    filters: &Filters,
    caller: &Caller,
    wanted: Option<v3::Filter>,
    written_out: Option<&str>,
) -> Result<Filter> {
    match (wanted, written_out) {
        // What begins as a filter and is none is taken for an id by ruma.
        (Some(v3::Filter::FilterId(id)), _) if id.starts_with('{') => Err(Error::invalid("The filter is not one.")),
        (Some(v3::Filter::FilterId(id)), _) => filters.current(&caller.user_id, &id).await,
        (Some(v3::Filter::FilterDefinition(_)), Some(json)) => {
            Filter::parse(json).map_err(|cause| Error::invalid(format!("This is no filter: {cause}.")))
        }
        _ => Ok(Filter::default()),
    }
}
