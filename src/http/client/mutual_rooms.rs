//! The rooms that one shares with somebody: "Mutual Rooms" in the client-server specification.

use axum::extract::State;
use ruma::{RoomId, UInt, UserId, api::client::membership::get_mutual_rooms};

use crate::{
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
    rooms::{MutualRooms, Rooms},
};

/// `GET /_matrix/client/v1/mutual_rooms`
pub async fn get(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<get_mutual_rooms::v1::Request>,
) -> Answer<get_mutual_rooms::v1::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    let page = page(&rooms, &caller, &request.user_id, request.from.as_deref()).await?;
    let count = UInt::new_saturating(page.count as u64);
    let mut response = get_mutual_rooms::v1::Response::new(count, page.rooms);
    response.next_batch = page.next.map(String::from);
    Ok(Reply(response))
}

/// The same at the address of MSC2666, which has no count.
pub async fn get_by_older_path(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<get_mutual_rooms::unstable::Request>,
) -> Answer<get_mutual_rooms::unstable::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    let page = page(&rooms, &caller, &request.user_id, request.from.as_deref()).await?;
    let mut response = get_mutual_rooms::unstable::Response::new(page.rooms);
    response.next_batch = page.next.map(String::from);
    Ok(Reply(response))
}

/// A page that begins where the token says, which is the last room of the page before.
async fn page(rooms: &Rooms, caller: &Caller, other: &UserId, from: Option<&str>) -> Result<MutualRooms> {
    let after = from.map(RoomId::parse).transpose();
    let after = after.map_err(|_| Error::invalid("The token in from is not one of this endpoint."))?;
    rooms.mutual_rooms(&caller.user_id, other, after.as_deref()).await
}
