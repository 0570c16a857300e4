//! The OAuth 2.0 API: the page on which people allow a client, and what clients ask for beside it. Only there if the
//! operator wants it.

mod authorisation;
mod failure;
mod form;
mod metadata;
mod page;
mod registration;
mod token;

use axum::{Router, extract::DefaultBodyLimit, routing::get, routing::post};

pub use self::metadata::server_metadata;
use super::app::App;
use crate::config::Config;

/// The largest body that any of these endpoints has a use for, in bytes.
const MAXIMUM_BODY: usize = 16 << 10;

const AUTHORISATION: &str = "/oauth2/authorize";
const TOKEN: &str = "/oauth2/token";
const REGISTRATION: &str = "/oauth2/register";
const REVOCATION: &str = "/oauth2/revoke";

/// The endpoints that the server's metadata names.
pub fn routes() -> Router<App> {
    Router::new()
        .route(AUTHORISATION, get(authorisation::ask).post(authorisation::answer))
        .route(TOKEN, post(token::token))
        .route(REGISTRATION, post(registration::register))
        .route(REVOCATION, post(token::revoke))
        .layer(DefaultBodyLimit::max(MAXIMUM_BODY))
}

/// Where clients and browsers reach this server, without a slash at the end.
fn public_url(config: &Config) -> String {
    config.well_known.client.clone().unwrap_or_else(|| format!("https://{}", config.server_name))
}

/// The name of this server among those that give out tokens.
fn issuer(config: &Config) -> String {
    format!("{}/", public_url(config))
}
