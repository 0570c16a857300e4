//! Rooms for everybody to find: "Published room directory" in the client-server specification.

use std::sync::Arc;

use axum::extract::State;
use ruma::{
    OwnedServerName, UInt,
    api::client::directory::{get_public_rooms, get_public_rooms_filtered, get_room_visibility, set_room_visibility},
    directory::RoomNetwork,
};

use super::amended::{Amended, UsuallyPublic};
use crate::{
    config::Config,
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::{DirectoryBatch, DirectoryPage, DirectoryRequest, Rooms},
};

pub async fn list(
    State(rooms): State<Rooms>,
    State(config): State<Arc<Config>>,
    Request(request): Request<get_public_rooms::v3::Request>,
) -> Answer<get_public_rooms::v3::Response> {
    check_server(request.server, &config)?;
    let wanted = DirectoryRequest { batch: batch(request.since)?, limit: limit(request.limit), ..Default::default() };
    let DirectoryPage { rooms, previous, next, total } = rooms.directory(&wanted).await?;
    let mut response = get_public_rooms::v3::Response::new(rooms);
    response.prev_batch = previous.map(|batch| batch.to_string());
    response.next_batch = next.map(|batch| batch.to_string());
    response.total_room_count_estimate = UInt::new(total as u64);
    Ok(Reply(response))
}

pub async fn search(
    State(rooms): State<Rooms>,
    State(config): State<Arc<Config>>,
    _: Caller,
    Request(request): Request<get_public_rooms_filtered::v3::Request>,
) -> Answer<get_public_rooms_filtered::v3::Response> {
    check_server(request.server, &config)?;
    let mut response = get_public_rooms_filtered::v3::Response::new();
    if let RoomNetwork::ThirdParty(_) = request.room_network {
        // There are no bridges here whose rooms could be listed.
        response.total_room_count_estimate = Some(UInt::MIN);
        return Ok(Reply(response));
    }
    let wanted = DirectoryRequest { filter: request.filter, batch: batch(request.since)?, limit: limit(request.limit) };
    let DirectoryPage { rooms, previous, next, total } = rooms.directory(&wanted).await?;
    response.chunk = rooms;
    response.prev_batch = previous.map(|batch| batch.to_string());
    response.next_batch = next.map(|batch| batch.to_string());
    response.total_room_count_estimate = UInt::new(total as u64);
    Ok(Reply(response))
}

pub async fn visibility(
    State(rooms): State<Rooms>,
    Request(request): Request<get_room_visibility::v3::Request>,
) -> Answer<get_room_visibility::v3::Response> {
    let visibility = rooms.visibility(&request.room_id).await?;
    Ok(Reply(get_room_visibility::v3::Response::new(visibility)))
}

pub async fn set_visibility(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(Amended(request)): Request<Amended<UsuallyPublic>>,
) -> Answer<set_room_visibility::v3::Response> {
    rooms.set_visibility(&request.room_id, &caller.user_id, &request.visibility).await?;
    Ok(Reply(set_room_visibility::v3::Response::new()))
}

/// Checks that the directory asked for is the one of this server.
fn check_server(server: Option<OwnedServerName>, config: &Config) -> Result<()> {
    match server.filter(|server| *server != config.server_name) {
        Some(other) => Err(Error::not_found(format!("This server does not federate with {other}."))),
        None => Ok(()),
    }
}

/// The batch that a client goes on from; some clients say with an empty one that they start.
fn batch(since: Option<String>) -> Result<Option<DirectoryBatch>> {
    since.filter(|since| !since.is_empty()).map(|since| since.parse()).transpose()
}

fn limit(limit: Option<UInt>) -> Option<usize> {
    limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}
