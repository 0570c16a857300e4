//! Redactions ([spec](https://spec.matrix.org/v1.19/client-server-api/#redactions)).

use axum::extract::State;
use ruma::api::client::redact::redact_event;

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        permission,
        rate_limit::{Limit, RateLimits},
    },
    presence::Presence,
    rooms::Rooms,
};

/// `PUT /rooms/{roomId}/redact/{eventId}/{txnId}`
pub async fn redact(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    State(presence): State<Presence>,
    caller: Caller,
    Request(request): Request<redact_event::v3::Request>,
) -> Answer<redact_event::v3::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    let redact_event::v3::Request { room_id, event_id, txn_id, reason, .. } = &request;
    if caller.suspended && !rooms.is_own(room_id, &caller.user_id, event_id).await? {
        return Err(permission::suspended());
    }
    let sender = (&*caller.user_id, &*caller.device_id);
    let redaction = rooms.redact(room_id, sender, event_id, txn_id, reason.as_deref()).await?;
    presence.act(&caller.user_id).await;
    Ok(Reply(redact_event::v3::Response::new(redaction)))
}
