//! What administrators do to accounts, and what they are told about them: "Account locking", "Account suspension" and "Server
//! Administration" in the client-server specification.

use axum::extract::State;
use ruma::api::client::admin::{get_user_info, is_user_locked, is_user_suspended, lock_user, suspend_user};
use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
    },
    users::{Accounts, Sessions, Standing},
};

pub async fn is_locked(
    State(accounts): State<Accounts>,
    caller: Caller,
    Request(request): Request<is_user_locked::v1::Request>,
) -> Answer<is_user_locked::v1::Response> {
    let account = accounts.governed(&caller.user_id, &request.user_id).await?;
    Ok(Reply(is_user_locked::v1::Response::new(account.standing == Standing::Locked)))
}

pub async fn lock(
    State(accounts): State<Accounts>,
    State(sessions): State<Sessions>,
    caller: Caller,
    Request(request): Request<lock_user::v1::Request>,
) -> Answer<lock_user::v1::Response> {
    accounts.governed(&caller.user_id, &request.user_id).await?;
    match request.locked {
        true => sessions.lock(&request.user_id).await?,
        false => sessions.unlock(&request.user_id).await?,
    }
    Ok(Reply(lock_user::v1::Response::new(request.locked)))
}

pub async fn is_suspended(
    State(accounts): State<Accounts>,
    caller: Caller,
    Request(request): Request<is_user_suspended::v1::Request>,
) -> Answer<is_user_suspended::v1::Response> {
    accounts.governed(&caller.user_id, &request.user_id).await?;
    Ok(Reply(is_user_suspended::v1::Response::new(accounts.is_suspended(&request.user_id).await?)))
}

pub async fn suspend(
    State(accounts): State<Accounts>,
    State(sessions): State<Sessions>,
    caller: Caller,
    Request(request): Request<suspend_user::v1::Request>,
) -> Answer<suspend_user::v1::Response> {
    accounts.governed(&caller.user_id, &request.user_id).await?;
    match request.suspended {
        true => sessions.suspend(&request.user_id).await?,
        false => sessions.release(&request.user_id).await?,
    }
    Ok(Reply(suspend_user::v1::Response::new(request.suspended)))
}

/// `GET /admin/whois/{userId}`: for the user and for administrators.
///
/// Written out, since ruma's type has `null` for what is not known, where the specification wants nothing.
pub async fn whois(
    State(accounts): State<Accounts>,
    State(sessions): State<Sessions>,
    caller: Caller,
    Request(request): Request<get_user_info::v3::Request>,
) -> Result<Json<Value>> {
    if caller.user_id != request.user_id {
        require_known(&accounts, &caller, &request).await?;
    }
    let mut devices = Map::new();
    for device in sessions.devices(&request.user_id).await? {
        let connection = device.last_seen.map(|seen| {
            let mut connection = json!({"ip": seen.address, "last_seen": seen.at});
            if let Some(user_agent) = device.user_agent {
                connection["user_agent"] = user_agent.into();
            }
            connection
        });
        let connections: Vec<_> = connection.into_iter().collect();
        devices.insert(device.device_id.to_string(), json!({"sessions": [{"connections": connections}]}));
    }
    Ok(Json(json!({"user_id": request.user_id, "devices": devices})))
}

/// Checks that an administrator asks about somebody who has an account here.
async fn require_known(accounts: &Accounts, caller: &Caller, request: &get_user_info::v3::Request) -> Result<()> {
    if !accounts.is_administrator(&caller.user_id).await? {
        return Err(Error::forbidden("Only administrators are told about others."));
    }
    match accounts.get(&request.user_id).await? {
        Some(_) => Ok(()),
        None => Err(Error::not_found("There is no such user on this server.")),
    }
}
