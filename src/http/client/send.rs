//! Events sent into a room ([spec](https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room)).

use axum::extract::State;
use ruma::api::client::message::send_message_event;

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
    presence::Presence,
    rooms::Rooms,
};

/// `PUT /rooms/{roomId}/send/{eventType}/{txnId}`
pub async fn send(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    State(presence): State<Presence>,
    caller: Caller,
    Request(request): Request<send_message_event::v3::Request>,
) -> Answer<send_message_event::v3::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    let sender = (&*caller.user_id, &*caller.device_id);
    let kind = request.event_type.to_string().into();
    let content = request.body.into_json();
    let event_id = rooms.send_message(&request.room_id, sender, kind, &request.txn_id, content).await?;
    presence.act(&caller.user_id).await;
    Ok(Reply(send_message_event::v3::Response::new(event_id)))
}
