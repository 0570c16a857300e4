//! What software this server runs ([spec](https://spec.matrix.org/v1.19/server-server-api/#server-implementation)).

use ruma::api::federation::discovery::get_server_version::v1::{Request as Question, Response, Server};

use crate::http::endpoint::{Answer, Reply, Request};

/// `GET /_matrix/federation/v1/version`
pub async fn get(_: Request<Question>) -> Answer<Response> {
    let mut server = Server::new();
    server.name = Some("Commonroom".to_owned());
    server.version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let mut response = Response::new();
    response.server = Some(server);
    Ok(Reply(response))
}
