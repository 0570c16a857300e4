//! Guests: people who look around without a name and a password, and may register later
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#guest-access)).

use ruma::{OwnedUserId, UserId};

use super::{Admission, NewAccount, Registration};
use crate::{
    error::{Error, Kind, Result},
    storage::{
        Batch,
        schema::users::{Account, PasswordHash, Role, Standing},
        until_settled,
    },
    users::third_party_ids::ValidatedAddress,
};

impl Registration {
    /// Makes the account of a guest, to whom the server gives a name.
    ///
    /// # Errors
    ///
    /// `GuestAccessForbidden` if the operator wants no guests.
    pub async fn register_guest(&self) -> Result<OwnedUserId> {
        if !self.options.guests {
            return Err(Kind::GuestAccessForbidden.with("This server has no guests."));
        }
        let admission = Admission::Granted(Role::Guest);
        self.register(NewAccount { username: None, password: None, display_name: None, admission }).await
    }

    /// Checks that `username` is the one that the guest account of `guest` has to be registered with.
    ///
    /// # Errors
    ///
    /// `MissingParam` if there is none, `InvalidUsername` if it is another.
    pub fn check_name_of_guest(&self, guest: &UserId, username: Option<&str>) -> Result<()> {
        let username = username.ok_or_else(|| {
            Kind::MissingParam.with("Who registers the account of a guest names it: set username to its localpart.")
        })?;
        match username.to_ascii_lowercase() == guest.localpart() {
            true => Ok(()),
            false => Err(Kind::InvalidUsername.with("The account of a guest keeps the name that it has.")),
        }
    }

    /// Makes a whole account of a guest's, with the name, the rooms and the sessions that it has.
    ///
    /// # Errors
    ///
    /// `Forbidden` if `guest` is none, or not any more, and otherwise as [`Registration::register_with`].
    pub async fn register_guests_account(
        &self,
        guest: &UserId,
        new: &NewAccount,
        address: Option<&ValidatedAddress>,
    ) -> Result<()> {
        let password_hash = match &new.password {
            Some(password) => Some(self.accounts.passwords().hash(password).await?),
            None => None,
        };
        until_settled(|| self.commit_upgrade(guest, new, address, password_hash.clone())).await
    }

    async fn commit_upgrade(
        &self,
        guest: &UserId,
        new: &NewAccount,
        address: Option<&ValidatedAddress>,
        password_hash: Option<PasswordHash>,
    ) -> Result<()> {
        let snapshot = self.store.snapshot();
        let before = self.accounts.for_update(&snapshot, guest).await?;
        let Account { role: Role::Guest, standing: Standing::Active, .. } = before else {
            return Err(Error::forbidden("This is not the account of a guest."));
        };
        let mut batch = Batch::new();
        let role = self.admit(&mut batch, &snapshot, &new.admission).await?;
        self.accounts.replace(&mut batch, guest, &before, &Account { password_hash, role, ..before.clone() });
        if let Some(address) = address {
            self.third_party_ids.bind(&mut batch, &snapshot, guest, address).await?;
        }
        self.store.commit(batch).await.map(drop)
    }
}
