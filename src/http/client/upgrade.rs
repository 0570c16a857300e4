//! A room gives way to one of another version: "Room Upgrades" in the client-server specification.

use axum::extract::State;
use ruma::api::client::room::upgrade_room;

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
    rooms::Rooms,
};

/// `POST /rooms/{roomId}/upgrade`
pub async fn upgrade(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<upgrade_room::v3::Request>,
) -> Answer<upgrade_room::v3::Response> {
    caller.spend(&rate_limits, Limit::Joins)?;
    let upgrade_room::v3::Request { room_id, new_version, additional_creators, .. } = request;
    let replacement = rooms.upgrade(&room_id, &caller.user_id, new_version, additional_creators).await?;
    Ok(Reply(upgrade_room::v3::Response::new(replacement)))
}
