//! What users show of themselves: "Profiles" in the client-server specification.

use axum::extract::State;
use ruma::{
    api::{
        IncomingRequest, Metadata,
        client::profile::{delete_profile_field, get_profile, get_profile_field, set_profile_field},
        error::DeserializationError,
    },
    exports::http,
    profile::ProfileFieldValue,
    serde::JsonObject,
};

use crate::{
    delivery::Bridges,
    error::{Error, Kind, Result},
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
    Request(request): Request<FieldToSet>,
) -> Answer<set_profile_field::v3::Response> {
    caller.require_self(&request.place.user_id)?;
    profiles.set(&caller.user_id, &request.value()?).await?;
    Ok(Reply(set_profile_field::v3::Response::new()))
}

/// A request to set a field, whose body may lack it: the specification has an error for that, and ruma 0.17 has none.
pub struct FieldToSet {
    /// Whose field it is, and its name.
    place: get_profile_field::v3::Request,
    body: JsonObject,
}

impl FieldToSet {
    /// The field with its value.
    ///
    /// # Errors
    ///
    /// `MissingParam` if it is not in the body, `BadJson` if something else is there, or if it cannot have this value.
    fn value(self) -> Result<ProfileFieldValue> {
        let (name, mut body) = (self.place.field.as_str(), self.body);
        let value = body.remove(name).ok_or_else(|| {
            Kind::MissingParam.with("The body must have the field that the path names, with its new value.")
        })?;
        if !body.is_empty() {
            return Err(Kind::BadJson.with("The body must have the field that the path names and nothing else."));
        }
        ProfileFieldValue::new(name, value)
            .map_err(|cause| Kind::BadJson.with(format!("This cannot be the value of this field: {cause}.")))
    }
}

impl Metadata for FieldToSet {
    const METHOD: http::Method = set_profile_field::v3::Request::METHOD;
    const RATE_LIMITED: bool = set_profile_field::v3::Request::RATE_LIMITED;
    type Authentication = <set_profile_field::v3::Request as Metadata>::Authentication;
    type PathBuilder = <set_profile_field::v3::Request as Metadata>::PathBuilder;
    const PATH_BUILDER: Self::PathBuilder = set_profile_field::v3::Request::PATH_BUILDER;
}

impl IncomingRequest for FieldToSet {
    type EndpointError = <set_profile_field::v3::Request as IncomingRequest>::EndpointError;
    type OutgoingResponse = <set_profile_field::v3::Request as IncomingRequest>::OutgoingResponse;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let (head, body) = request.into_parts();
        // The request that reads a field has the same path.
        let head = http::Request::from_parts(head, &b""[..]);
        let place = get_profile_field::v3::Request::try_from_http_request_inner(head, path_args)?;
        Ok(Self { place, body: serde_json::from_slice(body)? })
    }
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
