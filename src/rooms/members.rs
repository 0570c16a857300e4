//! Reads who belongs, and belonged, to a room.

use std::collections::BTreeMap;

use ruma::{
    OwnedUserId, RoomId, UserId,
    events::{
        StateEventType,
        room::member::{MembershipState, RoomMemberEvent},
    },
    serde::Raw,
};
use serde::{Deserialize, Serialize};

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

/// What a joined member shows of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemberProfile {
    /// The name, if they have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The picture, if they have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
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
    pub async fn joined_members(
        &self,
        room_id: &RoomId,
        user: &UserId,
    ) -> Result<BTreeMap<OwnedUserId, MemberProfile>> {
        let state = self.room_of_member(room_id, user).await?.current();
        let profile = |user: &OwnedUserId| state.member(user).map(|event| MemberProfile::of(event)).unwrap_or_default();
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

impl MemberProfile {
    /// The profile in a member event, without what has the wrong shape.
    fn of(event: &Event) -> Self {
        #[derive(Deserialize)]
        struct Content {
            #[serde(default)]
            displayname: serde_json::Value,
            #[serde(default)]
            avatar_url: serde_json::Value,
        }

        let text = |value: serde_json::Value| value.as_str().map(str::to_owned);
        event.content_as::<Content>().map_or_else(
            |_| Self::default(),
            |content| Self { display_name: text(content.displayname), avatar_url: text(content.avatar_url) },
        )
    }
}
