//! Who belongs to a room
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room)).

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::{
    OwnedUserId,
    api::client::membership::{get_member_events, joined_members},
};
use serde::Serialize;

use crate::{
    error::Result,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
    },
    rooms::{MemberFilter, MemberProfile, Reader, Rooms},
};

/// `GET /rooms/{roomId}/members`
pub async fn all(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<get_member_events::v3::Request>,
) -> Answer<get_member_events::v3::Response> {
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let at = request.at.as_deref().map(str::parse).transpose()?;
    let filter = MemberFilter { membership: request.membership, not_membership: request.not_membership };
    let members = rooms.members(&request.room_id, reader, at, &filter).await?;
    Ok(Reply(get_member_events::v3::Response::new(members)))
}

/// The joined members. Unlike in ruma's type, a name or picture that is not there is `null`, since some clients count on the
/// keys.
#[derive(Serialize)]
pub struct Joined {
    joined: BTreeMap<OwnedUserId, MemberProfile>,
}

/// `GET /rooms/{roomId}/joined_members`
pub async fn joined(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<joined_members::v3::Request>,
) -> Result<Json<Joined>> {
    let joined = rooms.joined_members(&request.room_id, &caller.user_id).await?;
    Ok(Json(Joined { joined }))
}
