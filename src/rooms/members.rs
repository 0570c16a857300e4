//! Reads who belongs, and belonged, to a room.

use std::collections::BTreeMap;

use ruma::{
    OwnedMxcUri, OwnedUserId, RoomId, UserId,
    api::client::membership::joined_members::v3::RoomMember,
    events::{
        StateEventType,
        room::member::{MembershipState, RoomMemberEvent},
    },
    serde::Raw,
};
use serde::Deserialize;
use serde_json::Value;

use super::{PageToken, Reader, Rooms, membership::not_in_room, visibility::StateAccess};
use crate::{error::Result, matrix::event::Event, storage::Order};

/// Which members are wanted; with both fields, those that either lets through.
#[derive(Clone, Debug, Default)]
pub struct MemberFilter {
    /// Those with this membership.
    pub membership: Option<MembershipState>,
    /// Those with any other membership than this.
    pub not_membership: Option<MembershipState>,
}

impl Rooms {
    /// The member events of a room, as of now or of an earlier moment; for someone who has left, as of their leave.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) for those who never were members, and for a moment at which the
    /// reader could not see the room.
    pub async fn members(
        &self,
        room_id: &RoomId,
        reader: Reader<'_>,
        at: Option<PageToken>,
        filter: &MemberFilter,
    ) -> Result<Vec<Raw<RoomMemberEvent>>> {
        let reading = self.read(room_id, reader.user).await?;
        let last = match reading.viewer.state_access()? {
            StateAccess::Current => Order::Live(reading.snapshot.position()),
            StateAccess::AtLeave(order) => order,
        };
        let order = at.map_or(last, |at| at.moment().min(last));
        if order != last && !reading.viewer.may_see_place(order) {
            return Err(not_in_room());
        }
        let state = self.state_at(&reading.room, order).await?;
        let renderer = self.state_renderer(&reading.snapshot, &reading.room, reading.recipient(reader), &state).await?;
        let members = state.of_kind(&StateEventType::RoomMember).map(|(_, event)| event);
        let wanted = members.filter(|event| filter.lets_through(event));
        Ok(wanted.map(|event| renderer.state_of(&state, event).cast_unchecked()).collect())
    }

    /// The members who are joined, with what they show of themselves in this room.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if the user is not one of them.
    pub async fn joined_members(&self, room_id: &RoomId, user: &UserId) -> Result<BTreeMap<OwnedUserId, RoomMember>> {
        let state = self.room_of_member(room_id, user).await?.current();
        let profile = |user: &OwnedUserId| state.member(user).map(|event| profile(event)).unwrap_or_default();
        Ok(state.joined.iter().map(|user| (user.clone(), profile(user))).collect())
    }
}

impl MemberFilter {
    fn lets_through(&self, event: &Event) -> bool {
        let membership = event.membership();
        let wanted = self.membership.as_ref().map(|wanted| membership.as_ref() == Some(wanted));
        let other = self.not_membership.as_ref().map(|unwanted| membership.as_ref() != Some(unwanted));
        match (wanted, other) {
            (None, None) => true,
            (wanted, other) => wanted == Some(true) || other == Some(true),
        }
    }
}

/// The profile in a member event, without what has the wrong shape.
fn profile(event: &Event) -> RoomMember {
    #[derive(Deserialize)]
    struct Content {
        #[serde(default)]
        displayname: Value,
        #[serde(default)]
        avatar_url: Value,
    }

    let mut profile = RoomMember::new();
    // The specification lets the key be absent; other servers always send it, so that whoever learned from them finds it here
    // too. It is a string there and never `null`: no picture is an empty one.
    profile.avatar_url = Some(OwnedMxcUri::from(""));
    if let Ok(content) = event.content_as::<Content>() {
        profile.display_name = content.displayname.as_str().map(str::to_owned);
        profile.avatar_url = Some(OwnedMxcUri::from(content.avatar_url.as_str().unwrap_or_default()));
    }
    profile
}
