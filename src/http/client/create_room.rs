//! New rooms: "Creation" in the client-server specification.

use axum::extract::State;
use ruma::{RoomAliasId, api::client::room::create_room};

use crate::{
    appservices::Appservices,
    delivery::Bridges,
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
    State(appservices): State<Appservices>,
    State(bridges): State<Bridges>,
    caller: Caller,
    Request(request): Request<create_room::v3::Request>,
) -> Answer<create_room::v3::Response> {
    caller.spend(&rate_limits, Limit::Joins)?;
    if let Some(name) = &request.room_alias_name
        && let Ok(alias) = RoomAliasId::parse(format!("#{name}:{}", appservices.server_name()))
    {
        appservices.check_alias(&alias, caller.appservice())?;
    }
    // A bridge that does not answer hears of the invitation all the same, and makes the user when it can.
    bridges.ask_for_users(&request.invite, caller.appservice()).await?;
    let room_id = rooms.create(&caller.user_id, request).await?;
    Ok(Reply(create_room::v3::Response::new(room_id)))
}
