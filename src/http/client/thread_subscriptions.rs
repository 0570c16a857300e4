//! Which threads a user wants to hear of (MSC4306, MSC4308).

use axum::extract::State;
use ruma::api::client::threads::{
    get_thread_subscription::unstable as get_one, get_thread_subscriptions_changes::unstable as get_changes,
    subscribe_thread::unstable as subscribe, unsubscribe_thread::unstable as unsubscribe,
};

use crate::{
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::{PageToken, Rooms},
    storage::{Order, Position, Store},
    users::{ThreadSubscription, ThreadSubscriptions},
};

/// How many subscriptions a page has at most, and when the client does not say.
const HIGHEST_LIMIT: u32 = 100;

pub async fn get(
    State(rooms): State<Rooms>,
    State(subscriptions): State<ThreadSubscriptions>,
    caller: Caller,
    Request(request): Request<get_one::Request>,
) -> Answer<get_one::Response> {
    rooms.check_thread_to_follow(&request.room_id, &caller.user_id, &request.thread_root, None).await?;
    match subscriptions.of(&caller.user_id, &request.room_id, &request.thread_root).await? {
        ThreadSubscription::Manual => Ok(Reply(get_one::Response::new(false))),
        ThreadSubscription::Automatic => Ok(Reply(get_one::Response::new(true))),
        ThreadSubscription::None => Err(Error::not_found("You are not subscribed to this thread.")),
    }
}

pub async fn put(
    State(rooms): State<Rooms>,
    State(subscriptions): State<ThreadSubscriptions>,
    caller: Caller,
    Request(request): Request<subscribe::Request>,
) -> Answer<subscribe::Response> {
    let subscribe::Request { room_id, thread_root, automatic, .. } = request;
    let cause = rooms.check_thread_to_follow(&room_id, &caller.user_id, &thread_root, automatic.as_deref()).await?;
    subscriptions.subscribe(&caller.user_id, &room_id, &thread_root, cause).await?;
    Ok(Reply(subscribe::Response::new()))
}

pub async fn delete(
    State(rooms): State<Rooms>,
    State(subscriptions): State<ThreadSubscriptions>,
    caller: Caller,
    Request(request): Request<unsubscribe::Request>,
) -> Answer<unsubscribe::Response> {
    rooms.check_thread_to_follow(&request.room_id, &caller.user_id, &request.thread_root, None).await?;
    subscriptions.unsubscribe(&caller.user_id, &request.room_id, &request.thread_root).await?;
    Ok(Reply(unsubscribe::Response::new()))
}

/// `GET /thread_subscriptions`, newest first.
pub async fn changes(
    State(store): State<Store>,
    State(subscriptions): State<ThreadSubscriptions>,
    caller: Caller,
    Request(request): Request<get_changes::Request>,
) -> Answer<get_changes::Response> {
    let snapshot = store.snapshot();
    let since = request.to.as_deref().map(position).transpose()?;
    let until = request.from.as_deref().map(position).transpose()?.unwrap_or(snapshot.position());
    let limit = request.limit.unwrap_or(HIGHEST_LIMIT.into()).clamp(1_u32.into(), HIGHEST_LIMIT.into());
    let limit = usize::try_from(u64::from(limit)).map_err(Error::internal)?;
    let found = subscriptions.changes(&snapshot, &caller.user_id, (since, until), limit).await?;
    let mut response = get_changes::Response::new();
    response.end = found.rest.map(|rest| PageToken::at(rest).to_string());
    (response.subscribed, response.unsubscribed) = found.by_room();
    Ok(Reply(response))
}

/// The position that a token of a page or of a sync names.
fn position(token: &str) -> Result<Position> {
    match token.parse::<PageToken>()?.place() {
        Order::Live(position) => Ok(position),
        Order::Backfilled(_) => Ok(Position::ZERO),
    }
}
