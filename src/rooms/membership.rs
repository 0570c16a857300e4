//! Joining, inviting, knocking, leaving, kicking and banning: every way a person's relation to a room changes
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-membership)).

use std::sync::Arc;

use ruma::{
    OwnedMxcUri, OwnedUserId, RoomId, UserId,
    events::{StateEventType, room::member::MembershipState},
    profile::{AvatarUrl, DisplayName},
};
use serde::Serialize;

use super::{Intent, Room, RoomState, Rooms, restricted};
use crate::{
    error::{Error, Kind, Result},
    storage::{
        Batch, Stamped,
        schema::rooms::{MEMBERSHIPS, Membership},
    },
    streams::{Change, Log, Position},
};

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
}

impl MemberContent {
    /// The bare membership.
    pub fn new(membership: MembershipState) -> Self {
        let (displayname, avatar_url, is_direct, reason, authorised_by) = (None, None, None, None, None);
        Self { membership, displayname, avatar_url, is_direct, reason, authorised_by }
    }

    /// The membership with the reason that was given for it.
    pub fn with_reason(membership: MembershipState, reason: Option<String>) -> Self {
        Self { reason, ..Self::new(membership) }
    }
}

/// What a look at the room's state says about a wish to change a membership.
enum Verdict {
    /// The rules of the room have the last word.
    Ask,
    /// It is so already.
    Done,
}

impl Rooms {
    /// Joins a room. Joining a room that one is in changes nothing.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the room's join rules do not let the user in.
    pub async fn join(&self, room_id: &RoomId, user: &UserId, reason: Option<String>) -> Result<()> {
        let room = self.room(room_id).await?;
        let mut content = MemberContent::with_reason(MembershipState::Join, reason);
        content.authorised_by = self.restricted_join(&room, user).await?;
        self.change_membership(&room, user, user, content, |state| match state.membership(user) {
            MembershipState::Join => Ok(Verdict::Done),
            _ => Ok(Verdict::Ask),
        })
        .await
    }

    /// Invites a user on behalf of a member.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the sender may not invite, or the user is banned or joined already.
    pub async fn invite(&self, room_id: &RoomId, sender: &UserId, user: &UserId, reason: Option<String>) -> Result<()> {
        let room = self.room_of_member(room_id, sender).await?;
        let content = MemberContent::with_reason(MembershipState::Invite, reason);
        self.change_membership(&room, sender, user, content, |_| Ok(Verdict::Ask)).await
    }

    /// Asks to be let into a room.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the room does not take knocks, or the user is in it, invited or banned.
    pub async fn knock(&self, room_id: &RoomId, user: &UserId, reason: Option<String>) -> Result<()> {
        let room = self.room(room_id).await?;
        let content = MemberContent::with_reason(MembershipState::Knock, reason);
        self.change_membership(&room, user, user, content, |_| Ok(Verdict::Ask)).await
    }

    /// Leaves a room, refuses an invitation or takes back a knock. Leaving a room that one has left changes nothing.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the user never had to do with the room or is banned.
    pub async fn leave(&self, room_id: &RoomId, user: &UserId, reason: Option<String>) -> Result<()> {
        let room = self.room(room_id).await?;
        let content = MemberContent::with_reason(MembershipState::Leave, reason);
        self.change_membership(&room, user, user, content, |state| match state.member(user).map(|e| e.membership()) {
            None => Err(Error::forbidden("You are not in this room.")),
            Some(Some(MembershipState::Leave)) => Ok(Verdict::Done),
            _ => Ok(Verdict::Ask),
        })
        .await
    }

    /// Removes someone who is joined, invited or knocking.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the sender may not, or the user is not there to be removed.
    pub async fn kick(&self, room_id: &RoomId, sender: &UserId, user: &UserId, reason: Option<String>) -> Result<()> {
        let room = self.room_of_member(room_id, sender).await?;
        let content = MemberContent::with_reason(MembershipState::Leave, reason);
        self.change_membership(&room, sender, user, content, |state| match state.membership(user) {
            MembershipState::Join | MembershipState::Invite | MembershipState::Knock => Ok(Verdict::Ask),
            _ => Err(Error::forbidden("That user is not in the room.")),
        })
        .await
    }

    /// Bans someone, whether or not they are in the room.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the sender may not.
    pub async fn ban(&self, room_id: &RoomId, sender: &UserId, user: &UserId, reason: Option<String>) -> Result<()> {
        let room = self.room_of_member(room_id, sender).await?;
        let content = MemberContent::with_reason(MembershipState::Ban, reason);
        self.change_membership(&room, sender, user, content, |_| Ok(Verdict::Ask)).await
    }

    /// Takes back a ban; the user is out of the room, and may come back as the join rules say.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the sender may not, or the user is not banned.
    pub async fn unban(&self, room_id: &RoomId, sender: &UserId, user: &UserId, reason: Option<String>) -> Result<()> {
        let room = self.room_of_member(room_id, sender).await?;
        let content = MemberContent::with_reason(MembershipState::Leave, reason);
        self.change_membership(&room, sender, user, content, |state| match state.membership(user) {
            MembershipState::Ban => Ok(Verdict::Ask),
            _ => Err(Error::forbidden("That user is not banned.")),
        })
        .await
    }

    /// Drops a room that the user has left from everything they see.
    ///
    /// # Errors
    ///
    /// [`Kind::Unknown`] if the user is still in the room, invited or knocking.
    pub async fn forget(&self, room_id: &RoomId, user: &UserId) -> Result<()> {
        let store = &self.shared.store;
        let row = MEMBERSHIPS.get(&store.snapshot(), (user, room_id)).await?;
        let row = row.ok_or_else(|| Kind::Unknown.with("You have never been in this room."))?;
        if !matches!(row.value.membership, MembershipState::Leave | MembershipState::Ban) {
            return Err(Kind::Unknown.with("Leave the room before you forget it."));
        }
        if row.value.forgotten {
            return Ok(());
        }
        let mut batch = Batch::new();
        MEMBERSHIPS.expect(&mut batch, (user, room_id), Some(&row));
        let forgotten = Membership { forgotten: true, ..row.value };
        MEMBERSHIPS.put(&mut batch, (user, room_id), &Stamped { at: Position::pending(0), value: forgotten });
        Log::append(&mut batch, 0, &Change::Forgotten { room: room_id.to_owned(), user: user.to_owned() });
        self.wake_when_visible(&mut batch, user);
        store.commit(batch).await.map(drop)
    }

    /// The room, if `user` is in it: a stranger learns nothing, not even whether it exists.
    pub(super) async fn room_of_member(&self, room_id: &RoomId, user: &UserId) -> Result<Arc<Room>> {
        let not_in_room = || Error::forbidden("You are not in this room.");
        let room = self.room(room_id).await.map_err(|error| match error.kind {
            Kind::NotFound => not_in_room(),
            _ => error,
        })?;
        match room.current().is_joined(user) {
            true => Ok(room),
            false => Err(not_in_room()),
        }
    }

    /// The event that gives `target` a membership, with the profile that members see.
    pub(super) async fn membership_intent(
        &self,
        sender: &UserId,
        target: &UserId,
        mut content: MemberContent,
    ) -> Result<Intent> {
        let shows_profile =
            matches!(content.membership, MembershipState::Join | MembershipState::Invite | MembershipState::Knock);
        if shows_profile && target.server_name() == self.shared.settings.server_name {
            match self.shared.profiles.get(target).await {
                Ok(profile) => {
                    content.displayname = profile.get_static::<DisplayName>().ok().flatten();
                    content.avatar_url = profile.get_static::<AvatarUrl>().ok().flatten();
                }
                // Someone may be invited who has no account yet.
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Intent::state(sender, StateEventType::RoomMember, target.as_str(), &content)
    }

    async fn change_membership(
        &self,
        room: &Arc<Room>,
        sender: &UserId,
        target: &UserId,
        content: MemberContent,
        judge: impl Fn(&RoomState) -> Result<Verdict>,
    ) -> Result<()> {
        let intent = self.membership_intent(sender, target, content).await?;
        let mut writer = self.write(room).await?;
        if let Verdict::Done = judge(writer.state())? {
            return Ok(());
        }
        writer.add(intent)?;
        writer.commit().await.map(drop)
    }

    /// The member on whose word `user` may join a restricted room, if the room asks for one.
    async fn restricted_join(&self, room: &Room, user: &UserId) -> Result<Option<OwnedUserId>> {
        let state = room.current();
        if matches!(state.membership(user), MembershipState::Join | MembershipState::Invite) {
            return Ok(None);
        }
        let Some(allowing) = restricted::allowing_rooms(room, &state) else { return Ok(None) };
        for room_id in allowing {
            if self.room(&room_id).await.is_ok_and(|room| room.current().is_joined(user)) {
                return restricted::authorising_member(room, &state, &self.shared.settings.server_name).map(Some);
            }
        }
        Err(Error::forbidden("You are in none of the rooms whose members may join this one."))
    }

    /// Wakes the clients of `user` when `batch` becomes visible.
    pub(super) fn wake_when_visible(&self, batch: &mut Batch, user: &UserId) {
        let (notifier, user) = (self.shared.notifier.clone(), user.to_owned());
        batch.on_visible(move |_| notifier.wake(&user));
    }
}
