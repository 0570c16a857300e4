//! Events that are to be sent later (MSC4140).

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, Path, Query, State, rejection::PathRejection},
    http::request::Parts,
};
use ruma::{
    OwnedRoomId, OwnedTransactionId,
    api::client::delayed_events::{
        delayed_message_event, get_all_delayed_events, get_delayed_event,
        update_delayed_event::{UpdateAction, unstable_v1, unstable_v2},
    },
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    error::{Error, Kind, Result},
    http::{
        authenticate::Caller,
        client_address::ClientAddress,
        endpoint::{Answer, JsonBody, Reply, Request},
        error_response::errcode,
        json::Json,
        rate_limit::{Limit, RateLimits},
    },
    presence::Presence,
    rooms::{DelayAction, DelayRequest, DelayedStatus, Rooms},
};

/// Where events are scheduled that are to be sent later.
pub const SCHEDULE: &str =
    "/_matrix/client/unstable/org.matrix.msc4140/rooms/{room_id}/delayed_event/{event_type}/{txn_id}";

/// How long an event is to wait, where its request to be sent says so.
pub struct Delay(pub Option<Duration>);

impl<S: Send + Sync> FromRequestParts<S> for Delay {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        #[derive(Deserialize)]
        struct Wish {
            #[serde(rename = "org.matrix.msc4140.delay")]
            delay: Option<String>,
        }

        // What cannot be read may well have been a delay: without it the event would be sent at once.
        let query = Query::<Wish>::try_from_uri(&parts.uri);
        let Query(wish) = query.map_err(|_| Error::invalid("The query of the request cannot be read."))?;
        let Some(delay) = wish.delay else { return Ok(Self(None)) };
        let milliseconds = delay.parse().map_err(|_| Error::invalid("A delay is a number of milliseconds."))?;
        Ok(Self(Some(Duration::from_millis(milliseconds))))
    }
}

/// The body of a request to schedule an event. Older clients write `delay`.
#[derive(Deserialize)]
pub struct Scheduled {
    #[serde(alias = "delay")]
    delay_ms: u64,
    state_key: Option<String>,
    content: Box<RawValue>,
}

/// `PUT /rooms/{roomId}/delayed_event/{eventType}/{txnId}`
pub async fn schedule(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    State(presence): State<Presence>,
    caller: Caller,
    path: Result<Path<(OwnedRoomId, String, OwnedTransactionId)>, PathRejection>,
    JsonBody(body): JsonBody<Scheduled>,
) -> Answer<delayed_message_event::unstable::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    let Path((room_id, kind, transaction)) = path.map_err(|_| Error::invalid("The path names no room."))?;
    let request = DelayRequest {
        room_id,
        kind: kind.into(),
        state_key: body.state_key,
        content: body.content,
        delay: Duration::from_millis(body.delay_ms),
        transaction: Some(transaction),
    };
    send_later(&rooms, &presence, &caller, request).await
}

/// Schedules an event for the caller.
pub async fn send_later(
    rooms: &Rooms,
    presence: &Presence,
    caller: &Caller,
    request: DelayRequest,
) -> Answer<delayed_message_event::unstable::Response> {
    let id = rooms.send_later((&caller.user_id, &caller.device_id), request).await?;
    presence.act(&caller.user_id).await;
    Ok(Reply(delayed_message_event::unstable::Response::new(id)))
}

/// `GET /delayed_events`
pub async fn list(
    State(rooms): State<Rooms>,
    caller: Caller,
    _: Request<get_all_delayed_events::unstable::Request>,
) -> Result<Json<Value>> {
    let waiting = rooms.delayed_events(&caller.user_id).await?;
    let waiting: Vec<_> = waiting.into_iter().map(described).collect::<Result<_>>()?;
    Ok(Json(json!({"delayed_events": waiting})))
}

/// `GET /delayed_events/{delayId}`
pub async fn get(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<get_delayed_event::unstable::Request>,
) -> Result<Json<Value>> {
    described(rooms.delayed_event(&caller.user_id, &request.delay_id).await?).map(Json)
}

/// `POST /delayed_events/{delayId}/{action}`, for whoever knows the id.
pub async fn act(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    ClientAddress(address): ClientAddress,
    Request(request): Request<unstable_v2::Request>,
) -> Answer<unstable_v2::Response> {
    rate_limits.spend(Limit::Messages, address)?;
    let action = action(&request.action).ok_or_else(|| Kind::Unrecognized.with("There is no such action."))?;
    rooms.act_on_delayed(&request.delay_id, action).await?;
    Ok(Reply(unstable_v2::Response::new()))
}

/// `POST /delayed_events/{delayId}` with the action in its body, as in older versions of the proposal.
pub async fn act_by_body(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    ClientAddress(address): ClientAddress,
    Request(request): Request<unstable_v1::Request>,
) -> Answer<unstable_v1::Response> {
    rate_limits.spend(Limit::Messages, address)?;
    let action = action(&request.action).ok_or_else(|| Error::invalid("There is no such action."))?;
    rooms.act_on_delayed(&request.delay_id, action).await?;
    Ok(Reply(unstable_v1::Response::new()))
}

fn action(action: &UpdateAction) -> Option<DelayAction> {
    match action {
        UpdateAction::Cancel => Some(DelayAction::Cancel),
        UpdateAction::Restart => Some(DelayAction::Restart),
        UpdateAction::Send => Some(DelayAction::Send),
        _ => None,
    }
}

/// A delayed event as its sender's clients read it: by the names that the proposal has now and by those that it had, since
/// ruma and today's clients know the latter.
fn described(status: DelayedStatus) -> Result<Value> {
    let (failure, sent_as) = (status.failure(), status.sent_as().map(ToOwned::to_owned));
    let DelayedStatus { id, event } = status;
    let content: Value = serde_json::from_str(&event.content).map_err(Error::internal)?;
    let mut answer = json!({
        "delay_id": id, "room_id": event.room_id, "type": event.kind, "content": content,
        "delay_ms": event.delay, "scheduled_at": event.scheduled_at,
        "delay": event.delay, "running_since": event.scheduled_at,
    });
    if let Some(state_key) = event.state_key {
        answer["state_key"] = state_key.into();
    }
    if let Some(outcome) = event.outcome {
        answer["finalised_ts"] = outcome.at.into();
    }
    if let Some(event_id) = sent_as {
        answer["event_id"] = event_id.as_str().into();
    }
    if let Some(failure) = failure {
        answer["error"] = json!({"errcode": errcode(&failure.kind), "error": failure.message});
    }
    Ok(answer)
}
