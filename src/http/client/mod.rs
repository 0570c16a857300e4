//! Every route of the client-server API on one page, in the order of the specification's sections.

mod discovery;

use axum::Router;

use super::{app::App, routing::Endpoints as _};

/// The client-server API.
pub fn routes() -> Router<App> {
    Router::new()
        // Server discovery
        .endpoint(discovery::homeserver)
        .endpoint(discovery::support)
        .endpoint(discovery::versions)
        // Capabilities negotiation
        .endpoint(discovery::capabilities)
}
