//! New rooms: "Creation" in the client-server specification.

use axum::extract::State;
use ruma::api::client::room::create_room;

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
    rooms::Rooms,
};

pub async fn create(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<create_room::v3::Request>,
) -> Answer<create_room::v3::Response> {
    caller.spend(&rate_limits, Limit::Joins)?;
    let room_id = rooms.create(&caller.user_id, request).await?;
    Ok(Reply(create_room::v3::Response::new(room_id)))
}
