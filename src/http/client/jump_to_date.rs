//! From a date to an event
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event)).

use axum::extract::State;
use ruma::api::{Direction as Wanted, client::room::get_event_by_timestamp};

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::Rooms,
    storage::Direction,
};

/// `GET /rooms/{roomId}/timestamp_to_event`
pub async fn get(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<get_event_by_timestamp::v1::Request>,
) -> Answer<get_event_by_timestamp::v1::Response> {
    let direction = match request.dir {
        Wanted::Forward => Direction::Forward,
        Wanted::Backward => Direction::Reverse,
    };
    let (event_id, time) = rooms.jump_to_date(&request.room_id, &caller.user_id, request.ts, direction).await?;
    Ok(Reply(get_event_by_timestamp::v1::Response::new(event_id, time)))
}
