//! Syncing ([spec](https://spec.matrix.org/v1.19/client-server-api/#syncing)).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use ruma::api::client::{
    filter::FilterDefinition,
    sync::sync_events::v3::{self, Filter},
};

use super::sync_body::Body;
use crate::{
    error::Result,
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
    Request(request): Request<v3::Request>,
) -> Result<Response> {
    let request = SyncRequest {
        user: caller.user_id.clone(),
        device: caller.device_id.clone(),
        since: request.since.as_deref().map(str::parse).transpose()?,
        filter: filter(&filters, &caller, request.filter).await?,
        extent: if request.full_state { StateExtent::Full } else { StateExtent::Changes },
        state_style: if request.use_state_after { StateStyle::After } else { StateStyle::Before },
        appearance: Availability::try_from(&request.set_presence)?,
        timeout: request.timeout.unwrap_or_default(),
    };
    Ok(Json(Body::from(service.sync(request).await?)).into_response())
}

/// The filter in the query itself, or the stored one that it names.
async fn filter(filters: &Filters, caller: &Caller, filter: Option<Filter>) -> Result<FilterDefinition> {
    match filter {
        Some(Filter::FilterId(id)) => filters.current(&caller.user_id, &id).await,
        Some(Filter::FilterDefinition(definition)) => Ok(definition),
        _ => Ok(FilterDefinition::default()),
    }
}
