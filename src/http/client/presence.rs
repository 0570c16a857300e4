//! Presence ([spec](https://spec.matrix.org/v1.19/client-server-api/#presence)).

use std::time::Duration;

use axum::extract::State;
use ruma::api::client::presence::{get_presence, set_presence};

use crate::{
    error::Error,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    presence::{Availability, Presence},
};

/// `GET /presence/{userId}/status`
pub async fn get(
    State(presence): State<Presence>,
    caller: Caller,
    Request(request): Request<get_presence::v3::Request>,
) -> Answer<get_presence::v3::Response> {
    let content = presence.of(&caller.user_id, &request.user_id).await?;
    let mut response = get_presence::v3::Response::new(content.presence);
    response.status_msg = content.status_msg;
    response.currently_active = content.currently_active;
    response.last_active_ago = content.last_active_ago.map(|ago| Duration::from_millis(ago.into()));
    Ok(Reply(response))
}

/// `PUT /presence/{userId}/status`
pub async fn set(
    State(presence): State<Presence>,
    caller: Caller,
    Request(request): Request<set_presence::v3::Request>,
) -> Answer<set_presence::v3::Response> {
    if request.user_id != caller.user_id {
        return Err(Error::forbidden("You can only set your own presence."));
    }
    let availability = Availability::try_from(&request.presence)?;
    presence.choose(&caller.user_id, &caller.device_id, availability, request.status_msg).await?;
    Ok(Reply(set_presence::v3::Response::new()))
}
