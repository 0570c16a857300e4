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

/// A member event that is ready to be added to a room.
#[derive(Debug)]
pub(super) struct MemberIntent {
    sender: OwnedUserId,
    target: OwnedUserId,
    content: Value,
    shown: Option<Shown>,
}

/// A profile as it stands in a join. Changes of a profile reach the rooms that their user has joined by then: none must fall
/// in between, and so the join is written only if the profile is still this one.
#[derive(Debug)]
pub(super) struct Shown {
    /// Whose profile it is.
    pub user: OwnedUserId,
    /// The profile, if there is one.
    pub profile: Option<UserProfile>,
}

impl Rooms {
    /// The event by which `sender` gives `target` a membership, with the profile that members see. Reads, and so comes before
    /// the room's lock.
    pub(super) async fn member_intent(
        &self,
        sender: &UserId,
        target: &UserId,
        mut content: MemberContent,
    ) -> Result<MemberIntent> {
        let is_local = target.server_name() == self.shared.settings.server_name;
        let mut shown = None;
        if is_local && content.shows_profile(sender, target) {
            let profile = self.shared.profiles.stored(&self.shared.store.snapshot(), target).await?;
            content.show(profile.as_ref());
            let joins = content.membership == MembershipState::Join;
            shown = joins.then(|| Shown { user: target.to_owned(), profile });
        }
        let content = serde_json::to_value(&content).map_err(Error::internal)?;
        Ok(MemberIntent { sender: sender.to_owned(), target: target.to_owned(), content, shown })
    }

    /// Adds a member event, unless the person's newest one says the same from the same sender.
    pub(super) fn add_member(&self, writer: &mut Writer, intent: MemberIntent) -> Result<Added> {
        let MemberIntent { sender, target, content, shown } = intent;
        if repeats(writer.state(), &sender, &target, &content) {
            return Ok(Added::Nothing);
        }
        writer.add(Intent::state(&sender, StateEventType::RoomMember, target.as_str(), &content)?)?;
        self.require_shown(writer, shown);
        Ok(Added::Event)
    }

    /// Makes the writer's commit fail with a conflict if the profile is another one by then.
    pub(super) fn require_shown(&self, writer: &mut Writer, shown: Option<Shown>) {
        if let Some(Shown { user, profile }) = shown {
            self.shared.profiles.require_unchanged(writer.batch(), &user, profile.as_ref());
        }
    }
}

/// Whether the newest member event of `target` has this sender and this content.
fn repeats(state: &RoomState, sender: &UserId, target: &UserId, content: &Value) -> bool {
    state.member(target).is_some_and(|newest| {
        newest.sender == *sender && newest.content_as::<Value>().is_ok_and(|newest| newest == *content)
    })
}
