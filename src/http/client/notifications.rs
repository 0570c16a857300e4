//! What a user was notified of
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#listing-notifications)).

use axum::extract::State;
use ruma::api::client::push::get_notifications::v3;

use crate::{
    error::Error,
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    rooms::{Missed, MissedRequest, Reader, Rooms},
};

/// How many notifications an answer has if the client does not say.
const USUAL_LIMIT: u64 = 20;
/// The most it has.
const LARGEST_LIMIT: u64 = 100;

/// `GET /notifications`
pub async fn list(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<v3::Request>,
) -> Answer<v3::Response> {
    let only_highlights = match request.only.as_deref() {
        None | Some("") => false,
        Some("highlight") => true,
        Some(_) => return Err(Error::invalid("Notifications can be listed with only=highlight, or without only.")),
    };
    let limit = request.limit.map_or(USUAL_LIMIT, u64::from).clamp(1, LARGEST_LIMIT) as usize;
    let before = request.from.as_deref().filter(|from| !from.is_empty()).map(Missed::parse_next).transpose()?;
    let reader = Reader { user: &caller.user_id, device: &caller.device_id };
    let missed = rooms.missed(reader, MissedRequest { before, limit, only_highlights }).await?;
    let mut response = v3::Response::new(missed.notifications);
    response.next_token = missed.next.map(|next| next.to_string());
    Ok(Reply(response))
}
