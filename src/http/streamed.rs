//! Requests whose body is not JSON and may be too large for memory: decoded but for the body, which comes as a stream.

use axum::{
    RequestExt as _,
    body::{Body, HttpBody as _},
    extract::{FromRequest, RawPathParams, Request as HttpRequest},
    http::{self, header::CONTENT_LENGTH},
};
use ruma::api::{IncomingRequest, IncomingRequestExt as _};

use super::endpoint::refusal;
use crate::error::{Error, Result};

/// The request of the endpoint `R`, whose own field for the body is empty, and the body.
///
/// The limit for the size of bodies does not hold here; whoever reads the body has to count.
pub struct Streamed<R> {
    /// The path, the query and the headers.
    pub request: R,
    /// How long the body will be, if the client says so.
    pub size: Option<u64>,
    /// The body as it comes.
    pub body: Body,
}

impl<R, S> FromRequest<S> for Streamed<R>
where
    R: IncomingRequest,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request(mut request: HttpRequest, _: &S) -> Result<Self> {
        let params = request.extract_parts::<RawPathParams>().await;
        let params = params.map_err(|_| Error::invalid("The path is not UTF-8 once it is percent-decoded."))?;
        let path_args: Vec<&str> = params.iter().map(|(_, value)| value).collect();

        let (parts, body) = request.into_parts();
        let claimed = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let size = body.size_hint().exact().or(claimed);
        let mut head = http::Request::new(&b""[..]);
        (*head.method_mut(), *head.uri_mut(), *head.headers_mut()) = (parts.method, parts.uri, parts.headers);
        let request = R::try_from_http_request(head, &path_args).map_err(|cause| refusal(cause, b""))?;
        Ok(Self { request, size, body })
    }
}
