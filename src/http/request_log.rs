//! One id and one span for each request, so that the lines of the log that belong together can be found.
//!
//! The path is logged as its pattern, never with its values, query or headers: those hold tokens and people's names.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument as _, debug, error_span, field::Empty};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs the request inside its span, notes how it ended and tells the client its id, which a client cannot choose.
pub async fn record(request: Request, next: Next) -> Response {
    let id = format!("{:016x}", rand::random::<u64>());
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str);
    let span = error_span!("request", id, %method, path, user = Empty);
    async move {
        let started = Instant::now();
        let mut response = next.run(request).await;
        debug!(status = response.status().as_u16(), duration = ?started.elapsed(), "answered");
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
    .instrument(span)
    .await
}
