//! Joins with content of the client's own. The specification does not mention it, but clients have come to rely on it:
//! what they add to the body of the request shows in the member event.

use ruma::{
    api::{IncomingRequest, Metadata, error::DeserializationError},
    exports::http,
    serde::JsonObject,
};

/// The request of an endpoint together with its whole body.
pub struct WithContent<R> {
    /// The request.
    pub request: R,
    /// The body.
    pub content: JsonObject,
}

impl<R: IncomingRequest> Metadata for WithContent<R> {
    const METHOD: http::Method = R::METHOD;
    const RATE_LIMITED: bool = R::RATE_LIMITED;
    type Authentication = R::Authentication;
    type PathBuilder = R::PathBuilder;
    const PATH_BUILDER: Self::PathBuilder = R::PATH_BUILDER;
}

impl<R: IncomingRequest> IncomingRequest for WithContent<R> {
    type EndpointError = R::EndpointError;
    type OutgoingResponse = R::OutgoingResponse;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        let content = serde_json::from_slice(request.body())?;
        Ok(Self { request: R::try_from_http_request_inner(request, path_args)?, content })
    }
}
