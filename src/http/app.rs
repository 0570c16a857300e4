//! What the handlers are served from: every service once, and how each is picked out by its type.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::clock::Clock;

/// The services the handlers name in their signatures, shared by all requests.
///
/// A handler cannot see this: it asks for `State<Service>` and gets that one.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The services, built and handed over by the server.
pub struct Parts {
    /// The current time.
    pub clock: Clock,
}

impl App {
    /// Shares `parts` with the handlers.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl FromRef<App> for Clock {
    fn from_ref(app: &App) -> Self {
        app.0.clock.clone()
    }
}
