//! The edge: the only place that knows axum, statuses and errcodes. A handler decodes, asks one service, and encodes.

mod app;
pub mod authenticate;
mod client;
pub mod client_address;
mod cors;
mod email_confirmation;
pub mod endpoint;
mod entity_tag;
mod error_response;
mod federation;
mod json;
mod leftover;
mod oauth;
mod password_check;
mod permission;
pub mod rate_limit;
pub mod reauthentication;
mod request_log;
pub mod routing;
pub mod streamed;
pub mod web_client;

use std::any::Any;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    middleware::from_fn,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tower_http::catch_panic::CatchPanicLayer;

pub use self::app::{App, Parts};
use self::json::Json;
use crate::{
    error::{Error, Kind, Result},
    storage::Store,
};

/// Everything the server answers, wrapped in what holds for every answer.
pub fn router(app: App) -> Router {
    let mut routes = Router::new()
        .route("/health", get(health))
        .merge(client::routes())
        .merge(email_confirmation::routes())
        .merge(federation::routes())
        .fallback(web_client::answer);
    if app.has_oauth() {
        routes = routes.merge(oauth::routes());
    }
    wrap(routes, app.max_body_size()).with_state(app)
}

fn wrap<S: Clone + Send + Sync + 'static>(routes: Router<S>, max_body_size: usize) -> Router<S> {
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(max_body_size))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(leftover::read_to_the_end))
        .layer(from_fn(cors::allow_web_clients))
        .layer(from_fn(request_log::record))
}

/// Says that the server is up and can read its store.
async fn health(State(store): State<Store>) -> Result<Json<Value>> {
    store.check().await?;
    Ok(Json(json!({"status": "ok"})))
}

async fn unrecognized() -> Error {
    Kind::Unrecognized.with("There is no such endpoint on this server.")
}

async fn method_not_allowed() -> Error {
    Kind::MethodNotAllowed.with("This endpoint does not answer to this HTTP method.")
}

/// A handler that panics is a bug of ours, which must not look like a broken connection to its client.
fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let cause = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("a value that is no text");
    Error::internal(format!("a handler panicked: {cause}")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::{Request, StatusCode},
    };
    use tower::ServiceExt as _;

    use super::*;

    async fn fail() -> Error {
        panic!("deliberately")
    }

    async fn succeed() -> Json<Value> {
        Json(json!({}))
    }

    async fn ask(method: &str, path: &str) -> (Response, Value) {
        let routes: Router = Router::new().route("/works", get(succeed)).route("/panics", get(fail));
        let routes = routes.fallback(unrecognized);
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (head, body) = wrap(routes, 1_000).oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 10_000).await.unwrap();
        let value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        (Response::from_parts(head, Body::empty()), value)
    }

    #[tokio::test]
    async fn unknown_paths_and_methods_are_told_apart_in_json() {
        let (response, body) = ask("GET", "/unknown").await;
        assert_eq!((response.status(), &body["errcode"]), (StatusCode::NOT_FOUND, &"M_UNRECOGNIZED".into()));
        let (response, body) = ask("PUT", "/works").await;
        assert_eq!((response.status(), &body["errcode"]), (StatusCode::METHOD_NOT_ALLOWED, &"M_UNRECOGNIZED".into()));
    }

    #[tokio::test]
    async fn every_answer_lets_web_clients_in_and_has_an_id() {
        for (method, path) in [("GET", "/works"), ("PUT", "/works"), ("GET", "/unknown"), ("GET", "/panics")] {
            let (response, _) = ask(method, path).await;
            assert_eq!(response.headers()["access-control-allow-origin"], "*", "{method} {path}");
            assert!(response.headers()["access-control-allow-headers"].to_str().unwrap().contains("Authorization"));
            assert_eq!(response.headers()["x-request-id"].len(), 16);
        }
    }

    #[tokio::test]
    async fn options_succeeds_on_every_path() {
        for path in ["/works", "/panics", "/unknown"] {
            let (response, body) = ask("OPTIONS", path).await;
            assert_eq!((response.status(), body), (StatusCode::OK, Value::Null), "{path}");
            assert_eq!(response.headers()["access-control-allow-origin"], "*");
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_json_error_that_tells_nothing() {
        let (response, body) = ask("GET", "/panics").await;
        assert_eq!((response.status(), &body["errcode"]), (StatusCode::INTERNAL_SERVER_ERROR, &"M_UNKNOWN".into()));
        assert!(!body.to_string().contains("deliberately"));
    }

    #[tokio::test]
    async fn head_answers_as_get_does() {
        assert_eq!(ask("HEAD", "/works").await.0.status(), StatusCode::OK);
    }
}
