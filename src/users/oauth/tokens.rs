//! New tokens for a session that began with a code.

use super::{OAuth, OAuthFailure, OAuthGrant};
use crate::{
    error::{Kind, Result},
    matrix::oauth::{ErrorCode, Refusal},
    storage::schema::oauth::OAUTH_SESSIONS,
};

impl OAuth {
    /// Exchanges the refresh token of a client for new tokens. The old ones work until the first of the new ones is used.
    ///
    /// # Errors
    ///
    /// `InvalidGrant` if there is no such token, it has expired, or is not this client's; `UserLocked` if the account is
    /// locked, which ends no session.
    pub async fn refresh(&self, client_id: &str, refresh_token: &str) -> Result<OAuthGrant, OAuthFailure> {
        let (user, device) = self.sessions.refresher(refresh_token).await?.ok_or_else(not_valid)?;
        let session = OAUTH_SESSIONS.get(&self.store.snapshot(), (&user, &device)).await?;
        let session = session.filter(|session| session.client_id == client_id).ok_or_else(not_valid)?;
        match self.sessions.refresh(refresh_token).await {
            Ok(grant) => Ok(OAuthGrant { grant, scope: session.scope }),
            Err(error) if matches!(error.kind, Kind::UnknownToken { .. } | Kind::UserDeactivated | Kind::NotFound) => {
                Err(not_valid().into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn not_valid() -> Refusal {
    ErrorCode::InvalidGrant.with("the refresh token is not valid, or not for this client")
}
