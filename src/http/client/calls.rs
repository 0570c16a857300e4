//! What people need to call each other: "Voice over IP" in the client-server specification, and the transports of MSC4143.

use std::sync::Arc;

use axum::extract::State;
use ruma::{
    api::client::{
        rtc::{RtcTransport, transports},
        voip::get_turn_server_info,
    },
    serde::JsonObject,
};

use crate::{
    clock::Clock,
    config::{Config, Turn},
    error::{Error, Kind, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    matrix::turn,
};

/// `GET /voip/turnServer`
pub async fn turn_server(
    State(config): State<Arc<Config>>,
    State(clock): State<Clock>,
    caller: Caller,
    _: Request<get_turn_server_info::v3::Request>,
) -> Answer<get_turn_server_info::v3::Response> {
    let Turn { uris, shared_secret, user, password, lifetime, guests } = &config.turn;
    if caller.guest && !guests {
        return Err(Kind::GuestAccessForbidden.with("Guests get no relay for their calls."));
    }
    if uris.is_empty() {
        return Err(Error::not_found("This server has no relay for calls."));
    }
    let (name, password) = match (shared_secret, user, password) {
        (Some(secret), ..) => {
            turn::credentials(secret.reveal(), &caller.user_id, clock.millis() / 1_000 + lifetime.as_secs())?
        }
        (None, Some(user), Some(password)) => (user.clone(), password.reveal().to_owned()),
        _ => return Err(Error::internal("there are no credentials for the TURN server")),
    };
    Ok(Reply(get_turn_server_info::v3::Response::new(name, password, uris.clone(), *lifetime)))
}

/// `GET /rtc/transports` (MSC4143)
pub async fn transports(
    State(config): State<Arc<Config>>,
    _: Caller,
    _: Request<transports::v1::Request>,
) -> Answer<transports::v1::Response> {
    Ok(Reply(transports::v1::Response::new(configured_transports(&config)?)))
}

/// What calls of many people go through, the preferred one first.
pub fn configured_transports(config: &Config) -> Result<Vec<RtcTransport>> {
    let transport = |url: &String| {
        let data = JsonObject::from_iter([("livekit_service_url".to_owned(), url.as_str().into())]);
        RtcTransport::new("livekit", data).map_err(Error::internal)
    };
    config.calls.livekit_service_urls.iter().map(transport).collect()
}
