//! Whoever leaves the server leaves its rooms: memberships end, invitations are refused and knocks taken back
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#account-deactivation)).

use ruma::{OwnedRoomId, OwnedUserId, UserId, events::room::member::MembershipState};

use super::{DelayAction, Rooms, keeping_up::in_each};
use crate::error::{Kind, Result};

impl Rooms {
    /// Ends every relation to a room that `user` still has, and what they wanted to be sent later is not sent any more.
    pub(super) async fn depart(&self, user: &UserId) -> Result<()> {
        for delayed in self.delayed_events(user).await? {
            match self.act_on_delayed(&delayed.id, DelayAction::Cancel).await {
                // It was sent or forgotten at the same moment.
                Err(error) if matches!(error.kind, Kind::Conflict | Kind::NotFound) => {}
                outcome => outcome?,
            }
        }
        let rooms = self.of_user(&self.shared.store.snapshot(), user).await?.into_iter();
        let open =
            rooms.filter(|(_, row)| !matches!(row.value.membership, MembershipState::Leave | MembershipState::Ban));
        in_each(open.map(|(room_id, _)| room_id).collect(), |room_id| {
            self.clone().leave_for_good(room_id, user.to_owned())
        })
        .await
    }

    async fn leave_for_good(self, room_id: OwnedRoomId, user: OwnedUserId) -> Result<()> {
        let room = self.room(&room_id).await?;
        match self.leave_whatever_it_is(&room, &user, None).await {
            // Somebody banned them meanwhile, which is as good.
            Err(error) if error.kind == Kind::Forbidden => Ok(()),
            outcome => outcome,
        }
    }
}
