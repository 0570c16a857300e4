//! Changing a password, and with it the sessions that were made with the old one.

use ruma::{OwnedDeviceId, UserId};

use super::{accounts::Accounts, sessions::Sessions};
use crate::{
    error::Result,
    storage::{Batch, schema::users::Account, until_settled},
};

/// What becomes of the user's sessions when the password changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherSessions {
    /// They end, but for the one on this device, from which the password was changed.
    End {
        /// The device that stays; `None` if the change came from none.
        but: Option<OwnedDeviceId>,
    },
    /// They go on.
    Keep,
}

/// Sets the password of `user`.
///
/// # Errors
///
/// `WeakPassword` if it is too weak; `NotFound` or `UserDeactivated` if there is no account to set it for.
pub async fn change_password(
    accounts: &Accounts,
    sessions: &Sessions,
    user: &UserId,
    new_password: &str,
    others: &OtherSessions,
) -> Result<()> {
    let password_hash = Some(accounts.passwords().hash(new_password).await?);
    until_settled(|| async {
        let snapshot = accounts.store().snapshot();
        let account = accounts.for_update(&snapshot, user).await?;
        let mut batch = Batch::new();
        let changed = Account { password_hash: password_hash.clone(), ..account.clone() };
        accounts.replace(&mut batch, user, &account, &changed);
        if let OtherSessions::End { but } = others {
            sessions.end_in(&mut batch, &snapshot, user, |device| but.as_deref() != Some(device)).await?;
        }
        accounts.store().commit(batch).await.map(drop)
    })
    .await
}
