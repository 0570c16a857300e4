//! Routes from what ruma knows about each endpoint: its method and every path it ever had.

use axum::{
    Router,
    handler::Handler,
    routing::{MethodFilter, on},
};
use ruma::api::{IncomingRequest, Metadata as _, path_builder::PathBuilder as _};

use super::{endpoint::Request, streamed::Streamed};

/// Adds endpoints to a router by their handlers alone.
pub trait Endpoints<S> {
    /// Routes the method and all paths of the endpoint whose request `handler` takes as its last argument, r0 included.
    ///
    /// # Panics
    ///
    /// If a path of this endpoint was added with the same method before.
    #[must_use]
    fn endpoint<H: Handler<T, S>, T: Serves + 'static>(self, handler: H) -> Self;

    /// As [`Endpoints::endpoint`], and once more without the path's last placeholder, whose value is then empty: a state
    /// key that is empty may be left off, with or without the slash before it.
    #[must_use]
    fn endpoint_with_optional_end<H: Handler<T, S>, T: Serves + 'static>(self, handler: H) -> Self;
}

/// The arguments of a handler whose last one is the request of an endpoint.
pub trait Serves {
    /// The ruma request type of the endpoint.
    type Endpoint: IncomingRequest;
}

/// The request of an endpoint as the last argument of its handler.
pub trait LastArgument {
    /// The ruma request type of the endpoint.
    type Endpoint: IncomingRequest;
}

impl<R: IncomingRequest> LastArgument for Request<R> {
    type Endpoint = R;
}

impl<R: IncomingRequest> LastArgument for Streamed<R> {
    type Endpoint = R;
}

impl<S: Clone + Send + Sync + 'static> Endpoints<S> for Router<S> {
    fn endpoint<H: Handler<T, S>, T: Serves + 'static>(self, handler: H) -> Self {
        paths::<T>().fold(self, |router, path| router.route(path, on(method::<T>(), handler.clone())))
    }

    fn endpoint_with_optional_end<H: Handler<T, S>, T: Serves + 'static>(self, handler: H) -> Self {
        let shorter = paths::<T>().filter_map(|path| path.rsplit_once('/')).fold(self, |router, (start, _)| {
            router
                .route(start, on(method::<T>(), handler.clone()))
                .route(&format!("{start}/"), on(method::<T>(), handler.clone()))
        });
        shorter.endpoint(handler)
    }
}

/// The endpoint's paths; ruma and axum write placeholders the same way, `{like_this}`.
fn paths<T: Serves>() -> impl Iterator<Item = &'static str> {
    T::Endpoint::PATH_BUILDER.all_paths().collect::<Vec<_>>().into_iter()
}

fn method<T: Serves>() -> MethodFilter {
    T::Endpoint::METHOD.try_into().expect("every method of the specification is one axum routes")
}

// The first type of each tuple is axum's own marker of how the last argument is extracted.

impl<M, L: LastArgument> Serves for (M, L) {
    type Endpoint = L::Endpoint;
}

impl<M, A, L: LastArgument> Serves for (M, A, L) {
    type Endpoint = L::Endpoint;
}

impl<M, A, B, L: LastArgument> Serves for (M, A, B, L) {
    type Endpoint = L::Endpoint;
}

impl<M, A, B, C, L: LastArgument> Serves for (M, A, B, C, L) {
    type Endpoint = L::Endpoint;
}

impl<M, A, B, C, D, L: LastArgument> Serves for (M, A, B, C, D, L) {
    type Endpoint = L::Endpoint;
}

impl<M, A, B, C, D, E, L: LastArgument> Serves for (M, A, B, C, D, E, L) {
    type Endpoint = L::Endpoint;
}

impl<M, A, B, C, D, E, F, L: LastArgument> Serves for (M, A, B, C, D, E, F, L) {
    type Endpoint = L::Endpoint;
}
