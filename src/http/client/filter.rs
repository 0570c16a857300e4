//! Filters that clients upload once and name afterwards: "Filtering" in the client-server specification.

use axum::extract::State;
use ruma::api::client::filter::{create_filter, get_filter};

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    users::Filters,
};

pub async fn create(
    State(filters): State<Filters>,
    caller: Caller,
    Request(request): Request<create_filter::v3::Request>,
) -> Answer<create_filter::v3::Response> {
    caller.require_self(&request.user_id)?;
    let id = filters.create(&caller.user_id, &request.filter).await?;
    Ok(Reply(create_filter::v3::Response::new(id)))
}

pub async fn get(
    State(filters): State<Filters>,
    caller: Caller,
    Request(request): Request<get_filter::v3::Request>,
) -> Answer<get_filter::v3::Response> {
    caller.require_self(&request.user_id)?;
    let filter = filters.current(&caller.user_id, &request.filter_id).await?;
    Ok(Reply(get_filter::v3::Response::new(filter)))
}
