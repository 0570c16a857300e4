//! Syncing ([spec](https://spec.matrix.org/v1.19/client-server-api/#syncing)).

use std::collections::BTreeMap;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use ruma::{
    OneTimeKeyAlgorithm, UInt,
    api::client::{
        filter::FilterDefinition,
        sync::sync_events::v3::{self, Filter, GlobalAccountData, Presence, Rooms},
    },
};
use serde::Serialize;

use crate::{
    error::Result,
    http::{authenticate::Caller, endpoint::Request, json::Json},
    presence::Availability,
    sync::{StateExtent, StateStyle, Sync, SyncAnswer, SyncRequest},
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

/// The answer as clients read it. Unlike ruma's type it has every section always, since some clients count on them.
#[derive(Serialize)]
struct Body {
    next_batch: String,
    rooms: Rooms,
    presence: Presence,
    account_data: GlobalAccountData,
    to_device: Events,
    device_lists: DeviceLists,
    device_one_time_keys_count: BTreeMap<OneTimeKeyAlgorithm, UInt>,
    device_unused_fallback_key_types: Vec<OneTimeKeyAlgorithm>,
}

/// A list of events, empty as long as there is no end-to-end encryption.
#[derive(Default, Serialize)]
struct Events {
    events: [(); 0],
}

/// Whose devices changed, nobody's as long as there is no end-to-end encryption.
#[derive(Default, Serialize)]
struct DeviceLists {
    changed: [(); 0],
    left: [(); 0],
}

impl From<SyncAnswer> for Body {
    fn from(answer: SyncAnswer) -> Self {
        Self {
            next_batch: answer.next.to_string(),
            rooms: answer.rooms,
            presence: answer.presence,
            account_data: answer.account_data,
            to_device: Events::default(),
            device_lists: DeviceLists::default(),
            device_one_time_keys_count: BTreeMap::from([(OneTimeKeyAlgorithm::SignedCurve25519, UInt::MIN)]),
            device_unused_fallback_key_types: Vec::new(),
        }
    }
}
