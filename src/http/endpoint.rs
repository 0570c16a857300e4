//! The way from an HTTP request to a typed one and from a typed response back, the same for every endpoint.

use axum::{
    RequestExt as _,
    body::{Body, Bytes},
    extract::{FromRequest, RawPathParams, Request as HttpRequest, rejection::BytesRejection},
    http,
    response::{IntoResponse, Response},
};
use ruma::api::{
    IncomingRequest, IncomingRequestExt as _, OutgoingResponse, OutgoingResponseExt as _,
    error::{DeserializationError, FromHttpRequestError},
};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::error::{Error, Kind, Result};

/// The most levels of lists and objects in a body. Many a client's parser gives up beyond, and what one client stores here
/// is read by others.
const DEEPEST: usize = 128;

/// The decoded request of the endpoint `R`: its path, query, headers and JSON body.
///
/// An endpoint whose body is not JSON, such as an upload, takes a [`Streamed`](super::streamed::Streamed) instead.
pub struct Request<R>(pub R);

/// The decoded JSON body of an endpoint that ruma does not know.
pub struct JsonBody<T>(pub T);

/// The response of an endpoint, to be encoded.
pub struct Reply<R>(pub R);

/// What a handler returns: the endpoint's response or an error.
pub type Answer<R> = Result<Reply<R>>;

impl<R, S> FromRequest<S> for Request<R>
where
    R: IncomingRequest,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request(mut request: HttpRequest, state: &S) -> Result<Self> {
        let params = request.extract_parts::<RawPathParams>().await;
        let params = params.map_err(|_| Error::invalid("The path is not UTF-8 once it is percent-decoded."))?;
        let path_args: Vec<&str> = params.iter().map(|(_, value)| value).collect();

        // The body is read last and takes the request with it; these parts are what the conversion wants to see.
        let mut head = http::Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = std::mem::take(request.headers_mut());
        let body = match *head.method() {
            http::Method::GET | http::Method::HEAD => Bytes::new(),
            _ => body(request, state).await?,
        };

        R::try_from_http_request(head.map(|()| &*body), &path_args).map(Self).map_err(|cause| refusal(cause, &body))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Error;

    async fn from_request(request: HttpRequest, state: &S) -> Result<Self> {
        let body = body(request, state).await?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|cause| refusal(DeserializationError::Json(cause).into(), &body))
    }
}

impl<R: OutgoingResponse> IntoResponse for Reply<R> {
    fn into_response(self) -> Response {
        match self.0.try_into_http_response::<Vec<u8>>() {
            Ok(response) => response.map(Body::from),
            Err(cause) => Error::internal(cause).into_response(),
        }
    }
}

/// The whole body, which is a JSON object as far as its first character tells; `{}` if there is none.
async fn body<S: Send + Sync>(request: HttpRequest, state: &S) -> Result<Bytes> {
    let body = Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(cause) if cause.status() == http::StatusCode::PAYLOAD_TOO_LARGE => {
            Kind::TooLarge.with("The body of the request is larger than this server accepts.")
        }
        _ => Kind::Unknown.with("The body of the request did not arrive whole."),
    })?;
    match body.trim_ascii_start().first() {
        None => Ok(Bytes::from_static(b"{}")),
        // Some endpoints would skip unknown keys without a look at them, and what follows the object.
        Some(b'{') if is_json(&body) => match depth(&body) <= DEEPEST {
            true => Ok(body),
            false => Err(Kind::BadJson.with("The body of the request is nested more than 128 levels deep.")),
        },
        Some(_) if is_json(&body) => Err(Kind::BadJson.with("The body of the request must be a JSON object.")),
        Some(_) => Err(Kind::NotJson.with("The body of the request is not JSON in UTF-8.")),
    }
}

/// How deep lists and objects lie in each other in a text, if it is JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Says what is wrong with a request that has not the shape its endpoint asks for.
pub(super) fn refusal(cause: FromHttpRequestError, body: &[u8]) -> Error {
    let cause = match cause {
        FromHttpRequestError::Deserialization(cause) => cause,
        cause => return Error::internal(cause),
    };
    match cause {
        DeserializationError::Json(_) if !is_json(body) => {
            Kind::NotJson.with("The body of the request is not JSON in UTF-8.")
        }
        DeserializationError::Json(cause) => {
            Kind::BadJson.with(format!("The body of the request is not what this endpoint asks for: {cause}."))
        }
        // Path and query go through the same deserialiser; what can be missing is always in the query.
        DeserializationError::Query(cause) => {
            let cause = cause.to_string();
            let kind = if cause.starts_with("missing field") { Kind::MissingParam } else { Kind::InvalidParam };
            kind.with(format!("The path or the query of the request is not what this endpoint asks for: {cause}."))
        }
        cause => Error::invalid(format!("The request is not what this endpoint asks for: {cause}.")),
    }
}

fn is_json(body: &[u8]) -> bool {
    str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::to_bytes,
        extract::DefaultBodyLimit,
        http::{Method, StatusCode},
    };
    use ruma::{
        api::client::{
            message::{get_message_events, send_message_event},
            room::create_room,
            state::send_state_event,
        },
        event_id, room_id,
    };
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;
    use crate::http::routing::Endpoints as _;

    async fn create(Request(body): Request<create_room::v3::Request>) -> Answer<create_room::v3::Response> {
        match body.name.as_deref() {
            Some("forbidden") => Err(Error::forbidden("Not this name.")),
            _ => Ok(Reply(create_room::v3::Response::new(room_id!("!made:example.org").to_owned()))),
        }
    }

    /// Answers with what arrived in the place of the event id.
    async fn send(
        Request(event): Request<send_message_event::v3::Request>,
    ) -> Answer<send_message_event::v3::Response> {
        assert_eq!(event.room_id, "!a/b c:example.org");
        assert_eq!((event.event_type.to_string().as_str(), event.txn_id.as_str()), ("m.room.message", "1%2"));
        assert_eq!(event.body.json().get(), r#"{"body":"hi", "n": 1.0}"#);
        Ok(Reply(send_message_event::v3::Response::new(event_id!("$sent").to_owned())))
    }

    async fn set_state(
        Request(event): Request<send_state_event::v3::Request>,
    ) -> Answer<send_state_event::v3::Response> {
        assert_eq!(event.state_key, "");
        Ok(Reply(send_state_event::v3::Response::new(event_id!("$set").to_owned())))
    }

    async fn page(_: Request<get_message_events::v3::Request>) -> Answer<get_message_events::v3::Response> {
        Ok(Reply(get_message_events::v3::Response::default()))
    }

    async fn ask(method: Method, path: &str, body: impl Into<Vec<u8>>) -> (StatusCode, Value) {
        let router: Router = Router::new()
            .endpoint(create)
            .endpoint(send)
            .endpoint_with_optional_end(set_state)
            .endpoint(page)
            .layer(DefaultBodyLimit::max(200));
        let request = http::Request::builder().method(method).uri(path).body(Body::from(body.into())).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");
        let status = response.status();
        (status, serde_json::from_slice(&to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap())
    }

    async fn errcode_of_create(body: impl Into<Vec<u8>>) -> (u16, String) {
        let (status, answer) = ask(Method::POST, "/_matrix/client/v3/createRoom", body).await;
        (status.as_u16(), answer["errcode"].as_str().unwrap_or("none").to_owned())
    }

    #[tokio::test]
    async fn a_missing_body_is_an_empty_object() {
        for body in ["", " \n", "{}"] {
            let (status, answer) = ask(Method::POST, "/_matrix/client/v3/createRoom", body).await;
            assert_eq!((status, answer), (StatusCode::OK, json!({"room_id": "!made:example.org"})), "{body:?}");
        }
        let state = "/_matrix/client/v3/rooms/!r:example.org/state/m.room.name/";
        assert_eq!(ask(Method::PUT, state, "").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn what_is_not_json_and_what_is_the_wrong_json_are_told_apart() {
        for body in ["hello", "{", "{\"name\": \"a\",}", "{\"name\": 1, nonsense", "\u{1}"] {
            assert_eq!(errcode_of_create(body).await, (400, "M_NOT_JSON".to_owned()), "{body:?}");
        }
        assert_eq!(errcode_of_create(b"{ \"test\":\"a\x81\" }".as_slice()).await, (400, "M_NOT_JSON".to_owned()));
        for body in ["[]", "null", "\"name\"", "{\"name\": 1}", "{\"invite\": [\"nobody\"]}"] {
            assert_eq!(errcode_of_create(body).await, (400, "M_BAD_JSON".to_owned()), "{body:?}");
        }
    }

    #[test]
    fn the_depth_of_json_is_counted_outside_of_texts() {
        let cases =
            [("", 0), ("1", 0), ("{}", 1), (r#"{"a":[[],{}]}"#, 3), (r#"{"[{\"[[":"[[[\\"}"#, 1), ("[[]]]]]][", 2)];
        for (json, expected) in cases {
            assert_eq!(depth(json.as_bytes()), expected, "{json}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_deep_is_refused() {
        let nested = |levels| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        for (levels, status) in [(50, StatusCode::OK), (128, StatusCode::BAD_REQUEST)] {
            let router: Router = Router::new().endpoint(create);
            let request =
                http::Request::post("/_matrix/client/v3/createRoom").body(Body::from(nested(levels))).unwrap();
            assert_eq!(router.oneshot(request).await.unwrap().status(), status, "{levels} levels");
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let body = format!("{{\"name\": \"{}\"}}", "x".repeat(200));
        assert_eq!(errcode_of_create(body).await, (413, "M_TOO_LARGE".to_owned()));
    }

    #[tokio::test]
    async fn an_error_of_the_handler_is_the_answer() {
        assert_eq!(errcode_of_create("{\"name\": \"forbidden\"}").await, (403, "M_FORBIDDEN".to_owned()));
    }

    #[tokio::test]
    async fn path_values_are_decoded_once_and_the_body_is_kept_as_it_came() {
        for version in ["r0", "v3"] {
            let path = format!("/_matrix/client/{version}/rooms/!a%2Fb%20c:example.org/send/m.room.message/1%252");
            let (status, answer) = ask(Method::PUT, &path, r#"{"body":"hi", "n": 1.0}"#).await;
            assert_eq!((status, answer), (StatusCode::OK, json!({"event_id": "$sent"})));
        }
    }

    #[tokio::test]
    async fn an_empty_state_key_can_be_left_off() {
        for end in ["", "/"] {
            let path = format!("/_matrix/client/v3/rooms/!r:example.org/state/m.room.name{end}");
            assert_eq!(ask(Method::PUT, &path, "{}").await.0, StatusCode::OK, "{path}");
        }
    }

    #[tokio::test]
    async fn the_path_and_the_query_are_checked() {
        let cases = [
            ("/_matrix/client/v3/rooms/!r:example.org/messages", "M_MISSING_PARAM"),
            ("/_matrix/client/v3/rooms/!r:example.org/messages?dir=sideways", "M_INVALID_PARAM"),
            ("/_matrix/client/v3/rooms/!r:example.org/messages?dir=b&limit=many", "M_INVALID_PARAM"),
            ("/_matrix/client/v3/rooms/nonsense/messages?dir=b", "M_INVALID_PARAM"),
            ("/_matrix/client/v3/rooms/%ff/messages?dir=b", "M_INVALID_PARAM"),
        ];
        for (path, errcode) in cases {
            let (status, answer) = ask(Method::GET, path, "").await;
            assert_eq!((status.as_u16(), answer["errcode"].as_str()), (400, Some(errcode)), "{path}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_get_request_ignores_its_body() {
        let path = "/_matrix/client/v3/rooms/!r:example.org/messages?dir=b";
        assert_eq!(ask(Method::GET, path, "nonsense").await.0, StatusCode::OK);
    }
}
