//! How a refusal becomes an answer in the language of OAuth 2.0, which has other codes than Matrix and other fields.

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    error::{Error, Kind},
    http::json::Json,
    matrix::oauth::{ErrorCode, Refusal},
    users::OAuthFailure,
};

/// How long a client waits before it asks again for a locked account, in seconds.
const LOCKED_FOR: u64 = 60;

/// What a handler answers instead of what it was asked for.
pub struct Failure(OAuthFailure);

impl<T: Into<OAuthFailure>> From<T> for Failure {
    fn from(failure: T) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self.0 {
            OAuthFailure::Refused(refusal) => refused(&refusal),
            OAuthFailure::Failed(error) => failed(&error),
        }
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.code {
        ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    answer(status, refusal.code.as_str(), &refusal.description)
}

fn failed(error: &Error) -> Response {
    let (status, wait) = match &error.kind {
        Kind::LimitExceeded { retry_after } => {
            (StatusCode::TOO_MANY_REQUESTS, retry_after.as_millis().div_ceil(1_000) as u64)
        }
        // A client gives up its session when it is refused, but not when the server seems to be down. A locked account is to
        // keep its sessions.
        Kind::UserLocked => (StatusCode::SERVICE_UNAVAILABLE, LOCKED_FOR),
        _ => {
            tracing::error!(cause = %error.message, "a request failed");
            return answer(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "the server failed");
        }
    };
    let mut response = answer(status, ErrorCode::TemporarilyUnavailable.as_str(), &error.message);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait));
    response
}

fn answer(status: StatusCode, error: &str, description: &str) -> Response {
    let body = json!({"error": error, "error_description": description});
    (status, [(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn statuses() {
        let limit = Kind::LimitExceeded { retry_after: Duration::from_millis(1_200) };
        let table = [
            (Failure::from(ErrorCode::InvalidGrant.with("no")), 400, None),
            (Failure::from(ErrorCode::InvalidClient.with("no")), 401, None),
            (Failure::from(ErrorCode::InvalidRedirectUri.with("no")), 400, None),
            (Failure::from(limit.with("wait")), 429, Some("2")),
            (Failure::from(Kind::UserLocked.with("locked")), 503, Some("60")),
            (Failure::from(Error::internal("disk")), 500, None),
        ];
        for (failure, status, wait) in table {
            let response = failure.into_response();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers().get(RETRY_AFTER).map(|wait| wait.to_str().unwrap()), wait);
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        }
    }
}
