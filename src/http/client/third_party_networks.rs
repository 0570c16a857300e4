//! Networks that application services lead to: "Third-party Networks" in the client-server specification.

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::api::client::thirdparty::{
    get_location_for_protocol, get_location_for_room_alias, get_protocol, get_protocols, get_user_for_protocol,
    get_user_for_user_id,
};
use serde_json::{Map, Value};

use crate::{
    delivery::{Bridges, appservices::Sought},
    error::Result,
    http::{authenticate::Caller, endpoint::Request, json::Json},
};

pub async fn protocols(
    State(bridges): State<Bridges>,
    _: Caller,
    _: Request<get_protocols::v3::Request>,
) -> Json<Map<String, Value>> {
    Json(bridges.networks().await)
}

pub async fn protocol(
    State(bridges): State<Bridges>,
    _: Caller,
    Request(request): Request<get_protocol::v3::Request>,
) -> Result<Json<Value>> {
    bridges.network(&request.protocol).await.map(Json)
}

pub async fn locations(
    State(bridges): State<Bridges>,
    _: Caller,
    Request(request): Request<get_location_for_protocol::v3::Request>,
) -> Result<Json<Vec<Value>>> {
    let fields = without_credentials(request.fields);
    bridges.search(Sought::Locations, &request.protocol, &fields).await.map(Json)
}

pub async fn users(
    State(bridges): State<Bridges>,
    _: Caller,
    Request(request): Request<get_user_for_protocol::v3::Request>,
) -> Result<Json<Vec<Value>>> {
    let fields = without_credentials(request.fields);
    bridges.search(Sought::Users, &request.protocol, &fields).await.map(Json)
}

pub async fn locations_of_alias(
    State(bridges): State<Bridges>,
    _: Caller,
    Request(request): Request<get_location_for_room_alias::v3::Request>,
) -> Json<Vec<Value>> {
    Json(bridges.locations_of(&request.alias).await)
}

pub async fn users_of_id(
    State(bridges): State<Bridges>,
    _: Caller,
    Request(request): Request<get_user_for_user_id::v3::Request>,
) -> Json<Vec<Value>> {
    Json(bridges.people_behind(&request.userid).await)
}

/// The fields without what is for this server, above all a token that must not leave it.
fn without_credentials(fields: BTreeMap<String, String>) -> Vec<(String, String)> {
    let ours = ["access_token", "user_id", "device_id", "org.matrix.msc3202.device_id"];
    fields.into_iter().filter(|(name, _)| !ours.contains(&name.as_str())).collect()
}
