//! What one may know of a room before joining: "Room Summaries" in the client-server specification.

use axum::extract::State;
use ruma::api::client::room::get_summary;

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::Rooms,
};

pub async fn get(
    State(rooms): State<Rooms>,
    caller: Option<Caller>,
    Request(request): Request<get_summary::v1::Request>,
) -> Answer<get_summary::v1::Response> {
    let reader = caller.as_ref().map(|caller| &*caller.user_id);
    let (summary, membership) = rooms.summary(&request.room_id_or_alias, reader).await?;
    let mut response = get_summary::v1::Response::new(summary);
    response.membership = membership;
    Ok(Reply(response))
}
