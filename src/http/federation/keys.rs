//! The keys with which others check what this server signed
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys)).

use axum::extract::State;
use ruma::api::federation::discovery::{get_remote_server_keys, get_remote_server_keys_batch, get_server_keys};

use crate::{
    error::Result,
    federation::ServerKeys,
    http::endpoint::{Answer, Reply, Request},
};

/// `GET /_matrix/key/v2/server`
pub async fn own(
    State(keys): State<ServerKeys>,
    _: Request<get_server_keys::v2::Request>,
) -> Answer<get_server_keys::v2::Response> {
    Ok(Reply(get_server_keys::v2::Response::new(keys.own()?)))
}

/// `GET /_matrix/key/v2/query/{serverName}`
pub async fn of(
    State(keys): State<ServerKeys>,
    Request(request): Request<get_remote_server_keys::v2::Request>,
) -> Answer<get_remote_server_keys::v2::Response> {
    let known = keys.of(&request.server_name)?.into_iter().collect();
    Ok(Reply(get_remote_server_keys::v2::Response::new(known)))
}

/// `POST /_matrix/key/v2/query`
pub async fn of_many(
    State(keys): State<ServerKeys>,
    Request(request): Request<get_remote_server_keys_batch::v2::Request>,
) -> Answer<get_remote_server_keys_batch::v2::Response> {
    let known = request.server_keys.keys().filter_map(|server| keys.of(server).transpose());
    let known = known.collect::<Result<_>>()?;
    Ok(Reply(get_remote_server_keys_batch::v2::Response::new(known)))
}
