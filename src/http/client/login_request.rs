//! The body of `POST /login`, checked for what ruma's own type takes for granted.

use ruma::api::{IncomingRequest, Metadata, client::session::login, error::DeserializationError};
use serde::{Deserialize, de::IgnoredAny};

use login::v3::{Request, Response};

/// A login request whose body names its type. Without this check ruma 0.17 panics when there is no `type`.
pub struct LoginRequest(pub Request);

/// What is looked at before the rest.
#[derive(Deserialize)]
struct Type {
    #[serde(rename = "type")]
    _type: IgnoredAny,
}

impl Metadata for LoginRequest {
    const METHOD: ruma::exports::http::Method = Request::METHOD;
    const RATE_LIMITED: bool = Request::RATE_LIMITED;
    type Authentication = <Request as Metadata>::Authentication;
    type PathBuilder = <Request as Metadata>::PathBuilder;
    const PATH_BUILDER: Self::PathBuilder = Request::PATH_BUILDER;
}

impl IncomingRequest for LoginRequest {
    type EndpointError = <Request as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: ruma::exports::http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        serde_json::from_slice::<Type>(request.body())?;
        Request::try_from_http_request_inner(request, path_args).map(Self)
    }
}
