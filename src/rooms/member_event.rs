//! The `m.room.member` events that this server writes: what stands in them, and that they show the profile of their person
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#mroommember)).

use ruma::{
    OwnedMxcUri, OwnedUserId, UserId,
    events::{StateEventType, room::member::MembershipState},
    profile::{AvatarUrl, DisplayName, UserProfile},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Intent, RoomState, Rooms, Writer};
use crate::error::{Error, Result};

/// The content of an `m.room.member` event, as this server writes it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct MemberContent {
    /// The new membership.
    pub membership: MembershipState,
    /// The name that the person goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub displayname: Option<String>,
    /// The picture of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<OwnedMxcUri>,
    /// Whether the room was made as a direct chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_direct: Option<bool>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The member whose right to invite lets this person join a restricted room.
    #[serde(skip_serializing_if = "Option::is_none", rename = "join_authorised_via_users_server")]
    pub authorised_by: Option<OwnedUserId>,
    /// What a client adds of its own.
    #[serde(flatten)]
    pub custom: Map<String, Value>,
}

/// The fields that have a meaning of their own: a client does not set them by adding something to a join.
const MEANINGFUL: [&str; 8] = [
    "avatar_url",
    "displayname",
    "is_direct",
    "join_authorised_via_users_server",
    "membership",
    "reason",
    "third_party_invite",
    "third_party_signed",
];

impl MemberContent {
    /// The bare membership.
    pub fn new(membership: MembershipState) -> Self {
        let (displayname, avatar_url, is_direct, reason, authorised_by) = (None, None, None, None, None);
        Self { membership, displayname, avatar_url, is_direct, reason, authorised_by, custom: Map::new() }
    }

    /// The membership with the reason that was given for it.
    pub fn with_reason(membership: MembershipState, reason: Option<String>) -> Self {
        Self { reason, ..Self::new(membership) }
    }

    /// The same with what a client adds of its own, as far as it has no meaning to the server.
    pub fn with_custom(self, mut custom: Map<String, Value>) -> Self {
        custom.retain(|key, _| !MEANINGFUL.contains(&key.as_str()));
        Self { custom, ..self }
    }

    /// Whether members see the person's name and picture in it. Who removes someone does not repeat what that one shows.
    fn shows_profile(&self, sender: &UserId, target: &UserId) -> bool {
        match self.membership {
            MembershipState::Join | MembershipState::Invite | MembershipState::Knock => true,
            MembershipState::Leave => sender == target,
            _ => false,
        }
    }

    fn show(&mut self, profile: Option<&UserProfile>) {
        self.displayname = profile.and_then(|profile| profile.get_static::<DisplayName>().ok().flatten());
        self.avatar_url = profile.and_then(|profile| profile.get_static::<AvatarUrl>().ok().flatten());
    }
}

/// What became of a member event that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is part of the writer's batch.
    Event,
    /// The newest member event of that person says the same from the same sender.
    Nothing,
}

impl Rooms {
    /// Adds the event by which `sender` gives `target` a membership, with the profile that members see, unless the person's
    /// newest member event is exactly that.
    ///
    /// A join is written only if the profile is still the one that the join shows: changes of a profile reach the rooms
    /// that their user has joined by then, and none must fall in between.
    pub(super) async fn add_member(
        &self,
        writer: &mut Writer,
        sender: &UserId,
        target: &UserId,
        mut content: MemberContent,
    ) -> Result<Added> {
        let is_local = target.server_name() == self.shared.settings.server_name;
        if is_local && content.shows_profile(sender, target) {
            let profiles = &self.shared.profiles;
            let profile = profiles.stored(&self.shared.store.snapshot(), target).await?;
            content.show(profile.as_ref());
            if content.membership == MembershipState::Join {
                profiles.require_unchanged(writer.batch(), target, profile.as_ref());
            }
        }
        let content = serde_json::to_value(&content).map_err(Error::internal)?;
        if repeats(writer.state(), sender, target, &content) {
            return Ok(Added::Nothing);
        }
        writer.add(Intent::state(sender, StateEventType::RoomMember, target.as_str(), &content)?)?;
        Ok(Added::Event)
    }
}

/// Whether the newest member event of `target` has this sender and this content.
fn repeats(state: &RoomState, sender: &UserId, target: &UserId, content: &Value) -> bool {
    state.member(target).is_some_and(|newest| {
        newest.sender == *sender && newest.content_as::<Value>().is_ok_and(|newest| newest == *content)
    })
}
