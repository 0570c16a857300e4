//! What bridges know of people and places in other networks
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#third-party-networks)). As long as there is no bridge, there are no
//! such networks.

use std::collections::BTreeMap;

use ruma::api::client::thirdparty::{
    get_location_for_protocol, get_location_for_room_alias, get_protocol, get_protocols, get_user_for_protocol,
    get_user_for_user_id,
};

use crate::{
    error::Error,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
};

/// `GET /thirdparty/protocols`
pub async fn protocols(_: Caller, _: Request<get_protocols::v3::Request>) -> Answer<get_protocols::v3::Response> {
    Ok(Reply(get_protocols::v3::Response::new(BTreeMap::new())))
}

/// `GET /thirdparty/protocol/{protocol}`
pub async fn protocol(_: Caller, _: Request<get_protocol::v3::Request>) -> Answer<get_protocol::v3::Response> {
    Err(no_such_network())
}

/// `GET /thirdparty/location/{protocol}`
pub async fn locations(
    _: Caller,
    _: Request<get_location_for_protocol::v3::Request>,
) -> Answer<get_location_for_protocol::v3::Response> {
    Err(no_such_network())
}

/// `GET /thirdparty/user/{protocol}`
pub async fn users(
    _: Caller,
    _: Request<get_user_for_protocol::v3::Request>,
) -> Answer<get_user_for_protocol::v3::Response> {
    Err(no_such_network())
}

/// `GET /thirdparty/location`
pub async fn locations_of_alias(
    _: Caller,
    _: Request<get_location_for_room_alias::v3::Request>,
) -> Answer<get_location_for_room_alias::v3::Response> {
    Ok(Reply(get_location_for_room_alias::v3::Response::new(Vec::new())))
}

/// `GET /thirdparty/user`
pub async fn users_of_id(
    _: Caller,
    _: Request<get_user_for_user_id::v3::Request>,
) -> Answer<get_user_for_user_id::v3::Response> {
    Ok(Reply(get_user_for_user_id::v3::Response::new(Vec::new())))
}

fn no_such_network() -> Error {
    Error::not_found("This server is connected to no such network.")
}
