//! Filters that clients upload once and name afterwards: "Filtering" in the client-server specification.

use axum::extract::State;
use ruma::api::client::filter::{create_filter, get_filter};
use serde_json::value::RawValue;

use super::as_sent::AsSent;
use crate::{
    error::Result,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
    },
    users::Filters,
};

pub async fn create(
    State(filters): State<Filters>,
    caller: Caller,
    Request(sent): Request<AsSent<create_filter::v3::Request>>,
) -> Answer<create_filter::v3::Response> {
    caller.require_self(&sent.request.user_id)?;
    let id = filters.create(&caller.user_id, sent.body()?).await?;
    Ok(Reply(create_filter::v3::Response::new(id)))
}

pub async fn get(
    State(filters): State<Filters>,
    caller: Caller,
    Request(request): Request<get_filter::v3::Request>,
) -> Result<Json<Box<RawValue>>> {
    caller.require_self(&request.user_id)?;
    Ok(Json(filters.as_sent(&caller.user_id, &request.filter_id).await?))
}
