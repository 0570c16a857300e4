//! E-mail addresses of accounts: whose they are, and how people prove that an address is theirs.
//!
//! There are no telephone numbers: this server sends no short messages. Nothing is bound at an identity server.

mod requests;
mod validations;

#[cfg(test)]
mod tests;

use ruma::{
    MilliSecondsSinceUnixEpoch, UInt, UserId,
    thirdparty::{Medium, ThirdPartyIdentifier, ThirdPartyIdentifierInit},
};

pub use self::{
    requests::ValidationRequest,
    validations::{Confirmed, EmailValidations, ValidatedAddress},
};
use super::accounts::Accounts;
use crate::{
    clock::Clock,
    error::{Error, Kind, Result},
    matrix::email_address::EmailAddress,
    storage::{
        Batch, Direction, KeyRange, Snapshot, Store,
        schema::third_party_ids::{THIRD_PARTY_ID_OWNERS, THIRD_PARTY_IDS, ThirdPartyId},
        until_settled,
    },
};

/// The medium of e-mail addresses.
pub(super) const EMAIL: &str = "email";
/// How many addresses an account can have, so that a list of them stays one.
const MAXIMUM_PER_ACCOUNT: usize = 20;

/// A cheap-clone service over the addresses of all accounts.
#[derive(Clone)]
pub struct ThirdPartyIds {
    store: Store,
    accounts: Accounts,
    validations: EmailValidations,
    clock: Clock,
}

impl ThirdPartyIds {
    /// The addresses in `store` of those in `accounts`, proved by `validations`.
    pub fn new(store: Store, accounts: Accounts, validations: EmailValidations, clock: Clock) -> Self {
        Self { store, accounts, validations, clock }
    }

    /// The addresses of `user`.
    pub async fn of(&self, user: &UserId) -> Result<Vec<ThirdPartyIdentifier>> {
        let snapshot = self.store.snapshot();
        let rows = THIRD_PARTY_IDS.scan(&snapshot, KeyRange::prefix((user,)), Direction::Forward, usize::MAX).await?;
        let time = |millis| MilliSecondsSinceUnixEpoch(UInt::new_saturating(millis));
        let identifier = |((_, medium, address), id): ((_, String, String), ThirdPartyId)| {
            let (validated_at, added_at) = (time(id.validated_at), time(id.added_at));
            ThirdPartyIdentifierInit { address, medium: medium.into(), validated_at, added_at }.into()
        };
        Ok(rows.into_iter().map(identifier).collect())
    }

    /// Adds an address that was proved for that to the account of `user`, once.
    ///
    /// # Errors
    ///
    /// `AddressInUse` if an account has it; `AddressUnproven` if the proof was used or is over; `Forbidden` if the account
    /// has too many; `NotFound` or `UserDeactivated` if there is no account to add it to.
    pub async fn add(&self, user: &UserId, proof: &ValidatedAddress) -> Result<()> {
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let account = self.accounts.for_update(&snapshot, user).await?;
            let range = KeyRange::prefix((user,));
            let present = THIRD_PARTY_IDS.scan(&snapshot, range, Direction::Forward, MAXIMUM_PER_ACCOUNT).await?;
            if present.len() >= MAXIMUM_PER_ACCOUNT {
                return Err(Error::forbidden("An account has at most 20 addresses: remove one that you do not need."));
            }
            let mut batch = Batch::new();
            batch.slots(0);
            // An account that ends at this moment must not keep the address.
            self.accounts.require_unchanged(&mut batch, user, &account);
            self.bind(&mut batch, &snapshot, user, proof).await?;
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Removes an address from the account of `user`, if it has it.
    ///
    /// # Errors
    ///
    /// None for an address that the account does not have: it is as gone as was asked for.
    pub async fn remove(&self, user: &UserId, medium: &Medium, address: &str) -> Result<()> {
        let address = match (medium, EmailAddress::parse(address)) {
            (Medium::Email, Some(address)) => address,
            _ => return Ok(()),
        };
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let key = (user, EMAIL, address.as_str());
            let Some(id) = THIRD_PARTY_IDS.get(&snapshot, key).await? else { return Ok(()) };
            let mut batch = Batch::new();
            batch.slots(0);
            THIRD_PARTY_IDS.expect(&mut batch, key, Some(&id));
            THIRD_PARTY_IDS.delete(&mut batch, key);
            THIRD_PARTY_ID_OWNERS.delete(&mut batch, (EMAIL, address.as_str()));
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Adds to `batch` that `user` has the address of `proof`, which is used up by it.
    ///
    /// # Errors
    ///
    /// `AddressInUse` if an account has it; `AddressUnproven` if the proof was used or is over.
    pub(super) async fn bind(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        proof: &ValidatedAddress,
    ) -> Result<()> {
        let validated_at = self.validations.spend(batch, snapshot, proof).await?;
        let address = proof.address.as_str();
        if THIRD_PARTY_ID_OWNERS.exists(snapshot, (EMAIL, address)).await? {
            return Err(in_use());
        }
        let id = ThirdPartyId { validated_at, added_at: self.clock.millis() };
        THIRD_PARTY_ID_OWNERS.expect(batch, (EMAIL, address), None);
        THIRD_PARTY_ID_OWNERS.put(batch, (EMAIL, address), &user.to_owned());
        THIRD_PARTY_IDS.put(batch, (user, EMAIL, address), &id);
        Ok(())
    }

    /// Adds to `batch` that `proof` is used up by something that `user` may do because of having its address.
    ///
    /// # Errors
    ///
    /// `AddressUnproven` if the proof was used or is over, or if `user` does not have the address any more.
    pub(super) async fn spend_as_owner(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        user: &UserId,
        proof: &ValidatedAddress,
    ) -> Result<()> {
        let key = (EMAIL, proof.address.as_str());
        let owner = THIRD_PARTY_ID_OWNERS.get(snapshot, key).await?;
        let owner = owner.filter(|owner| owner == user).ok_or_else(validations::unproven)?;
        THIRD_PARTY_ID_OWNERS.expect(batch, key, Some(&owner));
        self.validations.spend(batch, snapshot, proof).await.map(drop)
    }
}

/// Adds to `batch` that `user` has no address any more.
pub(super) async fn forget(batch: &mut Batch, snapshot: &Snapshot, user: &UserId) -> Result<()> {
    let range = || KeyRange::prefix((user,));
    for ((_, medium, address), _) in THIRD_PARTY_IDS.scan(snapshot, range(), Direction::Forward, usize::MAX).await? {
        THIRD_PARTY_ID_OWNERS.delete(batch, (&medium, &address));
    }
    THIRD_PARTY_IDS.delete_range(batch, range());
    Ok(())
}

fn in_use() -> Error {
    Kind::AddressInUse.with("This address belongs to an account already.")
}
