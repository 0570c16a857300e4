//! Files and pictures: "Content repository" in the client-server specification.

use axum::{
    extract::State,
    http::{HeaderMap, Method},
    response::Response,
};
use ruma::{
    UInt,
    api::client::{
        authenticated_media::{get_content, get_content_as_filename, get_media_config},
        media::{
            create_content, create_content_async, create_mxc_uri, get_content as old_content,
            get_content_as_filename as old_content_as, get_media_config as old_media_config,
        },
    },
};

use serde_json::{Value, json};

use super::file_answer::{Asked, answer};
use crate::{
    error::Result,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
        rate_limit::{Limit, RateLimits},
        streamed::Streamed,
    },
    media::{Access, Media, NewFile},
};

pub async fn upload(
    State(media): State<Media>,
    State(limits): State<RateLimits>,
    caller: Caller,
    Streamed { request, size, body }: Streamed<create_content::v3::Request>,
) -> Answer<create_content::v3::Response> {
    caller.spend(&limits, Limit::Uploads)?;
    let new = NewFile {
        uploader: Some(caller.user_id.clone()),
        content_type: request.content_type,
        name: request.filename,
        size,
    };
    let uri = media.upload(new, body.into_data_stream()).await?;
    Ok(Reply(create_content::v3::Response::new(uri)))
}

pub async fn announce(
    State(media): State<Media>,
    State(limits): State<RateLimits>,
    caller: Caller,
    _: Request<create_mxc_uri::v1::Request>,
) -> Answer<create_mxc_uri::v1::Response> {
    caller.spend(&limits, Limit::Uploads)?;
    let announcement = media.announce(&caller.user_id).await?;
    let mut answer = create_mxc_uri::v1::Response::new(announcement.uri);
    answer.unused_expires_at = Some(announcement.expires_at);
    Ok(Reply(answer))
}

pub async fn upload_announced(
    State(media): State<Media>,
    State(limits): State<RateLimits>,
    caller: Caller,
    Streamed { request, size, body }: Streamed<create_content_async::v3::Request>,
) -> Result<Json<Value>> {
    caller.spend(&limits, Limit::Uploads)?;
    let new = NewFile {
        uploader: Some(caller.user_id.clone()),
        content_type: request.content_type,
        name: request.filename,
        size,
    };
    media.upload_announced(&request.server_name, &request.media_id, new, body.into_data_stream()).await?;
    // ruma has no way to make its response.
    Ok(Json(json!({})))
}

pub async fn config(
    State(media): State<Media>,
    _: Caller,
    _: Request<get_media_config::v1::Request>,
) -> Answer<get_media_config::v1::Response> {
    Ok(Reply(get_media_config::v1::Response::new(UInt::new_saturating(media.max_upload_size()))))
}

pub async fn download(
    State(media): State<Media>,
    _: Caller,
    method: Method,
    headers: HeaderMap,
    Request(request): Request<get_content::v1::Request>,
) -> Result<Response> {
    let file = media.find(&request.server_name, &request.media_id, Access::Authenticated, request.timeout_ms).await?;
    answer(&media, &file, file.name.as_deref(), &Asked { method, headers }).await
}

pub async fn download_as(
    State(media): State<Media>,
    _: Caller,
    method: Method,
    headers: HeaderMap,
    Request(request): Request<get_content_as_filename::v1::Request>,
) -> Result<Response> {
    let file = media.find(&request.server_name, &request.media_id, Access::Authenticated, request.timeout_ms).await?;
    answer(&media, &file, Some(&request.filename), &Asked { method, headers }).await
}

#[allow(deprecated, reason = "ruma marks what the specification deprecates")]
pub async fn old_config(
    State(media): State<Media>,
    _: Caller,
    _: Request<old_media_config::v3::Request>,
) -> Answer<old_media_config::v3::Response> {
    Ok(Reply(old_media_config::v3::Response::new(UInt::new_saturating(media.max_upload_size()))))
}

#[allow(deprecated, reason = "ruma marks what the specification deprecates")]
pub async fn old_download(
    State(media): State<Media>,
    method: Method,
    headers: HeaderMap,
    Request(request): Request<old_content::v3::Request>,
) -> Result<Response> {
    let access = Access::Unauthenticated;
    let file = media.find(&request.server_name, &request.media_id, access, request.timeout_ms).await?;
    answer(&media, &file, file.name.as_deref(), &Asked { method, headers }).await
}

#[allow(deprecated, reason = "ruma marks what the specification deprecates")]
pub async fn old_download_as(
    State(media): State<Media>,
    method: Method,
    headers: HeaderMap,
    Request(request): Request<old_content_as::v3::Request>,
) -> Result<Response> {
    let access = Access::Unauthenticated;
    let file = media.find(&request.server_name, &request.media_id, access, request.timeout_ms).await?;
    answer(&media, &file, Some(&request.filename), &Asked { method, headers }).await
}
