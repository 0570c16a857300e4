//! Accounts: who has one, what they may do on the server, and whether a password is theirs.

use ruma::{OwnedServerName, OwnedUserId, ServerName, UserId, api::client::uiaa::UserIdentifier};

use super::{deactivation::UserBelonging, passwords::Passwords, third_party_ids::EMAIL, usernames};
use crate::{
    clock::Clock,
    error::{Error, Kind, Result},
    matrix::email_address::EmailAddress,
    storage::{
        Batch, Direction, KeyRange, Snapshot, Store,
        schema::{
            moderation::SUSPENSIONS,
            third_party_ids::THIRD_PARTY_ID_OWNERS,
            users::{ACCOUNTS, Account, PasswordHash, Role, Standing},
        },
        until_settled,
    },
};

/// A cheap-clone service over every account of the server.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    passwords: Passwords,
    clock: Clock,
    server_name: OwnedServerName,
    belongings: &'static [UserBelonging],
}

impl Accounts {
    /// The accounts in `store`, whose ids end with `server_name`.
    pub fn new(store: Store, passwords: Passwords, clock: Clock, server_name: OwnedServerName) -> Self {
        Self { store, passwords, clock, server_name, belongings: &[] }
    }

    /// The same accounts, with which `belongings` go when they end.
    #[must_use]
    pub(super) fn with_belongings(self, belongings: &'static [UserBelonging]) -> Self {
        Self { belongings, ..self }
    }

    /// What layers above this one keep for each user.
    pub(super) fn belongings(&self) -> &'static [UserBelonging] {
        self.belongings
    }

    /// The name that the ids of all accounts end with.
    pub fn server_name(&self) -> &ServerName {
        &self.server_name
    }

    /// The rules and the cost of passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Where the accounts and what goes with them are kept.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// The account of `user`, in whatever standing.
    pub async fn get(&self, user: &UserId) -> Result<Option<Account>> {
        ACCOUNTS.get(&self.store.snapshot(), (user,)).await
    }

    /// The account of `user`, over whom `administrator` has power.
    ///
    /// # Errors
    ///
    /// `Forbidden` if `administrator` is none, which is checked before anything is said about `user`, or if `user` is one;
    /// `InvalidParam` if `user` is of another server; `NotFound` if there is no such account, or not any more.
    pub async fn governed(&self, administrator: &UserId, user: &UserId) -> Result<Account> {
        if !self.is_administrator(administrator).await? {
            return Err(Error::forbidden("You are not an administrator of this server."));
        }
        if user.server_name() != self.server_name {
            return Err(Error::invalid("This user is not of this server."));
        }
        let account = self.get(user).await?;
        let account = account.filter(|account| !matches!(account.standing, Standing::Deactivated { .. }));
        match account.ok_or_else(|| Error::not_found("There is no such user on this server."))? {
            Account { role: Role::Administrator, .. } => Err(Error::forbidden("This user is an administrator.")),
            Account { role: Role::Server, .. } => Err(is_the_servers()),
            account => Ok(account),
        }
    }

    /// Whether `user` may administer the server.
    pub async fn is_administrator(&self, user: &UserId) -> Result<bool> {
        Ok(self.get(user).await?.is_some_and(|account| account.role == Role::Administrator))
    }

    /// Whether the account of `user` is suspended.
    pub async fn is_suspended(&self, user: &UserId) -> Result<bool> {
        SUSPENSIONS.exists(&self.store.snapshot(), (user,)).await
    }

    /// Whether `user` is a guest of this server.
    pub async fn is_guest(&self, user: &UserId) -> Result<bool> {
        Ok(self.get(user).await?.is_some_and(|account| account.role == Role::Guest))
    }

    /// Those of `users` who are guests of this server.
    pub async fn guests_among(&self, users: impl IntoIterator<Item = OwnedUserId>) -> Result<Vec<OwnedUserId>> {
        let users: Vec<_> = users.into_iter().filter(|user| user.server_name() == self.server_name).collect();
        let accounts = ACCOUNTS.get_many(&self.store.snapshot(), users.iter().map(|user| (user,))).await?;
        let is_guest = |account: Option<Account>| account.is_some_and(|account| account.role == Role::Guest);
        Ok(users.into_iter().zip(accounts).filter_map(|(user, account)| is_guest(account).then_some(user)).collect())
    }

    /// Every account with its id, in the order of ids.
    pub async fn list(&self) -> Result<Vec<(OwnedUserId, Account)>> {
        let rows = ACCOUNTS.scan(&self.store.snapshot(), KeyRange::all(), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|((user,), account)| (user, account)).collect())
    }

    /// At most `limit` accounts after that of `after`, or from the first one on, in the order of ids.
    pub(super) async fn page(&self, after: Option<&OwnedUserId>, limit: usize) -> Result<Vec<(OwnedUserId, Account)>> {
        let range = after.map_or_else(KeyRange::all, |user| KeyRange::after((user,)));
        let rows = ACCOUNTS.scan(&self.store.snapshot(), range, Direction::Forward, limit).await?;
        Ok(rows.into_iter().map(|((user,), account)| (user, account)).collect())
    }

    /// The user whom a person means by `name`, a localpart or a whole id; there need not be such an account.
    ///
    /// # Errors
    ///
    /// `Forbidden` if no account here can have this name, as for a wrong password.
    pub fn user_called(&self, name: &str) -> Result<OwnedUserId> {
        usernames::local_user_id(name, &self.server_name).ok_or_else(wrong_credentials)
    }

    /// The user whom a client means by `identifier`; `None` if nobody has such an address. There need not be an account.
    ///
    /// # Errors
    ///
    /// As [`Accounts::user_called`]; `Forbidden` too if nobody is known by such an identifier.
    pub async fn user_meant(&self, identifier: &UserIdentifier) -> Result<Option<OwnedUserId>> {
        match identifier {
            UserIdentifier::Matrix(identifier) => self.user_called(&identifier.user).map(Some),
            UserIdentifier::Email(identifier) => self.user_with_address(&identifier.address).await,
            _ => Err(Error::forbidden("On this server people are known by their user id or e-mail address only.")),
        }
    }

    /// The user whose account has this e-mail address.
    pub async fn user_with_address(&self, address: &str) -> Result<Option<OwnedUserId>> {
        let Some(address) = EmailAddress::parse(address) else { return Ok(None) };
        THIRD_PARTY_ID_OWNERS.get(&self.store.snapshot(), (EMAIL, address.as_str())).await
    }

    /// Checks that `password` is the one of `user`.
    ///
    /// # Errors
    ///
    /// `Forbidden` if there is no such user or the password is wrong, without telling which; `UserDeactivated` or
    /// `UserLocked` if the account cannot be used.
    pub async fn check_password(&self, user: &UserId, password: &str) -> Result<()> {
        self.check_password_of_anyone(Some(user), password).await
    }

    /// As [`Accounts::check_password`], where `user` may be nobody, which takes as long.
    ///
    /// # Errors
    ///
    /// As [`Accounts::check_password`].
    pub async fn check_password_of_anyone(&self, user: Option<&UserId>, password: &str) -> Result<()> {
        let account = match user {
            Some(user) => self.get(user).await?,
            None => None,
        };
        let hash = account.as_ref().and_then(|account| account.password_hash.as_ref());
        let matches = self.passwords.matches(password, hash).await?;
        match account {
            // A deactivated account has no password any more that could be right.
            Some(account) if matches || matches!(account.standing, Standing::Deactivated { .. }) => {
                require_usable(&account)
            }
            _ => Err(wrong_credentials()),
        }
    }

    /// Sets what `user` may do on the server.
    ///
    /// # Errors
    ///
    /// `NotFound` or `UserDeactivated` if there is no such user to give it to.
    pub async fn set_role(&self, user: &UserId, role: Role) -> Result<()> {
        until_settled(|| async {
            let snapshot = self.store.snapshot();
            let mut batch = Batch::new();
            let account = self.for_update(&snapshot, user).await?;
            self.replace(&mut batch, user, &account, &Account { role, ..account.clone() });
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Adds to `batch` a new account for `user`, made now; the commit fails with `Conflict` if the id is taken.
    pub(super) fn insert(&self, batch: &mut Batch, user: &UserId, password_hash: Option<PasswordHash>, role: Role) {
        let account = Account { password_hash, role, standing: Standing::Active, created_at: self.clock.millis() };
        ACCOUNTS.expect(batch, (user,), None);
        ACCOUNTS.put(batch, (user,), &account);
    }

    /// The account of `user` as it is in `snapshot`, to be changed.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none, `UserDeactivated` if nothing can be changed about it any more, `Forbidden` if it is the
    /// server's own.
    pub(super) async fn for_update(&self, snapshot: &Snapshot, user: &UserId) -> Result<Account> {
        let account = ACCOUNTS.get(snapshot, (user,)).await?;
        let account = account.ok_or_else(|| Error::not_found("There is no such user on this server."))?;
        match account {
            Account { role: Role::Server, .. } => Err(is_the_servers()),
            Account { standing: standing @ Standing::Deactivated { .. }, .. } => Err(unusable(standing)),
            account => Ok(account),
        }
    }

    /// Adds to `batch` the condition that the account of `user` still is `account`.
    pub fn require_unchanged(&self, batch: &mut Batch, user: &UserId, account: &Account) {
        ACCOUNTS.expect(batch, (user,), Some(account));
    }

    /// Adds to `batch` that the account of `user` becomes `after`, on condition that it still is `before`.
    pub(super) fn replace(&self, batch: &mut Batch, user: &UserId, before: &Account, after: &Account) {
        ACCOUNTS.expect(batch, (user,), Some(before));
        ACCOUNTS.put(batch, (user,), after);
    }
}

fn is_the_servers() -> Error {
    Error::forbidden("This account is the server's own.")
}

fn wrong_credentials() -> Error {
    Error::forbidden("The username or the password is wrong.")
}

/// Checks that the owner of `account` can use it.
pub(super) fn require_usable(account: &Account) -> Result<()> {
    match account.standing {
        Standing::Active => Ok(()),
        standing => Err(unusable(standing)),
    }
}

fn unusable(standing: Standing) -> Error {
    match standing {
        Standing::Locked => Kind::UserLocked.with("This account has been locked."),
        _ => Kind::UserDeactivated.with("This account has been deactivated."),
    }
}
