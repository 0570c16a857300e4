//! Logging in by the OAuth 2.0 API: clients register, people allow them in a browser, and codes become sessions.

mod clients;
mod codes;
mod page_seal;
mod tokens;

#[cfg(test)]
mod tests;

use ruma::{DeviceId, OwnedUserId, UserId};

use self::page_seal::PageKey;
pub use self::{codes::CodeExchange, page_seal::SealedPage};
use super::{
    secrets,
    sessions::{Grant, Sessions},
};
use crate::{
    clock::Clock,
    error::{Error, Result},
    matrix::oauth::Refusal,
    storage::{
        Batch, Snapshot, Store,
        schema::oauth::{OAUTH_CLIENT_SESSIONS, OAUTH_SESSIONS},
    },
};

/// A cheap-clone service over the clients of the OAuth 2.0 API and what people allowed them.
#[derive(Clone)]
pub struct OAuth {
    store: Store,
    sessions: Sessions,
    clock: Clock,
    page_key: PageKey,
}

/// What a client gets at the token endpoint.
#[derive(Debug)]
pub struct OAuthGrant {
    /// The tokens.
    pub grant: Grant,
    /// What they are good for.
    pub scope: String,
}

/// Why a client gets nothing.
#[derive(Debug)]
pub enum OAuthFailure {
    /// It asked for what it cannot have.
    Refused(Refusal),
    /// It asked at the wrong time, or the server failed.
    Failed(Error),
}

impl From<Refusal> for OAuthFailure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for OAuthFailure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl OAuth {
    /// The clients in `store`, whose sessions are among `sessions`.
    pub fn new(store: Store, sessions: Sessions, clock: Clock) -> Self {
        Self { store, sessions, clock, page_key: PageKey::random() }
    }

    /// A page with a form about `request`, for one browser; see [`SealedPage`].
    pub fn seal_page(&self, request: &str) -> SealedPage {
        self.page_key.seal(request, self.clock.millis())
    }

    /// Whether a form with this `seal` was sent from the page that was made about `request` for the browser with these
    /// `cookies`, not too long ago.
    pub fn is_sealed(&self, request: &str, seal: &str, cookies: &str) -> bool {
        self.page_key.holds(request, seal, cookies, self.clock.millis())
    }

    /// Ends the session that `token` belongs to, an access token or a refresh token; whose, if there is one.
    ///
    /// Sessions that did not begin with a code end as well: whoever holds a token could log out with it anyway, and who
    /// found it somewhere does not know how it came about.
    pub async fn revoke(&self, token: &str) -> Result<Option<OwnedUserId>> {
        let Some((user, device)) = self.sessions.holder(token).await? else { return Ok(None) };
        self.sessions.end(&user, &[device]).await?;
        Ok(Some(user))
    }
}

/// Adds to `batch` that the session of a device is a client's no more. Who does this expects the device unchanged.
pub(super) async fn forget_session(
    batch: &mut Batch,
    snapshot: &Snapshot,
    user: &UserId,
    device: &DeviceId,
) -> Result<()> {
    if let Some(session) = OAUTH_SESSIONS.get(snapshot, (user, device)).await? {
        OAUTH_CLIENT_SESSIONS.delete(batch, (&session.client_id, user, device));
        OAUTH_SESSIONS.delete(batch, (user, device));
    }
    Ok(())
}
