//! What administrators do to accounts: "Account locking" in the client-server specification.

use axum::extract::State;
use ruma::api::client::admin::{is_user_locked, lock_user};

use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
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
