//! What was said around an event
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room)).

use axum::extract::State;
use ruma::api::client::context::get_context;

use super::as_sent::AsSent;
use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::{Reader, Rooms},
};

/// `GET /rooms/{roomId}/context/{eventId}`
pub async fn get(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(sent): Request<AsSent<get_context::v3::Request>>,
) -> Answer<get_context::v3::Response> {
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let relations = sent.relation_filter()?;
    let get_context::v3::Request { room_id, event_id, limit, filter, .. } = &sent.request;
    let filters = (filter, &relations);
    let context = rooms.context(room_id, reader, event_id, u64::from(*limit), filters).await?;
    let mut response = get_context::v3::Response::new();
    response.start = Some(context.start.to_string());
    response.end = Some(context.end.to_string());
    response.events_before = context.before;
    response.event = Some(context.event);
    response.events_after = context.after;
    response.state = context.state;
    Ok(Reply(response))
}
