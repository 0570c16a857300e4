//! Who can be invited at all ([spec](https://spec.matrix.org/v1.19/client-server-api/#invite-permission)).

use ruma::UserId;

use super::Rooms;
use crate::{
    error::{Error, Kind, Result},
    matrix::invite_filter::InviteVerdict,
    storage::Snapshot,
};

impl Rooms {
    /// Whether `inviter` may invite `user`. An invitation that the user ignores is one like any other to who sends it.
    ///
    /// # Errors
    ///
    /// [`Kind::InviteBlocked`] if the user wants none, [`Kind::Forbidden`] if the user is on another server, which would
    /// never hear of it.
    pub(super) async fn check_invitable(&self, inviter: &UserId, user: &UserId) -> Result<()> {
        if user.server_name() != self.shared.settings.server_name {
            return Err(Error::forbidden(format!("{user} is on another server, and this one does not federate.")));
        }
        match self.shared.account_data.invite_verdict(&self.shared.store.snapshot(), user, inviter).await? {
            InviteVerdict::Block => Err(Kind::InviteBlocked.with(format!("{user} wants no invitations of yours."))),
            InviteVerdict::Deliver | InviteVerdict::Ignore => Ok(()),
        }
    }

    /// Whether `user` is to hear, as of `snapshot`, of an invitation from `inviter`: not of those by people whom they ignore, nor
    /// of those that they do not want. Those of the server itself always come through.
    pub async fn hears_invitation(&self, snapshot: &Snapshot, user: &UserId, inviter: &UserId) -> Result<bool> {
        if self.speaks_for_server(inviter) {
            return Ok(true);
        }
        if self.ignored_by(snapshot, user).await?.contains(inviter) {
            return Ok(false);
        }
        let verdict = self.shared.account_data.invite_verdict(snapshot, user, inviter).await?;
        Ok(verdict == InviteVerdict::Deliver)
    }
}
