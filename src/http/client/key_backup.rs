//! Backups of room keys ([spec](https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups)).

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use ruma::{
    api::client::backup::{
        add_backup_keys, add_backup_keys_for_room, add_backup_keys_for_session, create_backup_version,
        delete_backup_keys, delete_backup_keys_for_room, delete_backup_keys_for_session, delete_backup_version,
        get_backup_info, get_backup_keys, get_backup_keys_for_room, get_backup_keys_for_session,
        get_latest_backup_info, update_backup_version,
    },
    serde::Raw,
};

use super::backed_up_keys::{Form, written};
use crate::{
    encryption::{BackupInfo, KeyBackups, Selection, Tally},
    error::Result,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
};

/// `POST /room_keys/version`
pub async fn create(
    State(backups): State<KeyBackups>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<create_backup_version::v3::Request>,
) -> Answer<create_backup_version::v3::Response> {
    caller.spend(&rate_limits, Limit::Encryption)?;
    let version = backups.create((&caller.user_id, &caller.device_id), request.algorithm.json()).await?;
    Ok(Reply(create_backup_version::v3::Response::new(version)))
}

/// `GET /room_keys/version`
pub async fn latest(
    State(backups): State<KeyBackups>,
    caller: Caller,
    _: Request<get_latest_backup_info::v3::Request>,
) -> Answer<get_latest_backup_info::v3::Response> {
    let BackupInfo { version, description, tally: Tally { count, etag } } = backups.current(&caller.user_id).await?;
    Ok(Reply(get_latest_backup_info::v3::Response::new(Raw::from_json(description), count, etag, version)))
}

/// `GET /room_keys/version/{version}`
pub async fn get(
    State(backups): State<KeyBackups>,
    caller: Caller,
    Request(request): Request<get_backup_info::v3::Request>,
) -> Answer<get_backup_info::v3::Response> {
    let info = backups.get(&caller.user_id, &request.version).await?;
    let BackupInfo { version, description, tally: Tally { count, etag } } = info;
    Ok(Reply(get_backup_info::v3::Response::new(Raw::from_json(description), count, etag, version)))
}

/// `PUT /room_keys/version/{version}`
pub async fn update(
    State(backups): State<KeyBackups>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<update_backup_version::v3::Request>,
) -> Answer<update_backup_version::v3::Response> {
    caller.spend(&rate_limits, Limit::Encryption)?;
    backups.update(&caller.user_id, &request.version, request.algorithm.json()).await?;
    Ok(Reply(update_backup_version::v3::Response::new()))
}

/// `DELETE /room_keys/version/{version}`
pub async fn delete(
    State(backups): State<KeyBackups>,
    caller: Caller,
    Request(request): Request<delete_backup_version::v3::Request>,
) -> Answer<delete_backup_version::v3::Response> {
    backups.delete(&caller.user_id, &request.version).await?;
    Ok(Reply(delete_backup_version::v3::Response::new()))
}

/// `PUT /room_keys/keys`
pub async fn add_keys(
    State(backups): State<KeyBackups>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<add_backup_keys::v3::Request>,
) -> Answer<add_backup_keys::v3::Response> {
    caller.spend(&rate_limits, Limit::Encryption)?;
    let keys = request.rooms.into_iter().map(|(room, keys)| (room, keys.sessions)).collect();
    let Tally { count, etag } = backups.add(&caller.user_id, &request.version, &keys).await?;
    Ok(Reply(add_backup_keys::v3::Response::new(etag, count)))
}

/// `PUT /room_keys/keys/{roomId}`
pub async fn add_keys_of_room(
    State(backups): State<KeyBackups>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<add_backup_keys_for_room::v3::Request>,
) -> Answer<add_backup_keys_for_room::v3::Response> {
    caller.spend(&rate_limits, Limit::Encryption)?;
    let keys = BTreeMap::from([(request.room_id, request.sessions)]);
    let Tally { count, etag } = backups.add(&caller.user_id, &request.version, &keys).await?;
    Ok(Reply(add_backup_keys_for_room::v3::Response::new(etag, count)))
}

/// `PUT /room_keys/keys/{roomId}/{sessionId}`
pub async fn add_key(
    State(backups): State<KeyBackups>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<add_backup_keys_for_session::v3::Request>,
) -> Answer<add_backup_keys_for_session::v3::Response> {
    caller.spend(&rate_limits, Limit::Encryption)?;
    let keys = BTreeMap::from([(request.room_id, BTreeMap::from([(request.session_id, request.session_data)]))]);
    let Tally { count, etag } = backups.add(&caller.user_id, &request.version, &keys).await?;
    Ok(Reply(add_backup_keys_for_session::v3::Response::new(etag, count)))
}

/// `GET /room_keys/keys`
pub async fn keys(
    State(backups): State<KeyBackups>,
    caller: Caller,
    Request(request): Request<get_backup_keys::v3::Request>,
) -> Result<Response> {
    let pages = backups.keys(&caller.user_id, &request.version, None).await?;
    written(pages, Form::ByRoom).await
}

/// `GET /room_keys/keys/{roomId}`
pub async fn keys_of_room(
    State(backups): State<KeyBackups>,
    caller: Caller,
    Request(request): Request<get_backup_keys_for_room::v3::Request>,
) -> Result<Response> {
    let pages = backups.keys(&caller.user_id, &request.version, Some(&request.room_id)).await?;
    written(pages, Form::OfOneRoom).await
}

/// `GET /room_keys/keys/{roomId}/{sessionId}`
pub async fn key(
    State(backups): State<KeyBackups>,
    caller: Caller,
    Request(request): Request<get_backup_keys_for_session::v3::Request>,
) -> Answer<get_backup_keys_for_session::v3::Response> {
    let key = backups.key(&caller.user_id, &request.version, &request.room_id, &request.session_id).await?;
    Ok(Reply(get_backup_keys_for_session::v3::Response::new(key)))
}

/// `DELETE /room_keys/keys`
pub async fn remove_keys(
    State(backups): State<KeyBackups>,
    caller: Caller,
    Request(request): Request<delete_backup_keys::v3::Request>,
) -> Answer<delete_backup_keys::v3::Response> {
    let Tally { count, etag } = backups.remove(&caller.user_id, &request.version, Selection::All).await?;
    Ok(Reply(delete_backup_keys::v3::Response::new(etag, count)))
}

/// `DELETE /room_keys/keys/{roomId}`
pub async fn remove_keys_of_room(
    State(backups): State<KeyBackups>,
    caller: Caller,
    Request(request): Request<delete_backup_keys_for_room::v3::Request>,
) -> Answer<delete_backup_keys_for_room::v3::Response> {
    let selection = Selection::Room(&request.room_id);
    let Tally { count, etag } = backups.remove(&caller.user_id, &request.version, selection).await?;
    Ok(Reply(delete_backup_keys_for_room::v3::Response::new(etag, count)))
}

/// `DELETE /room_keys/keys/{roomId}/{sessionId}`
pub async fn remove_key(
    State(backups): State<KeyBackups>,
    caller: Caller,
    Request(request): Request<delete_backup_keys_for_session::v3::Request>,
) -> Answer<delete_backup_keys_for_session::v3::Response> {
    let selection = Selection::Session(&request.room_id, &request.session_id);
    let Tally { count, etag } = backups.remove(&caller.user_id, &request.version, selection).await?;
    Ok(Reply(delete_backup_keys_for_session::v3::Response::new(etag, count)))
}
