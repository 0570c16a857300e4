//! Who makes a request: the session of its access token ("Client Authentication" in the client-server specification).

use std::{net::IpAddr, ops::Deref, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts, Query},
    http::{HeaderMap, Uri, header::AUTHORIZATION, request::Parts},
};
use ruma::UserId;
use serde::Deserialize;

use super::{
    client_address::ClientAddress,
    permission,
    rate_limit::{Limit, RateLimits},
};
use crate::{
    config::Config,
    error::{Error, Kind, Result},
    users::{Accounts, Seen, Session, Sessions},
};

/// The user and the device that make the request.
///
/// As an argument of a handler it refuses requests without a token that works; `Option<Caller>` lets those without a token
/// through, and still refuses those with a wrong one.
pub struct Caller {
    session: Arc<Session>,
    /// Where the request comes from.
    address: IpAddr,
}

/// A caller whose account may be locked. Such a caller can do nothing but log out, so that only logging out takes this.
pub struct LockedOrNot(pub Caller);

/// A caller who may administer the server. Before that is known nothing else of the request is looked at.
pub struct Administrator(pub Caller);

impl Caller {
    /// Checks that `user`, whom the path names, is the caller.
    ///
    /// # Errors
    ///
    /// `Forbidden` if it is somebody else.
    pub fn require_self(&self, user: &UserId) -> Result<()> {
        match self.user_id == *user {
            true => Ok(()),
            false => Err(Error::forbidden("You can do this for yourself only.")),
        }
    }
}

impl Caller {
    /// Takes a request out of the bucket of the user, and out of the larger one of everybody behind the same address.
    ///
    /// # Errors
    ///
    /// [`Kind::LimitExceeded`] with the time until there is one again.
    pub fn spend(&self, limits: &RateLimits, limit: Limit) -> Result<()> {
        limits.spend(limit, &*self.user_id)?;
        limits.spend(limit, self.address)
    }
}

impl Deref for Caller {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Sessions: FromRef<S>,
    Arc<Config>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let LockedOrNot(caller) = LockedOrNot::from_request_parts(parts, state).await?;
        if caller.locked {
            return Err(Kind::UserLocked.with("This account has been locked."));
        }
        permission::check(&caller, parts)?;
        Ok(caller)
    }
}

impl<S> OptionalFromRequestParts<S> for Caller
where
    S: Send + Sync,
    Sessions: FromRef<S>,
    Arc<Config>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>> {
        match <Self as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Err(error) if error.kind == Kind::MissingToken => Ok(None),
            outcome => outcome.map(Some),
        }
    }
}

impl<S> FromRequestParts<S> for Administrator
where
    S: Send + Sync,
    Accounts: FromRef<S>,
    Sessions: FromRef<S>,
    Arc<Config>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let caller = <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        match Accounts::from_ref(state).is_administrator(&caller.user_id).await? {
            true => Ok(Self(caller)),
            false => Err(Error::forbidden("You are not an administrator of this server.")),
        }
    }
}

impl<S> FromRequestParts<S> for LockedOrNot
where
    S: Send + Sync,
    Sessions: FromRef<S>,
    Arc<Config>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, state).await;
        let token = bearer_token(&parts.headers)
            .map(str::to_owned)
            .or_else(|| query_token(&parts.uri))
            .ok_or_else(|| Kind::MissingToken.with("This request needs an access token."))?;
        let session = Sessions::from_ref(state).authenticate(&token, Seen { address }).await?;
        tracing::Span::current().record("user", session.user_id.as_str());
        Ok(Self(Caller { session, address }))
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The token in the query, which v1.19 of the specification deprecates and still allows.
fn query_token(uri: &Uri) -> Option<String> {
    #[derive(Deserialize)]
    struct Token {
        access_token: String,
    }

    let Query(Token { access_token }) = Query::try_from_uri(uri).ok()?;
    (!access_token.is_empty()).then_some(access_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        bearer_token(&headers).map(str::to_owned)
    }

    #[test]
    fn a_bearer_token_is_found_however_the_scheme_is_written() {
        assert_eq!(bearer("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(bearer("bearer  abc").as_deref(), Some("abc"));
        for none in ["Bearer", "Bearer ", "Basic abc", "abc", ""] {
            assert_eq!(bearer(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_token_in_the_query_is_found_among_other_keys() {
        let token = |uri: &'static str| query_token(&Uri::from_static(uri));
        assert_eq!(token("/sync?since=1&access_token=a%2Bb").as_deref(), Some("a+b"));
        for none in ["/sync", "/sync?since=1", "/sync?access_token=", "/sync?access_token"] {
            assert_eq!(token(none), None, "{none}");
        }
    }
}
