//! Who can be invited at all ([spec](https://spec.matrix.org/v1.19/client-server-api/#invite-permission)).

use ruma::UserId;

use super::Rooms;
use crate::error::{Error, Kind, Result};

impl Rooms {
    /// Whether invitations reach `user`.
    ///
    /// # Errors
    ///
    /// [`Kind::InviteBlocked`] if the user wants none, [`Kind::Forbidden`] if the user is on another server, which would
    /// never hear of it.
    pub(super) async fn check_invitable(&self, user: &UserId) -> Result<()> {
        if user.server_name() != self.shared.settings.server_name {
            return Err(Error::forbidden(format!("{user} is on another server, and this one does not federate.")));
        }
        match self.shared.account_data.blocks_invites(&self.shared.store.snapshot(), user).await? {
            true => Err(Kind::InviteBlocked.with(format!("{user} wants no invitations."))),
            false => Ok(()),
        }
    }
}
