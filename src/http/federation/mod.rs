//! What this server answers to other servers. There is no federation yet: only its version and its keys can be asked for.

mod keys;
mod version;

use axum::Router;

use super::{app::App, routing::Endpoints as _};

/// The parts of the server-server API that there are.
pub fn routes() -> Router<App> {
    Router::new()
        // Server implementation
        .endpoint(version::get)
        // Retrieving server keys
        .endpoint(keys::own)
        .endpoint(keys::of)
        .endpoint(keys::of_many)
}
