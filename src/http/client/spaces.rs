//! What is in a space
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#discovering-rooms-within-spaces)).

use axum::extract::State;
use ruma::api::client::space::get_hierarchy;

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::{HierarchyRequest, Rooms},
};

/// `GET /rooms/{roomId}/hierarchy`
pub async fn hierarchy(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<get_hierarchy::v1::Request>,
) -> Answer<get_hierarchy::v1::Response> {
    let wanted = HierarchyRequest {
        suggested_only: request.suggested_only,
        max_depth: request.max_depth.map(u64::from),
        limit: request.limit.map(u64::from),
        from: request.from,
    };
    let page = rooms.hierarchy(&request.room_id, &caller.user_id, wanted).await?;
    let mut response = get_hierarchy::v1::Response::new();
    response.rooms = page.rooms;
    response.next_batch = page.next;
    Ok(Reply(response))
}
