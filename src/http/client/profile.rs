//! What users show of themselves: "Profiles" in the client-server specification.

use axum::extract::State;
use ruma::{
    api::client::profile::{delete_profile_field, get_profile, get_profile_field, set_profile_field},
    profile::ProfileFieldValue,
};

use crate::{
    delivery::Bridges,
    error::Error,
    http::{
        authenticate::{Caller, MaybeService},
        endpoint::{Answer, Reply, Request},
    },
    users::Profiles,
};

pub async fn get(
    State(profiles): State<Profiles>,
    State(bridges): State<Bridges>,
    service: MaybeService,
    Request(request): Request<get_profile::v3::Request>,
) -> Answer<get_profile::v3::Response> {
    bridges.ask_for_user(&request.user_id, service.found().as_deref()).await?.require_answer()?;
    let mut response = get_profile::v3::Response::new();
    response.data = profiles.get(&request.user_id).await?;
    Ok(Reply(response))
}

pub async fn get_field(
    State(profiles): State<Profiles>,
    State(bridges): State<Bridges>,
    service: MaybeService,
    Request(request): Request<get_profile_field::v3::Request>,
) -> Answer<get_profile_field::v3::Response> {
    bridges.ask_for_user(&request.user_id, service.found().as_deref()).await?.require_answer()?;
    let profile = profiles.get(&request.user_id).await?;
    let missing = || Error::not_found("The profile has no such field.");
    let value = profile.get(request.field.as_str()).ok_or_else(missing)?;
    let value = ProfileFieldValue::new(request.field.as_str(), value.clone()).map_err(Error::internal)?;
    Ok(Reply(get_profile_field::v3::Response::new(value)))
}

pub async fn set_field(
    State(profiles): State<Profiles>,
    caller: Caller,
    Request(request): Request<set_profile_field::v3::Request>,
) -> Answer<set_profile_field::v3::Response> {
    caller.require_self(&request.user_id)?;
    profiles.set(&caller.user_id, &request.value).await?;
    Ok(Reply(set_profile_field::v3::Response::new()))
}

pub async fn delete_field(
    State(profiles): State<Profiles>,
    caller: Caller,
    Request(request): Request<delete_profile_field::v3::Request>,
) -> Answer<delete_profile_field::v3::Response> {
    caller.require_self(&request.user_id)?;
    profiles.remove(&caller.user_id, &request.field).await?;
    Ok(Reply(delete_profile_field::v3::Response::new()))
}
