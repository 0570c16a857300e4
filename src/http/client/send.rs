//! Events sent into a room ([spec](https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room)).

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use ruma::api::client::message::send_message_event;

use super::delayed_events::{Delay, send_later};
use crate::{
    error::Result,
    http::{
        authenticate::Caller,
        endpoint::{Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
    presence::Presence,
    rooms::{DelayRequest, Rooms},
};

/// `PUT /rooms/{roomId}/send/{eventType}/{txnId}`, now or later
pub async fn send(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    State(presence): State<Presence>,
    caller: Caller,
    Delay(delay): Delay,
    Request(request): Request<send_message_event::v3::Request>,
) -> Result<Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    if let Some(delay) = delay {
        let request = DelayRequest {
            room_id: request.room_id,
            kind: request.event_type.to_string().into(),
            state_key: None,
            content: request.body.into_json(),
            delay,
            transaction: Some(request.txn_id),
        };
        return Ok(send_later(&rooms, &presence, &caller, request).await?.into_response());
    }
    let sender = (&*caller.user_id, &*caller.device_id);
    let kind = request.event_type.to_string().into();
    let content = request.body.into_json();
    let timestamp = caller.timestamp(request.timestamp);
    let event_id = rooms.send_message_at(&request.room_id, sender, kind, &request.txn_id, content, timestamp).await?;
    presence.act(&caller.user_id).await;
    Ok(Reply(send_message_event::v3::Response::new(event_id)).into_response())
}
