//! Rooms that the user is not in, in a sliding sync: invitations, knocks, and rooms that were left.

use ruma::{OwnedRoomId, events::room::member::MembershipState};

use super::{
    answer::RoomAnswer,
    joined::{self, position_stamp},
    look::{Look, Pick},
    required_state::{self, Wish},
    told::ToldRoom,
};
use crate::{
    error::Result,
    storage::{Order, Stamped, schema::rooms::Membership},
    sync::{
        invited,
        joined::Known,
        left,
        state::{self, Scope},
    },
};

/// An invitation or a knock, unless the client knows it or the user does not want to.
pub(super) async fn invitation(
    look: &Look<'_>,
    pick: &Pick,
    (room_id, membership): (&OwnedRoomId, &Stamped<Membership>),
    before: Option<&ToldRoom>,
) -> Result<(Option<ToldRoom>, Option<RoomAnswer>)> {
    let since = before.filter(|before| before.membership == membership.value.membership);
    let since = since.and_then(|before| look.since(before));
    let known = since.map_or(Known::Nothing, Known::Until);
    let reading = joined::reading(look, pick, known);
    let kind = membership.value.membership.clone();
    let is_knock = kind == MembershipState::Knock;
    let events = match is_knock {
        true => invited::knock(look.sync, &reading, room_id, membership).await?.map(|room| room.knock_state.events),
        false => {
            let invitation = (&**room_id, membership);
            let room = invited::invitation(look.sync, &reading, invitation, look.changed.as_ref()).await?;
            room.map(|room| room.invite_state.events)
        }
    };
    let is_dm = look.direct.contains(room_id);
    let is_later = since.is_some_and(|since| membership.at > since);
    let mut told = match (before, &events) {
        // The client knows an earlier invitation and must hear of this one as soon as the user wants that.
        (Some(_), None) if is_later => {
            return Ok((Some(ToldRoom::unknown(MembershipState::Leave, pick.config.clone())), None));
        }
        (Some(before), _) if known != Known::Nothing => before.clone(),
        (_, Some(_)) => ToldRoom::unknown(kind.clone(), pick.config.clone()),
        // An invitation that the user does not want to hear of is as none.
        (_, None) => return Ok((None, None)),
    };
    let news = events.is_some() || is_dm != told.is_dm;
    let answer = news.then(|| RoomAnswer {
        initial: events.is_some(),
        membership: Some(kind),
        lists: pick.lists.clone(),
        is_dm: (is_dm != told.is_dm).then_some(is_dm),
        bump_stamp: Some(position_stamp(membership.at)),
        invite_state: events,
        ..RoomAnswer::default()
    });
    (told.behind, told.is_dm, told.config) = (None, is_dm, pick.config.clone());
    Ok((Some(told), answer))
}

/// A room that the user left, was kicked or banned from, or did not enter.
pub(super) async fn left(
    look: &Look<'_>,
    pick: &Pick,
    (room_id, membership): (&OwnedRoomId, &Stamped<Membership>),
    before: Option<&ToldRoom>,
) -> Result<(ToldRoom, Option<RoomAnswer>)> {
    let since = before.and_then(|before| look.since(before));
    let kind = membership.value.membership.clone();
    if let Some(before) = before.filter(|before| before.membership == kind)
        && since.is_some_and(|since| membership.at <= since)
    {
        return Ok((ToldRoom { behind: None, config: pick.config.clone(), ..before.clone() }, None));
    }
    let room = &*look.sync.rooms.room(room_id).await?;
    let viewer = &look.sync.rooms.viewer(&look.reading.snapshot, room_id, &look.reading.user).await?;
    let was_in = |since: &_| viewer.membership_at(Order::Live(*since)) == MembershipState::Join;
    let known = before.filter(|before| before.membership == MembershipState::Join).and(since).filter(was_in);
    let known = known.map_or(Known::Nothing, Known::Until);
    let reading = joined::reading(look, pick, known);
    let left_at = Order::Live(membership.at);
    let before = before.filter(|_| known != Known::Nothing);
    let mut told = before.cloned().unwrap_or_else(|| ToldRoom::unknown(kind.clone(), pick.config.clone()));
    let mut answer = RoomAnswer { initial: before.is_none(), membership: Some(kind.clone()), ..RoomAnswer::default() };
    answer.bump_stamp = Some(position_stamp(membership.at));
    answer.lists.clone_from(&pick.lists);
    let until = left::last_seen(viewer, left_at).filter(|seen| *seen == left_at || known == Known::Nothing);
    let scope = Scope { room, viewer, known, whole: known == Known::Nothing, until: until.unwrap_or(left_at) };
    let required = &pick.config.required;
    let timeline = match until {
        Some(_) => {
            let timeline = crate::sync::timeline::section(look.sync, &reading, room, viewer, known).await?;
            let delta = match known {
                Known::Nothing => Vec::new(),
                Known::Until(_) => state::delta(look.sync, &reading, &scope, &timeline).await?,
            };
            let wish = Wish { required, before: before.map(|before| &before.config.required) };
            let members = &mut told.members;
            answer.required_state =
                required_state::section(look.sync, &reading, &scope, &timeline, (wish, &delta), members).await?;
            timeline
        }
        None => {
            // Who never was in the room learns that it is over, and nothing of the room.
            let timeline = left::own_leave(look.sync, &reading, room, viewer, left_at).await?;
            let own = timeline.events.iter().map(|event| &event.event).filter(|event| required.wants(event));
            answer.required_state = state::rendered(look.sync, &reading, &scope, own).await?;
            timeline
        }
    };
    joined::take_timeline(look, timeline, false, &mut answer);
    (told.behind, told.membership, told.config) = (None, kind, pick.config.clone());
    Ok((told, Some(answer)))
}
