//! Suspended accounts: they read, leave and log out, and do little else
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#account-suspension)).

use ruma::UserId;

use super::Sessions;
use crate::{
    error::Result,
    storage::{Batch, schema::moderation::SUSPENSIONS, until_settled},
};

impl Sessions {
    /// Suspends the account of `user` until [`Sessions::release`], for all its sessions and those to come.
    ///
    /// # Errors
    ///
    /// `NotFound` or `UserDeactivated` if there is nothing to suspend.
    pub async fn suspend(&self, user: &UserId) -> Result<()> {
        let now = self.clock.millis();
        self.set_suspension(user, |batch| SUSPENSIONS.put(batch, (user,), &now)).await
    }

    /// Lets `user` do everything again.
    ///
    /// # Errors
    ///
    /// `NotFound` or `UserDeactivated` if there is no such account.
    pub async fn release(&self, user: &UserId) -> Result<()> {
        self.set_suspension(user, |batch| SUSPENSIONS.delete(batch, (user,))).await
    }

    async fn set_suspension(&self, user: &UserId, set: impl Fn(&mut Batch)) -> Result<()> {
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let account = self.accounts.for_update(&snapshot, user).await?;
            let mut batch = Batch::new();
            self.accounts.require_unchanged(&mut batch, user, &account);
            set(&mut batch);
            self.uncache_all(&mut batch, &snapshot, user).await?;
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Reads what the sessions of `user` may do anew, after a service beside this one has changed their account.
    pub async fn reread(&self, user: &UserId) -> Result<()> {
        let mut batch = Batch::new();
        batch.slots(0);
        self.uncache_all(&mut batch, &self.store.snapshot(), user).await?;
        self.store.commit(batch).await.map(drop)
    }
}
