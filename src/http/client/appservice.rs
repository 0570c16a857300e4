//! What only application services ask for: "Client-Server API Extensions" in the application service specification.

use axum::extract::State;
use ruma::api::client::appservice::{request_ping, set_room_visibility};

use crate::{
    delivery::Bridges,
    error::Error,
    http::{
        authenticate::Service,
        endpoint::{Answer, Reply, Request},
    },
    rooms::Rooms,
};

pub async fn ping(
    State(bridges): State<Bridges>,
    Service(service): Service,
    Request(request): Request<request_ping::v1::Request>,
) -> Answer<request_ping::v1::Response> {
    if request.appservice_id != service.id {
        return Err(Error::forbidden("An application service can ask to be called itself only."));
    }
    let duration = bridges.ping(&service, request.transaction_id.as_deref()).await?;
    Ok(Reply(request_ping::v1::Response::new(duration)))
}

pub async fn set_network_visibility(
    State(rooms): State<Rooms>,
    Service(service): Service,
    Request(request): Request<set_room_visibility::v3::Request>,
) -> Answer<set_room_visibility::v3::Response> {
    let instance = (&*service.id, &*request.network_id);
    rooms.set_network_visibility(&request.room_id, instance, &request.visibility).await?;
    Ok(Reply(set_room_visibility::v3::Response::new()))
}
