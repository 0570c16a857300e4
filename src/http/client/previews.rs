//! What links lead to: "URL previews" in the content repository of the client-server specification.

use axum::extract::State;
use ruma::api::client::{authenticated_media::get_media_preview, media};

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
    media::Previews,
};

pub async fn get(
    State(previews): State<Previews>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<get_media_preview::v1::Request>,
) -> Answer<get_media_preview::v1::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    Ok(Reply(get_media_preview::v1::Response::from_raw_value(previews.of(&request.url).await?)))
}

/// The same under its older path, which also needs an access token.
#[expect(deprecated, reason = "older clients ask here")]
pub async fn get_by_older_path(
    State(previews): State<Previews>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<media::get_media_preview::v3::Request>,
) -> Answer<media::get_media_preview::v3::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    Ok(Reply(media::get_media_preview::v3::Response::from_raw_value(previews.of(&request.url).await?)))
}
