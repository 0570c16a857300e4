//! What a user's clients keep for each other: "Client Config" and "Room Tagging" in the client-server specification.

use axum::extract::{Path, State, rejection::PathRejection};
use ruma::{
    OwnedRoomId, OwnedUserId, RoomId,
    api::client::{
        config::{get_global_account_data, get_room_account_data, set_global_account_data, set_room_account_data},
        tag::{create_tag, delete_tag, get_tags},
    },
    serde::{JsonObject, Raw},
};
use serde_json::value::RawValue;

use crate::{
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
    },
    users::{AccountData, Tags},
};

pub async fn get_global(
    State(account_data): State<AccountData>,
    caller: Caller,
    Request(request): Request<get_global_account_data::v3::Request>,
) -> Answer<get_global_account_data::v3::Response> {
    caller.require_self(&request.user_id)?;
    let content = read(&account_data, &caller, None, &request.event_type.to_string()).await?;
    Ok(Reply(get_global_account_data::v3::Response::new(Raw::from_json(content))))
}

pub async fn set_global(
    State(account_data): State<AccountData>,
    caller: Caller,
    Request(request): Request<set_global_account_data::v3::Request>,
) -> Answer<set_global_account_data::v3::Response> {
    caller.require_self(&request.user_id)?;
    let kind = request.event_type.to_string();
    account_data.set(&caller.user_id, None, &kind, request.data.into_json()).await?;
    Ok(Reply(set_global_account_data::v3::Response::new()))
}

pub async fn get_of_room(
    State(account_data): State<AccountData>,
    caller: Caller,
    Request(request): Request<get_room_account_data::v3::Request>,
) -> Answer<get_room_account_data::v3::Response> {
    caller.require_self(&request.user_id)?;
    let content = read(&account_data, &caller, Some(&request.room_id), &request.event_type.to_string()).await?;
    Ok(Reply(get_room_account_data::v3::Response::new(Raw::from_json(content))))
}

pub async fn set_of_room(
    State(account_data): State<AccountData>,
    caller: Caller,
    Request(request): Request<set_room_account_data::v3::Request>,
) -> Answer<set_room_account_data::v3::Response> {
    caller.require_self(&request.user_id)?;
    let kind = request.event_type.to_string();
    account_data.set(&caller.user_id, Some(&request.room_id), &kind, request.data.into_json()).await?;
    Ok(Reply(set_room_account_data::v3::Response::new()))
}

/// `DELETE /_matrix/client/unstable/org.matrix.msc3391/user/{userId}/account_data/{type}`, for which ruma has no type.
pub async fn delete_global(
    State(account_data): State<AccountData>,
    caller: Caller,
    path: Result<Path<(OwnedUserId, String)>, PathRejection>,
) -> Result<Json<JsonObject>> {
    let Path((user, kind)) = path.map_err(no_such_data)?;
    caller.require_self(&user)?;
    account_data.remove(&user, None, &kind).await?;
    Ok(Json(JsonObject::new()))
}

/// `DELETE /_matrix/client/unstable/org.matrix.msc3391/user/{userId}/rooms/{roomId}/account_data/{type}`
pub async fn delete_of_room(
    State(account_data): State<AccountData>,
    caller: Caller,
    path: Result<Path<(OwnedUserId, OwnedRoomId, String)>, PathRejection>,
) -> Result<Json<JsonObject>> {
    let Path((user, room, kind)) = path.map_err(no_such_data)?;
    caller.require_self(&user)?;
    account_data.remove(&user, Some(&room), &kind).await?;
    Ok(Json(JsonObject::new()))
}

fn no_such_data(_: PathRejection) -> Error {
    Error::invalid("The path names no user's account data.")
}

async fn read(account_data: &AccountData, caller: &Caller, room: Option<&RoomId>, kind: &str) -> Result<Box<RawValue>> {
    let content = account_data.current(&caller.user_id, room, kind).await?;
    content.ok_or_else(|| Error::not_found("You have no account data of this type."))
}

pub async fn tags(
    State(tags): State<Tags>,
    caller: Caller,
    Request(request): Request<get_tags::v3::Request>,
) -> Answer<get_tags::v3::Response> {
    caller.require_self(&request.user_id)?;
    Ok(Reply(get_tags::v3::Response::new(tags.of(&caller.user_id, &request.room_id).await?)))
}

pub async fn set_tag(
    State(tags): State<Tags>,
    caller: Caller,
    Request(request): Request<create_tag::v3::Request>,
) -> Answer<create_tag::v3::Response> {
    caller.require_self(&request.user_id)?;
    tags.set(&caller.user_id, &request.room_id, &request.tag, request.tag_info).await?;
    Ok(Reply(create_tag::v3::Response::new()))
}

pub async fn delete_tag(
    State(tags): State<Tags>,
    caller: Caller,
    Request(request): Request<delete_tag::v3::Request>,
) -> Answer<delete_tag::v3::Response> {
    caller.require_self(&request.user_id)?;
    tags.remove(&caller.user_id, &request.room_id, &request.tag).await?;
    Ok(Reply(delete_tag::v3::Response::new()))
}
