//! Sliding sync (MSC4186, by its unstable name `org.matrix.simplified_msc3575`).

use std::time::Duration;

use axum::extract::{Query, State, rejection::QueryRejection};
use ruma::presence::PresenceState;
use serde::Deserialize;

use crate::{
    error::{Error, Result},
    http::{authenticate::Caller, endpoint::JsonBody, json::Json},
    presence::Availability,
    sync::{SlidingAnswer, SlidingBody, SlidingRequest, Sync},
};

/// What may stand in the query. Newer drafts of the proposal have it in the body.
#[derive(Deserialize)]
pub struct Parameters {
    pos: Option<String>,
    timeout: Option<u64>,
    set_presence: Option<String>,
}

/// `POST /sync`
pub async fn sync(
    State(service): State<Sync>,
    caller: Caller,
    query: Result<Query<Parameters>, QueryRejection>,
    JsonBody(mut body): JsonBody<SlidingBody>,
) -> Result<Json<SlidingAnswer>> {
    let Query(query) = query.map_err(|cause| Error::invalid(format!("The query cannot be read: {cause}.")))?;
    body.pos = query.pos.or(body.pos);
    let appearance = query.set_presence.or(body.set_presence.take());
    let appearance = appearance.map_or_else(PresenceState::default, PresenceState::from);
    let timeout = query.timeout.or(body.timeout.map(u64::from)).unwrap_or_default();
    let request = SlidingRequest {
        user: caller.user_id.clone(),
        device: caller.device_id.clone(),
        appearance: Availability::try_from(&appearance)?,
        timeout: Duration::from_millis(timeout),
        body,
    };
    Ok(Json(service.sliding(request).await?))
}
