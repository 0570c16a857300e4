//! The state of a room, read and set
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room)).

use axum::extract::State;
use ruma::api::client::state::{get_state_event_for_key, get_state_events, send_state_event};

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
    presence::Presence,
    rooms::{Reader, Rooms},
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

/// `PUT /rooms/{roomId}/state/{eventType}/{stateKey}`
pub async fn set(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    State(presence): State<Presence>,
    caller: Caller,
    Request(request): Request<send_state_event::v3::Request>,
) -> Answer<send_state_event::v3::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    let place = (request.event_type, request.state_key.as_str());
    let event_id = rooms.set_state(&request.room_id, &caller.user_id, place, request.body.into_json()).await?;
    presence.act(&caller.user_id).await;
    Ok(Reply(send_state_event::v3::Response::new(event_id)))
}
