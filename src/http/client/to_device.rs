//! Messages to devices ([spec](https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging)).

use axum::extract::State;
use ruma::api::client::to_device::send_event_to_device;

use crate::{
    encryption::ToDevice,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
};

/// `PUT /sendToDevice/{eventType}/{txnId}`
pub async fn send(
    State(to_device): State<ToDevice>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<send_event_to_device::v3::Request>,
) -> Answer<send_event_to_device::v3::Response> {
    caller.require_device()?;
    caller.spend(&rate_limits, Limit::Encryption)?;
    let sender = (&*caller.user_id, &*caller.device_id);
    let kind = request.event_type.to_string();
    to_device.send(sender, &kind, &request.txn_id, &request.messages).await?;
    Ok(Reply(send_event_to_device::v3::Response::new()))
}
