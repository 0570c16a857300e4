//! Syncing ([spec](https://spec.matrix.org/v1.19/client-server-api/#syncing)).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use ruma::api::client::sync::sync_events::v3;

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
    Request(sent): Request<AsSent<v3::Request>>,
) -> Result<Response> {
    let written_out = sent.in_query("filter");
    let request = sent.request;
    let filter = filter(&filters, &caller, request.filter, written_out.as_deref()).await?;
    let request = SyncRequest {
        user: caller.user_id.clone(),
        device: caller.device_id.clone(),
        since: request.since.as_deref().map(str::parse).transpose()?,
        filter: filter.definition,
        relations: filter.relations,
        extent: if request.full_state { StateExtent::Full } else { StateExtent::Changes },
        state_style: if request.use_state_after { StateStyle::After } else { StateStyle::Before },
        appearance: Availability::try_from(&request.set_presence)?,
        timeout: request.timeout.unwrap_or_default(),
    };
    Ok(Json(Body::from(service.sync(request).await?)).into_response())
}

/// The filter in the query itself, or the stored one that it names.
async fn filter(
    filters: &Filters,
    caller: &Caller,
    wanted: Option<v3::Filter>,
    written_out: Option<&str>,
) -> Result<Filter> {
    match (wanted, written_out) {
        (Some(v3::Filter::FilterId(id)), _) => filters.current(&caller.user_id, &id).await,
        (Some(v3::Filter::FilterDefinition(_)), Some(json)) => {
            Filter::parse(json).map_err(|cause| Error::invalid(format!("This is no filter: {cause}.")))
        }
        _ => Ok(Filter::default()),
    }
}
