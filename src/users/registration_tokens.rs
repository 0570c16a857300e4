//! Registration tokens: what an administrator hands to people so that they can make themselves an account.

use super::secrets;
use crate::{
    clock::Clock,
    error::{Error, Kind, Result},
    storage::{
        Batch, Direction, KeyRange, Snapshot, Store,
        schema::users::{REGISTRATION_TOKENS, RegistrationToken, Role},
        until_settled,
    },
};

/// The longest token, in characters ("Token-authenticated registration").
const MAXIMUM_LENGTH: usize = 64;
/// How long a token is that the server chooses: 100 random bits.
const CHOSEN_LENGTH: usize = 20;

/// A cheap-clone service over the registration tokens.
#[derive(Clone)]
pub struct RegistrationTokens {
    store: Store,
    clock: Clock,
}

/// A token to be made.
#[derive(Clone, Debug, Default)]
pub struct NewRegistrationToken {
    /// The token; `None` has the server choose.
    pub token: Option<String>,
    /// How many accounts it can make; `None` is any number.
    pub uses_allowed: Option<u32>,
    /// When it stops working, in milliseconds since the Unix epoch; `None` is never.
    pub expires_at: Option<u64>,
    /// What the accounts it makes may do.
    pub role: Role,
}

impl RegistrationTokens {
    /// The registration tokens in `store`.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Makes a token and returns it.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the token is taken, or is not 1 to 64 letters, digits, `-`, `.`, `_` and `~`.
    pub async fn create(&self, new: NewRegistrationToken) -> Result<String> {
        let token = new.token.unwrap_or_else(|| secrets::random_text(CHOSEN_LENGTH));
        if !(1..=MAXIMUM_LENGTH).contains(&token.len()) || !token.bytes().all(is_opaque) {
            return Err(Error::invalid("A registration token is 1 to 64 letters, digits and the characters - . _ ~"));
        }
        let row =
            RegistrationToken { uses_allowed: new.uses_allowed, uses: 0, expires_at: new.expires_at, role: new.role };
        let mut batch = Batch::new();
        REGISTRATION_TOKENS.expect(&mut batch, (&token,), None);
        REGISTRATION_TOKENS.put(&mut batch, (&token,), &row);
        match self.store.commit(batch).await {
            Err(error) if error.kind == Kind::Conflict => Err(Error::invalid("There is such a token already.")),
            outcome => outcome.map(|_| token),
        }
    }

    /// Every token with what it allows, those that are used up or expired too.
    pub async fn list(&self) -> Result<Vec<(String, RegistrationToken)>> {
        let snapshot = self.store.snapshot();
        let rows = REGISTRATION_TOKENS.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await?;
        Ok(rows.into_iter().map(|((token,), row)| (token, row)).collect())
    }

    /// Makes `token` useless from now on.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such token.
    pub async fn revoke(&self, token: &str) -> Result<()> {
        until_settled(|| async move {
            let row = REGISTRATION_TOKENS.get(&self.store.snapshot(), (token,)).await?;
            let row = row.ok_or_else(|| Error::not_found("There is no such registration token."))?;
            let mut batch = Batch::new();
            REGISTRATION_TOKENS.expect(&mut batch, (token,), Some(&row));
            REGISTRATION_TOKENS.delete(&mut batch, (token,));
            self.store.commit(batch).await.map(drop)
        })
        .await
    }

    /// Whether `token` would make an account now; it may not any more when it comes to that.
    pub async fn is_valid(&self, token: &str) -> Result<bool> {
        let row = REGISTRATION_TOKENS.get(&self.store.snapshot(), (token,)).await?;
        Ok(row.is_some_and(|row| self.allows_another(&row)))
    }

    /// Adds to `batch` that `token` makes one account, and says what that account may do.
    ///
    /// The commit fails with `Conflict` if the token is used or revoked after `snapshot`.
    ///
    /// # Errors
    ///
    /// `Forbidden` if the token is not known, used up or expired.
    pub(super) async fn spend(&self, batch: &mut Batch, snapshot: &Snapshot, token: &str) -> Result<Role> {
        let row = REGISTRATION_TOKENS.get(snapshot, (token,)).await?;
        let row = row
            .filter(|row| self.allows_another(row))
            .ok_or_else(|| Error::forbidden("This registration token is not valid."))?;
        REGISTRATION_TOKENS.expect(batch, (token,), Some(&row));
        REGISTRATION_TOKENS.put(batch, (token,), &RegistrationToken { uses: row.uses + 1, ..row.clone() });
        Ok(row.role)
    }

    fn allows_another(&self, row: &RegistrationToken) -> bool {
        row.uses_allowed.is_none_or(|allowed| row.uses < allowed)
            && row.expires_at.is_none_or(|end| self.clock.millis() < end)
    }
}

/// Whether `byte` is of the specification's opaque identifier grammar.
fn is_opaque(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn service() -> (RegistrationTokens, Clock) {
        let clock = Clock::manual(1_000);
        (RegistrationTokens::new(Store::in_memory(), clock.clone()), clock)
    }

    async fn spend(tokens: &RegistrationTokens, token: &str) -> Result<Role> {
        let mut batch = Batch::new();
        let role = tokens.spend(&mut batch, &tokens.store.snapshot(), token).await?;
        tokens.store.commit(batch).await.map(|_| role)
    }

    #[tokio::test]
    async fn a_token_makes_as_many_accounts_as_it_says() {
        let (tokens, _) = service();
        let new = NewRegistrationToken { uses_allowed: Some(2), role: Role::Administrator, ..Default::default() };
        let token = tokens.create(new).await.unwrap();
        for _ in 0..2 {
            assert!(tokens.is_valid(&token).await.unwrap());
            assert_eq!(spend(&tokens, &token).await.unwrap(), Role::Administrator);
        }
        assert!(!tokens.is_valid(&token).await.unwrap());
        assert_eq!(spend(&tokens, &token).await.unwrap_err().kind, Kind::Forbidden);
        assert_eq!(tokens.list().await.unwrap()[0].1.uses, 2);
    }

    #[tokio::test]
    async fn a_last_use_cannot_be_used_twice_at_once() {
        let (tokens, _) = service();
        let token = tokens.create(NewRegistrationToken { uses_allowed: Some(1), ..Default::default() }).await.unwrap();
        let snapshot = tokens.store.snapshot();
        let (mut first, mut second) = (Batch::new(), Batch::new());
        tokens.spend(&mut first, &snapshot, &token).await.unwrap();
        tokens.spend(&mut second, &snapshot, &token).await.unwrap();
        tokens.store.commit(first).await.unwrap();
        assert_eq!(tokens.store.commit(second).await.unwrap_err().kind, Kind::Conflict);
    }

    #[tokio::test]
    async fn a_token_expires() {
        let (tokens, clock) = service();
        let new = NewRegistrationToken { expires_at: Some(clock.millis() + 1_000), ..Default::default() };
        let token = tokens.create(new).await.unwrap();
        clock.advance(Duration::from_millis(999));
        assert!(tokens.is_valid(&token).await.unwrap());
        clock.advance(Duration::from_millis(1));
        assert!(!tokens.is_valid(&token).await.unwrap());
    }

    #[tokio::test]
    async fn a_revoked_token_is_gone() {
        let (tokens, _) = service();
        let token = tokens.create(NewRegistrationToken::default()).await.unwrap();
        tokens.revoke(&token).await.unwrap();
        assert!(!tokens.is_valid(&token).await.unwrap());
        assert_eq!(tokens.revoke(&token).await.unwrap_err().kind, Kind::NotFound);
    }

    #[tokio::test]
    async fn a_chosen_token_is_checked() {
        let (tokens, _) = service();
        let create = |token: &str| {
            let new = NewRegistrationToken { token: Some(token.to_owned()), ..Default::default() };
            tokens.create(new)
        };
        assert_eq!(create("Team-2026_a.b~c").await.unwrap(), "Team-2026_a.b~c");
        for token in ["Team-2026_a.b~c", "", "with space", "ü", &"a".repeat(65)] {
            assert_eq!(create(token).await.unwrap_err().kind, Kind::InvalidParam, "{token:?}");
        }
    }
}
