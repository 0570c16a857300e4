//! Who proves by a password to be whom, and how often somebody may try: the same wherever passwords are typed.

use ruma::{OwnedUserId, api::client::uiaa::UserIdentifier};

use super::rate_limit::{Client, Limit, RateLimits};
use crate::{
    error::{Error, Result},
    users::Accounts,
};

/// The user whom `identifier` means, if `password` is theirs. Whether there is such a user shows neither in the answer nor in
/// the time that it takes. What an address of the network may try is counted by the caller.
///
/// # Errors
///
/// `Forbidden` if there is no such user or the password is wrong; `UserDeactivated` or `UserLocked` if the account cannot be
/// used; `LimitExceeded` after too many attempts.
pub async fn user_with_password(
    rate_limits: &RateLimits,
    accounts: &Accounts,
    identifier: &UserIdentifier,
    password: &str,
) -> Result<OwnedUserId> {
    if let UserIdentifier::Email(identifier) = identifier {
        // It is counted whether or not somebody has the address, which must not show.
        rate_limits.spend(Limit::Login, Client::mailbox(&identifier.address))?;
    }
    let user = accounts.user_meant(identifier).await?;
    if let Some(user) = &user {
        rate_limits.spend(Limit::Login, &**user)?;
    }
    accounts.check_password_of_anyone(user.as_deref(), password).await?;
    user.ok_or_else(|| Error::internal("nobody has the right password"))
}
