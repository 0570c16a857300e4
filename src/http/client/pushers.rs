//! Where a user's devices want to be told of what happens: "Push Notifications" in the client-server specification.

use axum::extract::State;
use ruma::api::client::push::{
    get_pushers,
    set_pusher::{self, v3::PusherAction},
};

use crate::{
    error::Kind,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    users::{OtherUsers, Pushers},
};

pub async fn list(
    State(pushers): State<Pushers>,
    caller: Caller,
    _: Request<get_pushers::v3::Request>,
) -> Answer<get_pushers::v3::Response> {
    Ok(Reply(get_pushers::v3::Response::new(pushers.current(&caller.user_id).await?)))
}

pub async fn set(
    State(pushers): State<Pushers>,
    caller: Caller,
    Request(request): Request<set_pusher::v3::Request>,
) -> Answer<set_pusher::v3::Response> {
    match request.action {
        PusherAction::Post(post) => {
            let others = if post.append { OtherUsers::Keep } else { OtherUsers::Replace };
            pushers.set(&caller.user_id, &caller.device_id, &post.pusher, others).await?;
        }
        PusherAction::Delete(ids) => pushers.remove(&caller.user_id, &ids).await?,
        _ => return Err(Kind::Unknown.with("This server does not know this change of a pusher.")),
    }
    Ok(Reply(set_pusher::v3::Response::new()))
}
