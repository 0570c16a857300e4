//! How an error becomes an HTTP answer: the one place that knows statuses and errcodes.

use axum::{
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use ruma::RoomVersionId;
use serde::Serialize;

use super::json::Json;
use crate::error::{Error, Kind};

/// The sentence a client reads instead of the cause when the server itself failed.
const INTERNAL_MESSAGE: &str = "The server failed to answer this request. The cause is in its log.";

/// The status and the errcode of each kind; see "Standard error response" in the client-server specification.
fn status_and_errcode(kind: &Kind) -> (StatusCode, &'static str) {
    match kind {
        Kind::Forbidden => (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
        Kind::MissingToken => (StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN"),
        Kind::UnknownToken { .. } => (StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN"),
        Kind::Unauthorized => (StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED"),
        Kind::Unrecognized => (StatusCode::NOT_FOUND, "M_UNRECOGNIZED"),
        Kind::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED"),
        Kind::NotFound => (StatusCode::NOT_FOUND, "M_NOT_FOUND"),
        Kind::UnknownPosition => (StatusCode::BAD_REQUEST, "M_UNKNOWN_POS"),
        Kind::NotJson => (StatusCode::BAD_REQUEST, "M_NOT_JSON"),
        Kind::BadJson => (StatusCode::BAD_REQUEST, "M_BAD_JSON"),
        Kind::InvalidParam => (StatusCode::BAD_REQUEST, "M_INVALID_PARAM"),
        Kind::InvalidSignature => (StatusCode::BAD_REQUEST, "M_INVALID_SIGNATURE"),
        Kind::MissingParam => (StatusCode::BAD_REQUEST, "M_MISSING_PARAM"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE"),
        Kind::LimitExceeded { .. } => (StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED"),
        Kind::NotYetUploaded => (StatusCode::GATEWAY_TIMEOUT, "M_NOT_YET_UPLOADED"),
        Kind::CannotOverwriteMedia => (StatusCode::CONFLICT, "M_CANNOT_OVERWRITE_MEDIA"),
        Kind::UnknownDevice => (StatusCode::BAD_REQUEST, "M_UNKNOWN_DEVICE"),
        Kind::NoUrl => (StatusCode::BAD_REQUEST, "M_URL_NOT_SET"),
        Kind::ConnectionFailed => (StatusCode::BAD_GATEWAY, "M_CONNECTION_FAILED"),
        Kind::ConnectionTimeout => (StatusCode::GATEWAY_TIMEOUT, "M_CONNECTION_TIMEOUT"),
        Kind::BadStatus { .. } => (StatusCode::BAD_GATEWAY, "M_BAD_STATUS"),
        // The specification names the status ("Querying" of application services) and no errcode.
        Kind::TimedOut => (StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN"),
        Kind::UserInUse => (StatusCode::BAD_REQUEST, "M_USER_IN_USE"),
        Kind::InvalidUsername => (StatusCode::BAD_REQUEST, "M_INVALID_USERNAME"),
        Kind::Exclusive => (StatusCode::BAD_REQUEST, "M_EXCLUSIVE"),
        Kind::WeakPassword => (StatusCode::BAD_REQUEST, "M_WEAK_PASSWORD"),
        Kind::AddressInUse => (StatusCode::BAD_REQUEST, "M_THREEPID_IN_USE"),
        Kind::AddressDenied => (StatusCode::FORBIDDEN, "M_THREEPID_DENIED"),
        Kind::AddressUnproven => (StatusCode::FORBIDDEN, "M_THREEPID_AUTH_FAILED"),
        Kind::MediumNotSupported => (StatusCode::BAD_REQUEST, "M_THREEPID_MEDIUM_NOT_SUPPORTED"),
        Kind::IdentityServerNotTrusted => (StatusCode::BAD_REQUEST, "M_SERVER_NOT_TRUSTED"),
        Kind::TokenIncorrect => (StatusCode::BAD_REQUEST, "M_TOKEN_INCORRECT"),
        Kind::SessionExpired => (StatusCode::BAD_REQUEST, "M_SESSION_EXPIRED"),
        Kind::UserDeactivated => (StatusCode::FORBIDDEN, "M_USER_DEACTIVATED"),
        Kind::UserLocked => (StatusCode::UNAUTHORIZED, "M_USER_LOCKED"),
        Kind::UserSuspended => (StatusCode::FORBIDDEN, "M_USER_SUSPENDED"),
        Kind::WrittenByServer => (StatusCode::METHOD_NOT_ALLOWED, "M_BAD_JSON"),
        Kind::GuestAccessForbidden => (StatusCode::FORBIDDEN, "M_GUEST_ACCESS_FORBIDDEN"),
        Kind::InviteBlocked => (StatusCode::FORBIDDEN, "M_INVITE_BLOCKED"),
        Kind::RoomInUse => (StatusCode::BAD_REQUEST, "M_ROOM_IN_USE"),
        Kind::BadAlias => (StatusCode::BAD_REQUEST, "M_BAD_ALIAS"),
        Kind::InvalidRoomState => (StatusCode::BAD_REQUEST, "M_INVALID_ROOM_STATE"),
        Kind::BadState => (StatusCode::FORBIDDEN, "M_BAD_STATE"),
        Kind::UnsupportedRoomVersion => (StatusCode::BAD_REQUEST, "M_UNSUPPORTED_ROOM_VERSION"),
        Kind::IncompatibleRoomVersion(_) => (StatusCode::BAD_REQUEST, "M_INCOMPATIBLE_ROOM_VERSION"),
        Kind::CannotLeaveServerNoticeRoom => (StatusCode::FORBIDDEN, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"),
        Kind::ProfileTooLarge => (StatusCode::BAD_REQUEST, "M_PROFILE_TOO_LARGE"),
        Kind::KeyTooLarge => (StatusCode::BAD_REQUEST, "M_KEY_TOO_LARGE"),
        Kind::WrongRoomKeysVersion { .. } => (StatusCode::FORBIDDEN, "M_WRONG_ROOM_KEYS_VERSION"),
        Kind::DuplicateAnnotation => (StatusCode::BAD_REQUEST, "M_DUPLICATE_ANNOTATION"),
        Kind::NotInThread => (StatusCode::BAD_REQUEST, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD"),
        Kind::ConflictingUnsubscription => (StatusCode::CONFLICT, "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION"),
        // The body says which steps are left, so that its errcode, if it has one, is that of the step that failed.
        Kind::InteractiveAuth(_) => (StatusCode::UNAUTHORIZED, "M_FORBIDDEN"),
        // The specification gives 409 with M_UNKNOWN to an alias that exists already.
        Kind::Conflict => (StatusCode::CONFLICT, "M_UNKNOWN"),
        Kind::Unknown => (StatusCode::BAD_REQUEST, "M_UNKNOWN"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN"),
    }
}

/// The errcode of a failure that is told inside an answer which is otherwise a success.
pub(super) fn errcode(kind: &Kind) -> &'static str {
    status_and_errcode(kind).1
}

/// The body of a standard error response with the fields that single errcodes add.
#[derive(Serialize)]
struct ErrorBody<'a> {
    errcode: &'static str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    soft_logout: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_version: Option<&'a RoomVersionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
}

impl<'a> ErrorBody<'a> {
    /// With nothing but what every error response has.
    fn new(errcode: &'static str, error: &'a str) -> Self {
        Self {
            errcode,
            error,
            soft_logout: None,
            retry_after_ms: None,
            room_version: None,
            current_version: None,
            status: None,
            body: None,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, errcode) = status_and_errcode(&self.kind);
        let mut body = ErrorBody::new(errcode, &self.message);
        match &self.kind {
            Kind::InteractiveAuth(steps) => return (status, Json(steps)).into_response(),
            Kind::UnknownToken { soft_logout: true } | Kind::UserLocked => body.soft_logout = Some(true),
            Kind::LimitExceeded { retry_after } => {
                body.retry_after_ms = Some(retry_after.as_millis() as u64);
                // The header counts whole seconds: rounding down would invite a request that is refused again.
                let seconds = retry_after.as_millis().div_ceil(1000) as u64;
                return (status, [(RETRY_AFTER, HeaderValue::from(seconds))], Json(body)).into_response();
            }
            Kind::IncompatibleRoomVersion(version) => body.room_version = Some(version),
            Kind::WrongRoomKeysVersion { current } => body.current_version = Some(current),
            Kind::BadStatus { status, body: answered } => {
                (body.status, body.body) = (Some(*status), Some(answered.as_str()));
            }
            Kind::Internal => {
                tracing::error!(cause = %self.message, "a request failed");
                body.error = INTERNAL_MESSAGE;
            }
            _ => {}
        }
        (status, Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::to_bytes;
    use ruma::api::client::uiaa::UiaaInfo;
    use serde_json::{Value, json};

    use super::*;

    async fn answer(error: Error) -> (u16, Option<String>, Value) {
        let response = error.into_response();
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, retry_after, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn every_kind_has_its_status_and_errcode() {
        let table = [
            (Kind::Forbidden, 403, "M_FORBIDDEN"),
            (Kind::MissingToken, 401, "M_MISSING_TOKEN"),
            (Kind::UnknownToken { soft_logout: false }, 401, "M_UNKNOWN_TOKEN"),
            (Kind::Unauthorized, 401, "M_UNAUTHORIZED"),
            (Kind::Unrecognized, 404, "M_UNRECOGNIZED"),
            (Kind::MethodNotAllowed, 405, "M_UNRECOGNIZED"),
            (Kind::NotFound, 404, "M_NOT_FOUND"),
            (Kind::NotJson, 400, "M_NOT_JSON"),
            (Kind::BadJson, 400, "M_BAD_JSON"),
            (Kind::InvalidParam, 400, "M_INVALID_PARAM"),
            (Kind::InvalidSignature, 400, "M_INVALID_SIGNATURE"),
            (Kind::MissingParam, 400, "M_MISSING_PARAM"),
            (Kind::TooLarge, 413, "M_TOO_LARGE"),
            (Kind::LimitExceeded { retry_after: Duration::from_secs(1) }, 429, "M_LIMIT_EXCEEDED"),
            (Kind::NotYetUploaded, 504, "M_NOT_YET_UPLOADED"),
            (Kind::CannotOverwriteMedia, 409, "M_CANNOT_OVERWRITE_MEDIA"),
            (Kind::TimedOut, 408, "M_UNKNOWN"),
            (Kind::UserInUse, 400, "M_USER_IN_USE"),
            (Kind::InvalidUsername, 400, "M_INVALID_USERNAME"),
            (Kind::Exclusive, 400, "M_EXCLUSIVE"),
            (Kind::WeakPassword, 400, "M_WEAK_PASSWORD"),
            (Kind::AddressInUse, 400, "M_THREEPID_IN_USE"),
            (Kind::AddressDenied, 403, "M_THREEPID_DENIED"),
            (Kind::AddressUnproven, 403, "M_THREEPID_AUTH_FAILED"),
            (Kind::MediumNotSupported, 400, "M_THREEPID_MEDIUM_NOT_SUPPORTED"),
            (Kind::IdentityServerNotTrusted, 400, "M_SERVER_NOT_TRUSTED"),
            (Kind::TokenIncorrect, 400, "M_TOKEN_INCORRECT"),
            (Kind::SessionExpired, 400, "M_SESSION_EXPIRED"),
            (Kind::UserDeactivated, 403, "M_USER_DEACTIVATED"),
            (Kind::UserSuspended, 403, "M_USER_SUSPENDED"),
            (Kind::UserLocked, 401, "M_USER_LOCKED"),
            (Kind::WrittenByServer, 405, "M_BAD_JSON"),
            (Kind::GuestAccessForbidden, 403, "M_GUEST_ACCESS_FORBIDDEN"),
            (Kind::InviteBlocked, 403, "M_INVITE_BLOCKED"),
            (Kind::RoomInUse, 400, "M_ROOM_IN_USE"),
            (Kind::BadAlias, 400, "M_BAD_ALIAS"),
            (Kind::InvalidRoomState, 400, "M_INVALID_ROOM_STATE"),
            (Kind::BadState, 403, "M_BAD_STATE"),
            (Kind::UnsupportedRoomVersion, 400, "M_UNSUPPORTED_ROOM_VERSION"),
            (Kind::IncompatibleRoomVersion(RoomVersionId::V2), 400, "M_INCOMPATIBLE_ROOM_VERSION"),
            (Kind::CannotLeaveServerNoticeRoom, 403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"),
            (Kind::ProfileTooLarge, 400, "M_PROFILE_TOO_LARGE"),
            (Kind::KeyTooLarge, 400, "M_KEY_TOO_LARGE"),
            (Kind::WrongRoomKeysVersion { current: "2".to_owned() }, 403, "M_WRONG_ROOM_KEYS_VERSION"),
            (Kind::DuplicateAnnotation, 400, "M_DUPLICATE_ANNOTATION"),
            (Kind::NotInThread, 400, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD"),
            (Kind::ConflictingUnsubscription, 409, "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION"),
            (Kind::Conflict, 409, "M_UNKNOWN"),
            (Kind::Unknown, 400, "M_UNKNOWN"),
            (Kind::Internal, 500, "M_UNKNOWN"),
        ];
        for (kind, status, errcode) in table {
            let (got_status, _, body) = answer(kind.clone().with("A sentence.")).await;
            assert_eq!((got_status, body["errcode"].as_str()), (status, Some(errcode)), "{kind:?}");
            assert!(body["error"].is_string(), "{kind:?} says nothing");
        }
    }

    #[tokio::test]
    async fn a_soft_logout_is_said_only_when_it_is_one() {
        let (_, _, body) = answer(Kind::UnknownToken { soft_logout: true }.with("Log in again.")).await;
        assert_eq!(body, json!({"errcode": "M_UNKNOWN_TOKEN", "error": "Log in again.", "soft_logout": true}));
        let (_, _, body) = answer(Kind::UnknownToken { soft_logout: false }.with("Log in again.")).await;
        assert_eq!(body, json!({"errcode": "M_UNKNOWN_TOKEN", "error": "Log in again."}));
    }

    #[tokio::test]
    async fn a_limit_says_how_long_to_wait_in_both_ways() {
        let retry_after = Duration::from_millis(1_200);
        let (_, header, body) = answer(Kind::LimitExceeded { retry_after }.with("Too fast.")).await;
        assert_eq!(header.as_deref(), Some("2"));
        assert_eq!(body["retry_after_ms"], 1_200);
    }

    #[tokio::test]
    async fn an_incompatible_room_names_its_version() {
        let (_, _, body) = answer(Kind::IncompatibleRoomVersion(RoomVersionId::V2).with("Too old.")).await;
        assert_eq!(body["room_version"], "2");
    }

    #[tokio::test]
    async fn a_wrong_version_of_a_backup_is_told_the_current_one() {
        let (_, _, body) = answer(Kind::WrongRoomKeysVersion { current: "2".to_owned() }.with("Too old.")).await;
        assert_eq!(body["current_version"], "2");
    }

    #[tokio::test]
    async fn interactive_authentication_answers_with_its_steps() {
        let mut steps = UiaaInfo::new(Vec::new());
        steps.session = Some("abc".to_owned());
        let (status, _, body) = answer(Kind::InteractiveAuth(Box::new(steps)).with("Go on.")).await;
        assert_eq!((status, &body["session"]), (401, &json!("abc")));
        assert!(body["flows"].is_array());
    }

    #[tokio::test]
    async fn the_cause_of_an_internal_failure_stays_inside() {
        let (_, _, body) = answer(Error::internal("disk /var/secret is full")).await;
        assert_eq!(body["error"], INTERNAL_MESSAGE);
    }
}
