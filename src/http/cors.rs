//! Lets web clients from anywhere use the API, as "Web Browser Clients" in the client-server specification asks.

use axum::{
    extract::Request,
    http::{
        HeaderValue, Method,
        header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Puts the headers on every answer, errors included, and answers `OPTIONS` itself on every path.
pub async fn allow_web_clients(request: Request, next: Next) -> Response {
    let mut response = match *request.method() {
        Method::OPTIONS => ().into_response(),
        _ => next.run(request).await,
    };
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "X-Requested-With, Content-Type, Authorization"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
