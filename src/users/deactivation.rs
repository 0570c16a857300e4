//! The end of an account. Its id stays taken for ever, so that nobody can step into its place.

use ruma::UserId;

use super::{accounts::Accounts, rooms_behind, sessions::Sessions, third_party_ids};
use crate::{
    error::Result,
    storage::{
        Batch, KeyRange, Stamped,
        schema::users::{
            ACCOUNT_DATA, Account, ERASURES, FILTERS, PROFILES, PUSH_RULES, Role, Standing,
            THREAD_SUBSCRIPTION_CHANGES, THREAD_SUBSCRIPTIONS, THREADS_DECIDED,
        },
        until_settled,
    },
    streams::{Change, Log},
};

/// Adds to a batch that something goes which layers above this one keep for a user whose account ends, so that it is gone in
/// the same commit.
pub type UserBelonging = fn(&mut Batch, &UserId, Belongings);

/// What becomes of what the user leaves behind on the server, apart from events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongings {
    /// It stays.
    Keep,
    /// It goes: profile, account data, push rules, filters, thread subscriptions, backed up keys; events are hidden from those
    /// who come later.
    Erase,
}

/// Ends the account of `user` and every session of it, frees its e-mail addresses, and notes that the rooms of `user` are to
/// be left.
///
/// # Errors
///
/// `NotFound` if there is no such account, `UserDeactivated` if it has ended before.
pub async fn deactivate(accounts: &Accounts, sessions: &Sessions, user: &UserId, belongings: Belongings) -> Result<()> {
    end_if(accounts, sessions, user, belongings, |_| true).await
}

/// Ends the account of `user` as [`deactivate`] does, if it still is a guest's.
///
/// # Errors
///
/// As [`deactivate`].
pub(super) async fn deactivate_guest(accounts: &Accounts, sessions: &Sessions, user: &UserId) -> Result<()> {
    end_if(accounts, sessions, user, Belongings::Keep, |account| account.role == Role::Guest).await
}

async fn end_if(
    accounts: &Accounts,
    sessions: &Sessions,
    user: &UserId,
    belongings: Belongings,
    may_end: impl Fn(&Account) -> bool,
) -> Result<()> {
    let erased = belongings == Belongings::Erase;
    until_settled(|| async {
        let snapshot = accounts.store().snapshot();
        let account = accounts.for_update(&snapshot, user).await?;
        if !may_end(&account) {
            return Ok(());
        }
        let mut batch = Batch::new();
        let standing = Standing::Deactivated { erased };
        accounts.replace(&mut batch, user, &account, &Account { password_hash: None, standing, ..account.clone() });
        let slot = sessions.end_in(&mut batch, &snapshot, user, |_| true).await?;
        sessions.release_device_ids(&mut batch, user);
        third_party_ids::forget(&mut batch, &snapshot, user).await?;
        accounts.belongings().iter().for_each(|forget| forget(&mut batch, user, belongings));
        rooms_behind::note(&mut batch, sessions.notifier(), user);
        if erased {
            erase(&mut batch, slot, user);
        }
        accounts.store().commit(batch).await.map(drop)
    })
    .await
}

/// Adds to `batch` that everything the user kept here goes, which it tells at `slot`, the last one.
fn erase(batch: &mut Batch, slot: u16, user: &UserId) {
    batch.slots(slot + 1);
    ERASURES.put(batch, (user,), &Stamped::now(()));
    PROFILES.delete(batch, (user,));
    ACCOUNT_DATA.delete_range(batch, KeyRange::prefix((user,)));
    PUSH_RULES.delete(batch, (user,));
    FILTERS.delete_range(batch, KeyRange::prefix((user,)));
    THREAD_SUBSCRIPTIONS.delete_range(batch, KeyRange::prefix((user,)));
    THREAD_SUBSCRIPTION_CHANGES.delete_range(batch, KeyRange::prefix((user,)));
    THREADS_DECIDED.delete_range(batch, KeyRange::prefix((user,)));
    Log::append(batch, slot, &Change::Profile { user: user.to_owned() });
}

#[cfg(test)]
mod tests;
