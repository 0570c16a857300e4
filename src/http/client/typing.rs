//! Saying that one is typing: "Typing Notifications" in the client-server specification.

use axum::extract::State;
use ruma::api::client::typing::create_typing_event::{self, v3::Typing};

use super::amended::{Amended, TypesForAWhile};
use crate::{
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
    },
    presence::Presence,
    rooms::Rooms,
};

pub async fn set(
    State(rooms): State<Rooms>,
    State(presence): State<Presence>,
    caller: Caller,
    Request(Amended(request)): Request<Amended<TypesForAWhile>>,
) -> Answer<create_typing_event::v3::Response> {
    caller.require_self(&request.user_id)?;
    match request.state {
        Typing::Yes(info) => rooms.start_typing(&request.room_id, &caller.user_id, info.timeout).await?,
        Typing::No => rooms.stop_typing(&request.room_id, &caller.user_id).await?,
    }
    presence.act(&caller.user_id).await;
    Ok(Reply(create_typing_event::v3::Response::new()))
}
