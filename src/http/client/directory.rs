//! Rooms for everybody to find: "Published room directory" in the client-server specification.

use std::sync::Arc;

use axum::extract::State;
use ruma::{
    OwnedServerName, UInt,
    api::client::directory::{get_public_rooms, get_public_rooms_filtered, get_room_visibility, set_room_visibility},
    directory::{PublicRoomsChunk, RoomNetwork},
    room::JoinRuleKind,
};

use serde::Serialize;

use super::amended::{Amended, UsuallyPublic};
use crate::{
    config::Config,
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
    },
    rooms::{DirectoryBatch, DirectoryNetwork, DirectoryPage, DirectoryRequest, Rooms},
};

pub async fn list(
    State(rooms): State<Rooms>,
    State(config): State<Arc<Config>>,
    Request(request): Request<get_public_rooms::v3::Request>,
) -> Result<Json<PublicRooms>> {
    check_server(request.server, &config)?;
    let wanted = DirectoryRequest { batch: batch(request.since)?, limit: limit(request.limit), ..Default::default() };
    Ok(Json(rooms.directory(&wanted).await?.into()))
}

pub async fn search(
    State(rooms): State<Rooms>,
    State(config): State<Arc<Config>>,
    _: Caller,
    Request(request): Request<get_public_rooms_filtered::v3::Request>,
) -> Result<Json<PublicRooms>> {
    check_server(request.server, &config)?;
    let network = match request.room_network {
        RoomNetwork::ThirdParty(instance) => DirectoryNetwork::Bridged(instance),
        RoomNetwork::All => DirectoryNetwork::All,
        _ => DirectoryNetwork::Matrix,
    };
    let (filter, batch, limit) = (request.filter, batch(request.since)?, limit(request.limit));
    let wanted = DirectoryRequest { network, filter, batch, limit };
    Ok(Json(rooms.directory(&wanted).await?.into()))
}

/// The response to both, as ruma has it, but with every join rule: ruma leaves out `public`, which clients then miss.
#[derive(Serialize)]
pub struct PublicRooms {
    chunk: Vec<PublicRoom>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
    total_room_count_estimate: usize,
}

#[derive(Serialize)]
struct PublicRoom {
    #[serde(flatten)]
    room: PublicRoomsChunk,
    /// Set where `room` leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    join_rule: Option<JoinRuleKind>,
}

impl From<DirectoryPage> for PublicRooms {
    fn from(page: DirectoryPage) -> Self {
        let room = |room: PublicRoomsChunk| {
            let join_rule = (room.join_rule == JoinRuleKind::default()).then_some(JoinRuleKind::default());
            PublicRoom { room, join_rule }
        };
        Self {
            chunk: page.rooms.into_iter().map(room).collect(),
            prev_batch: page.previous.map(|batch| batch.to_string()),
            next_batch: page.next.map(|batch| batch.to_string()),
            total_room_count_estimate: page.total,
        }
    }
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
