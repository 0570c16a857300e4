//! Files and pictures: "Content repository" in the client-server specification.

use axum::{
    extract::State,
    http::{HeaderMap, Method},
    response::Response,
};
use ruma::{
    UInt,
    api::client::{
        authenticated_media::{get_content, get_content_as_filename, get_content_thumbnail, get_media_config},
        media::{
            create_content, create_content_async, create_mxc_uri, get_content as old_content,
            get_content_as_filename as old_content_as, get_content_thumbnail as old_content_thumbnail,
            get_media_config as old_media_config,
        },
    },
    media::Method as ThumbnailMethod,
};
use serde_json::{Value, json};

use super::file_answer::{Asked, answer};
use crate::{
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
        rate_limit::{Limit, RateLimits},
        streamed::Streamed,
    },
    media::{Access, File, Fit, Media, NewFile, Wanted},
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

pub async fn thumbnail(
    State(media): State<Media>,
    _: Caller,
    method: Method,
    headers: HeaderMap,
    Request(request): Request<get_content_thumbnail::v1::Request>,
) -> Result<Response> {
    let wanted = wanted(request.width, request.height, request.method, request.animated)?;
    let (server, id, patience) = (&request.server_name, &request.media_id, request.timeout_ms);
    let file = media.thumbnail(server, id, Access::Authenticated, patience, wanted).await?;
    answer(&media, &file, Some(thumbnail_name(&file)), &Asked { method, headers }).await
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

#[allow(deprecated, reason = "ruma marks what the specification deprecates")]
pub async fn old_thumbnail(
    State(media): State<Media>,
    method: Method,
    headers: HeaderMap,
    Request(request): Request<old_content_thumbnail::v3::Request>,
) -> Result<Response> {
    let wanted = wanted(request.width, request.height, request.method, request.animated)?;
    let (server, id, patience) = (&request.server_name, &request.media_id, request.timeout_ms);
    let file = media.thumbnail(server, id, Access::Unauthenticated, patience, wanted).await?;
    answer(&media, &file, Some(thumbnail_name(&file)), &Asked { method, headers }).await
}

/// What a query asks for.
fn wanted(width: UInt, height: UInt, method: Option<ThumbnailMethod>, animated: Option<bool>) -> Result<Wanted> {
    let side = |side: UInt| match u32::try_from(side) {
        Ok(0) => Err(Error::invalid("A thumbnail is at least one pixel wide and high.")),
        // However large, it is larger than any that is made.
        side => Ok(side.unwrap_or(u32::MAX)),
    };
    let fit = match method {
        None | Some(ThumbnailMethod::Scale) => Fit::Scale,
        Some(ThumbnailMethod::Crop) => Fit::Crop,
        Some(_) => return Err(Error::invalid("The method of a thumbnail is \"scale\" or \"crop\".")),
    };
    Ok(Wanted { width: side(width)?, height: side(height)?, fit, animated: animated == Some(true) })
}

fn thumbnail_name(file: &File) -> &'static str {
    match &*file.content_type {
        "image/png" => "thumbnail.png",
        "image/jpeg" => "thumbnail.jpg",
        "image/gif" => "thumbnail.gif",
        _ => "thumbnail.webp",
    }
}
