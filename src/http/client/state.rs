//! The state of a room, read and set
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room)).

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use ruma::api::client::state::{get_state_event_for_key, get_state_events, send_state_event};

use super::delayed_events::{Delay, send_later};
use crate::{
    error::Result,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
    presence::Presence,
    rooms::{DelayRequest, Reader, Rooms},
};

/// `GET /rooms/{roomId}/state`
pub async fn all(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<get_state_events::v3::Request>,
) -> Answer<get_state_events::v3::Response> {
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let state = rooms.state(&request.room_id, reader).await?;
    Ok(Reply(get_state_events::v3::Response::new(state)))
}

/// `GET /rooms/{roomId}/state/{eventType}/{stateKey}`
pub async fn get(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<get_state_event_for_key::v3::Request>,
) -> Answer<get_state_event_for_key::v3::Response> {
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let place = (&request.event_type, request.state_key.as_str());
    let answer = rooms.state_event(&request.room_id, reader, place, &request.format).await?;
    Ok(Reply(get_state_event_for_key::v3::Response::new(answer)))
}

/// `PUT /rooms/{roomId}/state/{eventType}/{stateKey}`, now or later
pub async fn set(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    State(presence): State<Presence>,
    caller: Caller,
    Delay(delay): Delay,
    Request(request): Request<send_state_event::v3::Request>,
) -> Result<Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    if let Some(delay) = delay {
        let request = DelayRequest {
            room_id: request.room_id,
            kind: request.event_type.to_string().into(),
            state_key: Some(request.state_key),
            content: request.body.into_json(),
            delay,
            transaction: None,
        };
        return Ok(send_later(&rooms, &presence, &caller, request).await?.into_response());
    }
    let timestamp = caller.timestamp(request.timestamp);
    let place = (request.event_type, request.state_key.as_str());
    let event_id =
        rooms.set_state_at(&request.room_id, &caller.user_id, place, request.body.into_json(), timestamp).await?;
    presence.act(&caller.user_id).await;
    Ok(Reply(send_state_event::v3::Response::new(event_id)).into_response())
}
