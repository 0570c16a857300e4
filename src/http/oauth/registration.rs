//! `POST /oauth2/register`: a client says what it is ("Dynamic client registration flow").

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderValue, StatusCode, header::CACHE_CONTROL},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::failure::Failure;
use crate::{
    error::Error,
    http::{
        client_address::ClientAddress,
        json::Json,
        rate_limit::{Limit, RateLimits},
    },
    matrix::oauth::{ClientMetadata, ErrorCode},
    users::OAuth,
};

pub async fn register(
    State(rate_limits): State<RateLimits>,
    State(oauth): State<OAuth>,
    ClientAddress(address): ClientAddress,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    rate_limits.spend(Limit::Registration, address)?;
    let unreadable = || ErrorCode::InvalidClientMetadata.with("the body is no JSON, or too long");
    let sent: Value = serde_json::from_slice(&body.map_err(|_| unreadable())?).map_err(|_| unreadable())?;
    let metadata = ClientMetadata::read(sent)?;
    let client_id = oauth.register(&metadata).await?;
    let mut answer = serde_json::to_value(&metadata).map_err(Error::internal)?;
    answer["client_id"] = json!(client_id);
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(answer)).into_response())
}
