//! Joining, inviting, knocking, leaving, kicking and banning: every way a person's relation to a room changes
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#room-membership)).

use std::sync::Arc;

use ruma::{RoomId, UserId, events::room::member::MembershipState};

use serde_json::{Map, Value};

use super::{
    Room, RoomState, Rooms,
    guests::check_joiner,
    member_event::{Added, MemberContent},
    upgrade_settings::Carried,
};
use crate::{
    error::{Error, Kind, Result},
    storage::{
        Batch, Stamped,
        schema::rooms::{MEMBERSHIPS, Membership},
        until_settled,
    },
    streams::{Change, Log},
};

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
    /// [`Kind::NotFound`] if this server does not know the room, [`Kind::Forbidden`] if the room's join rules do not let the
    /// user in, [`Kind::GuestAccessForbidden`] if the user is a guest and the room lets none in.
    pub async fn join(&self, room_id: &RoomId, user: &UserId, reason: Option<String>) -> Result<()> {
        self.join_with(room_id, user, reason, Map::new()).await
    }

    /// Joins a room as [`Rooms::join`] does, with something that the user's client adds to the member event.
    ///
    /// # Errors
    ///
    /// As [`Rooms::join`].
    pub async fn join_with(
        &self,
        room_id: &RoomId,
        user: &UserId,
        reason: Option<String>,
        custom: Map<String, Value>,
    ) -> Result<()> {
        let room = self.room(room_id).await?;
        let mut content = MemberContent::with_reason(MembershipState::Join, reason).with_custom(custom);
        content.authorised_by = self.restricted_join(&room, user).await?;
        let joiner = self.joiner(user).await?;
        self.change_membership(&room, user, user, content, |state| match state.membership(user) {
            MembershipState::Join => Ok(Verdict::Done),
            _ => check_joiner(state, joiner).map(|()| Verdict::Ask),
        })
        .await
    }

    /// Invites a user on behalf of a member. Repeating an invitation changes nothing.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the sender may not invite, or the user is banned, joined already or on another server;
    /// [`Kind::InviteBlocked`] if the user wants no invitations.
    pub async fn invite(&self, room_id: &RoomId, sender: &UserId, user: &UserId, reason: Option<String>) -> Result<()> {
        let room = self.room_of_member(room_id, sender).await?;
        self.check_invitable(sender, user).await?;
        let content = MemberContent::with_reason(MembershipState::Invite, reason);
        self.change_membership(&room, sender, user, content, |_| Ok(Verdict::Ask)).await
    }

    /// Asks to be let into a room.
    ///
    /// # Errors
    ///
    /// [`Kind::NotFound`] if this server does not know the room, [`Kind::Forbidden`] if the room does not take knocks, or
    /// the user is in it, invited or banned.
    pub async fn knock(&self, room_id: &RoomId, user: &UserId, reason: Option<String>) -> Result<()> {
        let room = self.room(room_id).await?;
        let content = MemberContent::with_reason(MembershipState::Knock, reason);
        self.change_membership(&room, user, user, content, |_| Ok(Verdict::Ask)).await
    }

    /// Leaves a room, refuses an invitation or takes back a knock. Leaving a room that one has left changes nothing.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the user never had to do with the room or is banned, [`Kind::CannotLeaveServerNoticeRoom`] if
    /// it is the server itself that invites them.
    pub async fn leave(&self, room_id: &RoomId, user: &UserId, reason: Option<String>) -> Result<()> {
        let room = self.room(room_id).await.map_err(as_not_in_room)?;
        self.check_may_leave(&room, user).await?;
        self.leave_whatever_it_is(&room, user, reason).await
    }

    /// As [`Rooms::leave`], also when it is the server itself that invites the user.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`] if the user never had to do with the room or is banned.
    pub(super) async fn leave_whatever_it_is(
        &self,
        room: &Arc<Room>,
        user: &UserId,
        reason: Option<String>,
    ) -> Result<()> {
        let content = MemberContent::with_reason(MembershipState::Leave, reason);
        self.change_membership(room, user, user, content, |state| match state.member(user).map(|e| e.membership()) {
            None => Err(not_in_room()),
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

    /// Drops a room that the user has left from everything they see, until they have to do with it again.
    ///
    /// # Errors
    ///
    /// [`Kind::Unknown`] if the user is still in the room, invited or knocking, or never was.
    pub async fn forget(&self, room_id: &RoomId, user: &UserId) -> Result<()> {
        let store = &self.shared.store;
        until_settled(|| async {
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
            // The position stays that of the leave, so that devices which have not heard of it yet still do.
            let forgotten = Stamped { at: row.at, value: Membership { forgotten: true, ..row.value } };
            MEMBERSHIPS.put(&mut batch, (user, room_id), &forgotten);
            Log::append(&mut batch, 0, &Change::Forgotten { room: room_id.to_owned(), user: user.to_owned() });
            self.wake_when_visible(&mut batch, user);
            store.commit(batch).await.map(drop)
        })
        .await
    }

    /// The room, if `user` is in it: a stranger learns nothing, not even whether it exists.
    pub(super) async fn room_of_member(&self, room_id: &RoomId, user: &UserId) -> Result<Arc<Room>> {
        let room = self.room(room_id).await.map_err(as_not_in_room)?;
        match room.current().is_joined(user) {
            true => Ok(room),
            false => Err(not_in_room()),
        }
    }

    /// Gives `target` the membership of `content`, if `judge` lets that happen in the room's state. Returns when it is
    /// visible to everyone.
    async fn change_membership(
        &self,
        room: &Arc<Room>,
        sender: &UserId,
        target: &UserId,
        content: MemberContent,
        judge: impl Fn(&RoomState) -> Result<Verdict>,
    ) -> Result<()> {
        until_settled(|| async {
            let carried = match content.membership {
                MembershipState::Join => self.carried_to(room, target).await?,
                _ => Carried::default(),
            };
            let intent = self.member_intent(sender, target, content.clone()).await?;
            let mut writer = self.write(room).await?;
            let added = match judge(writer.state())? {
                Verdict::Ask => self.add_member(&mut writer, intent)?,
                Verdict::Done => Added::Nothing,
            };
            match added {
                Added::Event => {
                    self.carry(&mut writer, target, carried);
                    writer.commit().await.map(drop)
                }
                Added::Nothing => {
                    drop(writer);
                    self.until_visible().await
                }
            }
        })
        .await
    }

    /// Waits until everything that was queued so far is visible, for answers about a state that may be ahead of it.
    pub(super) async fn until_visible(&self) -> Result<()> {
        let mut nothing = Batch::new();
        nothing.slots(0);
        self.shared.store.commit(nothing).await.map(drop)
    }

    /// Wakes the clients of `user` when `batch` becomes visible.
    pub(super) fn wake_when_visible(&self, batch: &mut Batch, user: &UserId) {
        let (notifier, user) = (self.shared.notifier.clone(), user.to_owned());
        batch.on_visible(move |_| notifier.wake(&user));
    }
}

/// The answer to those outside, who may not learn what is inside.
pub(super) fn not_in_room() -> Error {
    Error::forbidden("You are not in this room.")
}

/// To those outside, a room that does not exist looks like one that does.
pub(super) fn as_not_in_room(error: Error) -> Error {
    match error.kind {
        Kind::NotFound => not_in_room(),
        _ => error,
    }
}
