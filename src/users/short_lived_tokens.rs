//! Tokens that live for minutes and stand for a user before somebody else: another device that logs in, or another
//! service.

use std::time::Duration;

use ruma::{OwnedUserId, UserId};

use super::secrets::{self, Token, TokenHash};
use crate::{
    clock::Clock,
    error::{Error, Kind, Result},
    storage::{
        Batch, KeyRange, Store, Table,
        schema::users::{LOGIN_TOKENS, OPENID_TOKENS},
    },
};

/// A cheap-clone service over the tokens with which a user logs in on another device (`m.login.token`).
#[derive(Clone)]
pub struct LoginTokens(ShortLivedTokens);

impl LoginTokens {
    /// The login tokens in `store`; the specification recommends that they live for two minutes.
    pub fn new(store: Store, clock: Clock) -> Self {
        let lifetime = Duration::from_secs(120);
        Self(ShortLivedTokens { store, clock, table: &LOGIN_TOKENS, purpose: "login", lifetime })
    }

    /// How long a login token works.
    pub fn lifetime(&self) -> Duration {
        self.0.lifetime
    }

    /// A token with which `user` can log in once.
    pub async fn issue(&self, user: &UserId) -> Result<Token> {
        self.0.issue(user).await
    }

    /// The user for whom `token` was issued, once.
    ///
    /// # Errors
    ///
    /// `Forbidden` if there is no such token, or it was used before, or has expired.
    pub async fn redeem(&self, token: &str) -> Result<OwnedUserId> {
        let refused = || Error::forbidden("The login token is not valid.");
        let (user, key) = self.0.find(token).await?.ok_or_else(refused)?;
        let mut batch = Batch::new();
        LOGIN_TOKENS.expect(&mut batch, key, Some(&user));
        LOGIN_TOKENS.delete(&mut batch, key);
        match self.0.store.commit(batch).await {
            // Somebody else used it at the same moment.
            Err(error) if error.kind == Kind::Conflict => Err(refused()),
            outcome => outcome.map(|_| user),
        }
    }
}

/// A cheap-clone service over the tokens with which a user proves to other services who they are ("OpenID").
#[derive(Clone)]
pub struct OpenIdTokens(ShortLivedTokens);

impl OpenIdTokens {
    /// The OpenID tokens in `store`.
    pub fn new(store: Store, clock: Clock) -> Self {
        let lifetime = Duration::from_secs(3600);
        Self(ShortLivedTokens { store, clock, table: &OPENID_TOKENS, purpose: "openid", lifetime })
    }

    /// How long an OpenID token works.
    pub fn lifetime(&self) -> Duration {
        self.0.lifetime
    }

    /// A token that proves who `user` is.
    pub async fn issue(&self, user: &UserId) -> Result<Token> {
        self.0.issue(user).await
    }

    /// The user whom `token` stands for.
    ///
    /// # Errors
    ///
    /// `UnknownToken` if there is no such token, or it has expired.
    pub async fn owner(&self, token: &str) -> Result<OwnedUserId> {
        let found = self.0.find(token).await?;
        let unknown = || Kind::UnknownToken { soft_logout: false }.with("The OpenID token is not valid.");
        found.map(|(user, _)| user).ok_or_else(unknown)
    }
}

/// A token says when it expires, so that its row can lie among those that expire with it.
#[derive(Clone)]
struct ShortLivedTokens {
    store: Store,
    clock: Clock,
    table: &'static Table<(u64, TokenHash), OwnedUserId>,
    purpose: &'static str,
    lifetime: Duration,
}

impl ShortLivedTokens {
    async fn issue(&self, user: &UserId) -> Result<Token> {
        let now = self.clock.millis();
        let ends_at = now + self.lifetime.as_millis() as u64;
        let token = Token::generate(&format!("{}_{ends_at:x}", self.purpose));
        let mut batch = Batch::new();
        // Nobody is told of it, so it needs no position.
        batch.slots(0);
        self.table.delete_range(&mut batch, KeyRange::before((now,)));
        self.table.put(&mut batch, (ends_at, token.hash()), &user.to_owned());
        self.store.commit(batch).await.map(|_| token)
    }

    /// The owner of a token that has not expired, and the key of its row.
    async fn find(&self, token: &str) -> Result<Option<(OwnedUserId, (u64, TokenHash))>> {
        let Some(ends_at) = self.end_of(token).filter(|ends_at| self.clock.millis() < *ends_at) else {
            return Ok(None);
        };
        let key = (ends_at, secrets::hash(token));
        let user = self.table.get(&self.store.snapshot(), key).await?;
        Ok(user.map(|user| (user, key)))
    }

    /// When a token says that it expires, which is true if it is in the table.
    fn end_of(&self, token: &str) -> Option<u64> {
        let (purpose, rest) = token.strip_prefix("cr_")?.split_once('_')?;
        let (ends_at, _) = rest.split_once('_')?;
        (purpose == self.purpose).then(|| u64::from_str_radix(ends_at, 16).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    fn alice() -> &'static UserId {
        user_id!("@alice:example.org")
    }

    #[tokio::test]
    async fn a_login_token_works_once() {
        let tokens = LoginTokens::new(Store::in_memory(), Clock::manual(1_000));
        let token = tokens.issue(alice()).await.unwrap().reveal();
        let (first, second) = tokio::join!(tokens.redeem(&token), tokens.redeem(&token));
        let outcomes = [first, second].map(|outcome| outcome.map_err(|error| error.kind));
        assert!(outcomes.contains(&Ok(alice().to_owned())) && outcomes.contains(&Err(Kind::Forbidden)));
        assert_eq!(tokens.redeem(&token).await.unwrap_err().kind, Kind::Forbidden);
    }

    #[tokio::test]
    async fn a_login_token_expires_and_its_row_goes_with_the_next_one() {
        let clock = Clock::manual(1_000);
        let tokens = LoginTokens::new(Store::in_memory(), clock.clone());
        let token = tokens.issue(alice()).await.unwrap().reveal();
        clock.advance(tokens.lifetime());
        assert_eq!(tokens.redeem(&token).await.unwrap_err().kind, Kind::Forbidden);
        clock.advance(Duration::from_millis(1));
        tokens.issue(alice()).await.unwrap();
        let store = &tokens.0.store;
        let rows =
            LOGIN_TOKENS.scan(&store.snapshot(), KeyRange::all(), crate::storage::Direction::Forward, usize::MAX);
        assert_eq!(rows.await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_openid_token_works_until_it_expires_and_only_as_one() {
        let (store, clock) = (Store::in_memory(), Clock::manual(1_000));
        let tokens = OpenIdTokens::new(store.clone(), clock.clone());
        let token = tokens.issue(alice()).await.unwrap().reveal();
        for _ in 0..2 {
            assert_eq!(tokens.owner(&token).await.unwrap(), alice());
        }
        let logins = LoginTokens::new(store, clock.clone());
        assert_eq!(logins.redeem(&token).await.unwrap_err().kind, Kind::Forbidden);
        clock.advance(tokens.lifetime());
        assert!(matches!(tokens.owner(&token).await.unwrap_err().kind, Kind::UnknownToken { .. }));
    }

    #[tokio::test]
    async fn a_forged_end_finds_nothing() {
        let tokens = OpenIdTokens::new(Store::in_memory(), Clock::manual(1_000));
        let token = tokens.issue(alice()).await.unwrap().reveal();
        let (start, random) = token.rsplit_once(&format!("{:x}_", 1_000 + 3_600_000)).unwrap();
        for forged in [format!("{start}ffffffffff_{random}"), format!("{start}zz_{random}"), String::new()] {
            assert!(tokens.owner(&forged).await.is_err(), "{forged}");
        }
    }
}
