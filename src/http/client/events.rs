//! A single event of a room
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room)).

use axum::extract::State;
use ruma::api::client::room::get_room_event;

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::{Reader, Rooms},
};

/// `GET /rooms/{roomId}/event/{eventId}`
pub async fn get(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<get_room_event::v3::Request>,
) -> Answer<get_room_event::v3::Response> {
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let event = rooms.visible_event(&request.room_id, reader, &request.event_id).await?;
    Ok(Reply(get_room_event::v3::Response::new(event)))
}
