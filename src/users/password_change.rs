//! Changing a password, and with it the sessions that were made with the old one.

use ruma::{OwnedDeviceId, UserId};

use super::{
    accounts::{self, Accounts},
    sessions::Sessions,
    third_party_ids::{ThirdPartyIds, ValidatedAddress},
};
use crate::{
    error::Result,
    storage::{
        Batch, Snapshot,
        schema::users::{Account, PasswordHash},
        until_settled,
    },
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
        let (snapshot, mut batch) = (accounts.store().snapshot(), Batch::new());
        set_in(&mut batch, &snapshot, accounts, sessions, user, password_hash.clone(), others).await?;
        accounts.store().commit(batch).await.map(drop)
    })
    .await
}

/// As [`change_password`], for somebody who forgot the old one and proved to have the e-mail address of the account, which
/// counts once.
///
/// # Errors
///
/// As [`change_password`]; `AddressUnproven` if the proof was used or is over; `UserLocked` if the account cannot be used.
pub async fn reset_password(
    (accounts, sessions, third_party_ids): (&Accounts, &Sessions, &ThirdPartyIds),
    user: &UserId,
    new_password: &str,
    others: &OtherSessions,
    proof: &ValidatedAddress,
) -> Result<()> {
    let password_hash = Some(accounts.passwords().hash(new_password).await?);
    until_settled(|| async {
        let (snapshot, mut batch) = (accounts.store().snapshot(), Batch::new());
        third_party_ids.spend_as_owner(&mut batch, &snapshot, user, proof).await?;
        let account = set_in(&mut batch, &snapshot, accounts, sessions, user, password_hash.clone(), others).await?;
        accounts::require_usable(&account)?;
        accounts.store().commit(batch).await.map(drop)
    })
    .await
}

/// Adds to `batch` that `user` has another password, and returns the account as it was before.
async fn set_in(
    batch: &mut Batch,
    snapshot: &Snapshot,
    accounts: &Accounts,
    sessions: &Sessions,
    user: &UserId,
    password_hash: Option<PasswordHash>,
    others: &OtherSessions,
) -> Result<Account> {
    let account = accounts.for_update(snapshot, user).await?;
    accounts.replace(batch, user, &account, &Account { password_hash, ..account.clone() });
    if let OtherSessions::End { but } = others {
        sessions.end_in(batch, snapshot, user, |device| but.as_deref() != Some(device)).await?;
    }
    Ok(account)
}
