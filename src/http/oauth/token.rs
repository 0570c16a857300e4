//! `POST /oauth2/token` and `POST /oauth2/revoke`: how a client gets its tokens, and how they end.

use std::net::IpAddr;

use axum::{
    extract::State,
    http::{HeaderValue, header::CACHE_CONTROL},
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::{failure::Failure, form::Form};
use crate::{
    http::{
        client_address::ClientAddress,
        json::Json,
        rate_limit::{Limit, RateLimits},
    },
    matrix::oauth::ErrorCode,
    users::{CodeExchange, OAuth, OAuthFailure, OAuthGrant},
};

pub async fn token(
    State(rate_limits): State<RateLimits>,
    State(oauth): State<OAuth>,
    ClientAddress(address): ClientAddress,
    form: Form,
) -> Result<Response, Failure> {
    let grant_type = form.require("grant_type")?;
    if !["authorization_code", "refresh_token"].contains(&grant_type) {
        return Err(ErrorCode::UnsupportedGrantType.with("grant_type is not one that the metadata names").into());
    }
    let client_id = form.require("client_id")?;
    if oauth.client(client_id).await?.is_none() {
        count_wrong_guess(&rate_limits, address);
        return Err(ErrorCode::InvalidClient.with("there is no such client: register it again").into());
    }
    let granted = match grant_type {
        "refresh_token" => oauth.refresh(client_id, form.require("refresh_token")?).await,
        _ => {
            let exchange = CodeExchange {
                code: form.require("code")?,
                client_id,
                redirect_uri: form.require("redirect_uri")?,
                verifier: form.require("code_verifier")?,
            };
            oauth.exchange(exchange).await
        }
    };
    let granted = granted.inspect_err(|failure| {
        if matches!(failure, OAuthFailure::Refused(_)) {
            count_wrong_guess(&rate_limits, address);
        }
    })?;
    Ok(answer(granted))
}

pub async fn revoke(
    State(rate_limits): State<RateLimits>,
    State(oauth): State<OAuth>,
    ClientAddress(address): ClientAddress,
    form: Form,
) -> Result<Json<serde_json::Value>, Failure> {
    // Which client it is does not matter, so that whoever finds a token somewhere can end it.
    if oauth.revoke(form.require("token")?).await?.is_none() {
        count_wrong_guess(&rate_limits, address);
    }
    Ok(Json(json!({})))
}

/// Only what is wrong counts, since every client of a household asks from one address.
fn count_wrong_guess(rate_limits: &RateLimits, address: IpAddr) {
    let _ = rate_limits.spend(Limit::Login, address);
}

fn answer(OAuthGrant { grant, scope }: OAuthGrant) -> Response {
    let body = json!({
        "access_token": grant.access_token.reveal(),
        "token_type": "Bearer",
        "expires_in": grant.expires_in.map(|lifetime| lifetime.as_secs()),
        "refresh_token": grant.refresh_token.map(|token| token.reveal()),
        "scope": scope,
    });
    ([(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body)).into_response()
}
