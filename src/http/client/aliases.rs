//! Names for rooms: "Room aliases" in the client-server specification.

use axum::extract::State;
use ruma::api::client::{
    alias::{create_alias, delete_alias, get_alias},
    room::aliases,
};

use crate::{
    appservices::Appservices,
    delivery::Bridges,
    http::{
        authenticate::{Caller, MaybeService},
        endpoint::{Answer, Reply, Request},
    },
    rooms::Rooms,
};

pub async fn create(
    State(rooms): State<Rooms>,
    State(appservices): State<Appservices>,
    caller: Caller,
    Request(request): Request<create_alias::v3::Request>,
) -> Answer<create_alias::v3::Response> {
    appservices.check_alias(&request.room_alias, caller.appservice())?;
    rooms.create_alias(&request.room_alias, &request.room_id, &caller.user_id).await?;
    Ok(Reply(create_alias::v3::Response::new()))
}

pub async fn resolve(
    State(rooms): State<Rooms>,
    State(bridges): State<Bridges>,
    service: MaybeService,
    Request(request): Request<get_alias::v3::Request>,
) -> Answer<get_alias::v3::Response> {
    bridges.ask_for_alias(&request.room_alias, service.found().as_deref()).await?.require_answer()?;
    let room_id = rooms.resolve_alias(&request.room_alias).await?;
    // Only this server's aliases are known, and this server is in their rooms.
    let servers = vec![request.room_alias.server_name().to_owned()];
    Ok(Reply(get_alias::v3::Response::new(room_id, servers)))
}

pub async fn delete(
    State(rooms): State<Rooms>,
    State(appservices): State<Appservices>,
    caller: Caller,
    Request(request): Request<delete_alias::v3::Request>,
) -> Answer<delete_alias::v3::Response> {
    appservices.check_alias(&request.room_alias, caller.appservice())?;
    rooms.delete_alias(&request.room_alias, &caller.user_id).await?;
    Ok(Reply(delete_alias::v3::Response::new()))
}

pub async fn of_room(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<aliases::v3::Request>,
) -> Answer<aliases::v3::Response> {
    let aliases = rooms.aliases(&request.room_id, &caller.user_id).await?;
    Ok(Reply(aliases::v3::Response::new(aliases)))
}
