//! The history of a room, page by page
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#syncing-events-in-a-room)).

use axum::extract::State;
use ruma::api::{Direction as Wanted, client::message::get_message_events};

use super::{
    amended::{Amended, UsuallyForward},
    as_sent::AsSent,
};
use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::{MessagesRequest, Reader, Rooms},
    storage::Direction,
};

/// `GET /rooms/{roomId}/messages`
pub async fn get(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(sent): Request<AsSent<Amended<UsuallyForward>>>,
) -> Answer<get_message_events::v3::Response> {
    let relations = &sent.relation_filter()?;
    let Amended(request) = sent.request;
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let page = MessagesRequest {
        from: request.from.as_deref().map(str::parse).transpose()?,
        to: request.to.as_deref().map(str::parse).transpose()?,
        direction: match request.dir {
            Wanted::Forward => Direction::Forward,
            Wanted::Backward => Direction::Reverse,
        },
        limit: u64::from(request.limit),
        filter: &request.filter,
        relations,
    };
    let page = rooms.messages(&request.room_id, reader, page).await?;
    let mut response = get_message_events::v3::Response::new();
    response.start = page.start.to_string();
    response.end = page.end.map(|end| end.to_string());
    response.chunk = page.chunk;
    response.state = page.state;
    Ok(Reply(response))
}
