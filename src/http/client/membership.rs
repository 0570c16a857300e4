//! Into rooms and out of them: "Room membership" in the client-server specification.

use axum::extract::State;
use ruma::api::client::{
    knock::knock_room,
    membership::{
        ThirdPartySigned, ban_user, forget_room, invite_user, join_room_by_id, join_room_by_id_or_alias, joined_rooms,
        kick_user, leave_room, unban_user,
    },
};

use super::join_content::WithContent;
use crate::{
    delivery::Bridges,
    error::{Error, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        rate_limit::{Limit, RateLimits},
    },
    rooms::Rooms,
    storage::Store,
};

pub async fn joined_rooms(
    State(rooms): State<Rooms>,
    State(store): State<Store>,
    caller: Caller,
    _: Request<joined_rooms::v3::Request>,
) -> Answer<joined_rooms::v3::Response> {
    let joined = rooms.joined(&store.snapshot(), &caller.user_id).await?;
    Ok(Reply(joined_rooms::v3::Response::new(joined)))
}

pub async fn invite(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    State(bridges): State<Bridges>,
    caller: Caller,
    Request(request): Request<invite_user::v3::Request>,
) -> Answer<invite_user::v3::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    let invite_user::v3::InvitationRecipient::UserId(invited) = request.recipient else {
        return Err(Error::invalid("This server has no identity server; invite people by their user id."));
    };
    // A bridge that does not answer hears of the invitation all the same, and makes the user when it can.
    bridges.ask_for_user(&invited.user_id, caller.appservice()).await?;
    rooms.invite(&request.room_id, &caller.user_id, &invited.user_id, invited.reason).await?;
    Ok(Reply(invite_user::v3::Response::new()))
}

pub async fn join(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(WithContent { request, content }): Request<WithContent<join_room_by_id::v3::Request>>,
) -> Answer<join_room_by_id::v3::Response> {
    caller.spend(&rate_limits, Limit::Joins)?;
    check_third_party_invite(request.third_party_signed.as_ref())?;
    rooms.join_with(&request.room_id, &caller.user_id, request.reason, content).await?;
    Ok(Reply(join_room_by_id::v3::Response::new(request.room_id)))
}

pub async fn join_by_id_or_alias(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    State(bridges): State<Bridges>,
    caller: Caller,
    Request(WithContent { request, content }): Request<WithContent<join_room_by_id_or_alias::v3::Request>>,
) -> Answer<join_room_by_id_or_alias::v3::Response> {
    caller.spend(&rate_limits, Limit::Joins)?;
    check_third_party_invite(request.third_party_signed.as_ref())?;
    bridges.ask_for_room(&request.room_id_or_alias, caller.appservice()).await?.require_answer()?;
    let room_id = rooms.find(&request.room_id_or_alias).await?;
    rooms.join_with(&room_id, &caller.user_id, request.reason, content).await?;
    Ok(Reply(join_room_by_id_or_alias::v3::Response::new(room_id)))
}

pub async fn knock(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    State(bridges): State<Bridges>,
    caller: Caller,
    Request(request): Request<knock_room::v3::Request>,
) -> Answer<knock_room::v3::Response> {
    caller.spend(&rate_limits, Limit::Joins)?;
    bridges.ask_for_room(&request.room_id_or_alias, caller.appservice()).await?.require_answer()?;
    let room_id = rooms.find(&request.room_id_or_alias).await?;
    rooms.knock(&room_id, &caller.user_id, request.reason).await?;
    Ok(Reply(knock_room::v3::Response::new(room_id)))
}

/// It spends nothing: nobody shall have to stay in a room, or be shown an invitation, because they were too fast.
pub async fn leave(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<leave_room::v3::Request>,
) -> Answer<leave_room::v3::Response> {
    rooms.leave(&request.room_id, &caller.user_id, request.reason).await?;
    Ok(Reply(leave_room::v3::Response::new()))
}

pub async fn forget(
    State(rooms): State<Rooms>,
    caller: Caller,
    Request(request): Request<forget_room::v3::Request>,
) -> Answer<forget_room::v3::Response> {
    rooms.forget(&request.room_id, &caller.user_id).await?;
    Ok(Reply(forget_room::v3::Response::new()))
}

pub async fn kick(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<kick_user::v3::Request>,
) -> Answer<kick_user::v3::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    rooms.kick(&request.room_id, &caller.user_id, &request.user_id, request.reason).await?;
    Ok(Reply(kick_user::v3::Response::new()))
}

pub async fn ban(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<ban_user::v3::Request>,
) -> Answer<ban_user::v3::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    rooms.ban(&request.room_id, &caller.user_id, &request.user_id, request.reason).await?;
    Ok(Reply(ban_user::v3::Response::new()))
}

pub async fn unban(
    State(rooms): State<Rooms>,
    State(rate_limits): State<RateLimits>,
    caller: Caller,
    Request(request): Request<unban_user::v3::Request>,
) -> Answer<unban_user::v3::Response> {
    caller.spend(&rate_limits, Limit::Messages)?;
    rooms.unban(&request.room_id, &caller.user_id, &request.user_id, request.reason).await?;
    Ok(Reply(unban_user::v3::Response::new()))
}

/// What proves an invitation to an e-mail address or a telephone number proves nothing here: no room has one.
fn check_third_party_invite(proof: Option<&ThirdPartySigned>) -> Result<()> {
    match proof {
        Some(_) => Err(Error::forbidden("The room has no invitation to a third-party identifier.")),
        None => Ok(()),
    }
}
