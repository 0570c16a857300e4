//! Who belongs to a room
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room)).

use axum::extract::State;
use ruma::api::client::membership::{get_member_events, joined_members};

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::{MemberFilter, Reader, Rooms},
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

/// `GET /rooms/{roomId}/joined_members`
pub async fn joined(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<joined_members::v3::Request>,
) -> Answer<joined_members::v3::Response> {
    let joined = rooms.joined_members(&request.room_id, &caller.user_id).await?;
    Ok(Reply(joined_members::v3::Response::new(joined)))
}
