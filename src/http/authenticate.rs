//! Who makes a request: the session of its access token ("Client Authentication" in the client-server specification).

use std::{convert::Infallible, net::IpAddr, ops::Deref, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts, Query},
    http::{
        HeaderMap, Uri,
        header::{AUTHORIZATION, USER_AGENT},
        request::Parts,
    },
};
use ruma::{MilliSecondsSinceUnixEpoch, OwnedDeviceId, OwnedUserId, UserId};
use serde::Deserialize;

use super::{
    client_address::ClientAddress,
    permission,
    rate_limit::{Limit, RateLimits},
};
use crate::{
    appservices::{Appservice, Appservices},
    config::Config,
    error::{Error, Kind, Result},
    users::{Accounts, Registration, Seen, Session, Sessions},
};

/// The user and the device that make the request.
///
/// As an argument of a handler it refuses requests without a token that works; `Option<Caller>` lets those without a token
/// through, and still refuses those with a wrong one.
pub struct Caller {
    session: Arc<Session>,
    /// Where the request comes from.
    address: IpAddr,
    /// The application service that acts as the user.
    appservice: Option<Arc<Appservice>>,
}

/// An application service that calls with its own token, whomever it acts as.
///
/// As an argument of a handler it refuses everybody else.
pub struct Service(pub Arc<Appservice>);

/// The token of a request that may come from an application service, for handlers of requests that others make too.
pub struct MaybeService(Option<String>, Appservices);

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
        if self.appservice.as_ref().is_some_and(|service| !service.rate_limited || *service.sender == *self.user_id) {
            return Ok(());
        }
        limits.spend(limit, &*self.user_id)?;
        limits.spend(limit, self.address)
    }

    /// Checks that the request comes from a device, as those of application services do that name one.
    ///
    /// # Errors
    ///
    /// `MissingParam` if it does not.
    pub fn require_device(&self) -> Result<()> {
        match self.device_id.as_str().is_empty() {
            true => Err(Kind::MissingParam.with("This needs a device: name one with device_id in the query.")),
            false => Ok(()),
        }
    }

    /// The application service that acts as the user, if one does.
    pub fn appservice(&self) -> Option<&Appservice> {
        self.appservice.as_deref()
    }

    /// Checks that the users themselves make the request.
    ///
    /// # Errors
    ///
    /// `Forbidden` if an application service does.
    pub fn require_person(&self) -> Result<()> {
        match self.appservice {
            Some(_) => Err(Error::forbidden("Application services cannot manage the accounts of their users.")),
            None => Ok(()),
        }
    }

    /// The time that an event is to bear, which only an application service can choose.
    pub fn timestamp(&self, wish: Option<MilliSecondsSinceUnixEpoch>) -> Option<MilliSecondsSinceUnixEpoch> {
        wish.filter(|_| self.appservice.is_some())
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
    Registration: FromRef<S>,
    Appservices: FromRef<S>,
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
    Registration: FromRef<S>,
    Appservices: FromRef<S>,
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
    Registration: FromRef<S>,
    Appservices: FromRef<S>,
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
    Registration: FromRef<S>,
    Appservices: FromRef<S>,
    Arc<Config>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, state).await;
        let token = token(parts).ok_or_else(missing_token)?;
        let appservice = Appservices::from_ref(state).with_token(&token);
        let seen = Seen { address, user_agent: user_agent(&parts.headers) };
        let session = match &appservice {
            Some(appservice) => assert_identity(parts, state, appservice, seen).await?,
            None => Sessions::from_ref(state).authenticate(&token, seen).await?,
        };
        tracing::Span::current().record("user", session.user_id.as_str());
        Ok(Self(Caller { session, address, appservice }))
    }
}

impl<S> FromRequestParts<S> for MaybeService
where
    S: Send + Sync,
    Appservices: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self(token(parts), Appservices::from_ref(state)))
    }
}

impl<S> FromRequestParts<S> for Service
where
    S: Send + Sync,
    Sessions: FromRef<S>,
    Registration: FromRef<S>,
    Appservices: FromRef<S>,
    Arc<Config>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let token = token(parts).ok_or_else(missing_token)?;
        if let Some(service) = Appservices::from_ref(state).with_token(&token) {
            return Ok(Self(service));
        }
        <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        Err(Error::forbidden("Only an application service can do this, with its own token."))
    }
}

impl MaybeService {
    /// The application service that makes the request, if one does.
    pub fn found(self) -> Option<Arc<Appservice>> {
        self.1.with_token(&self.0?)
    }

    /// The application service that makes the request.
    ///
    /// # Errors
    ///
    /// `MissingToken` or `UnknownToken` if none does.
    pub fn require(self) -> Result<Arc<Appservice>> {
        let token = self.0.ok_or_else(missing_token)?;
        let unknown = || Kind::UnknownToken { soft_logout: false }.with("This is the token of no application service.");
        self.1.with_token(&token).ok_or_else(unknown)
    }
}

/// The session in which an application service acts as one of its users ("Identity assertion" in the application service
/// specification).
async fn assert_identity<S>(
    parts: &Parts,
    state: &S,
    appservice: &Arc<Appservice>,
    seen: Seen<'_>,
) -> Result<Arc<Session>>
where
    Sessions: FromRef<S>,
    Registration: FromRef<S>,
{
    #[derive(Deserialize)]
    struct Identity {
        user_id: Option<OwnedUserId>,
        device_id: Option<OwnedDeviceId>,
        #[serde(rename = "org.matrix.msc3202.device_id")]
        older_device_id: Option<OwnedDeviceId>,
    }

    let invalid = |_| Error::invalid("The query does not say whom to act as: user_id must be a user id.");
    let Query(Identity { user_id, device_id, older_device_id }) = Query::try_from_uri(&parts.uri).map_err(invalid)?;
    let user = user_id.as_deref().unwrap_or(&appservice.sender);
    if !appservice.has_user(user) {
        return Err(Error::forbidden("The application service cannot act as this user: see its namespaces."));
    }
    let (sessions, device) = (Sessions::from_ref(state), device_id.or(older_device_id));
    match sessions.lend(user, device.as_deref(), seen).await {
        Err(error) if error.kind == Kind::NotFound && *user == *appservice.sender => {
            // The service's own user is there without having been registered.
            Registration::from_ref(state).found_sender(appservice).await?;
            sessions.lend(user, device.as_deref(), seen).await
        }
        Err(error) if error.kind == Kind::NotFound => {
            Err(Error::forbidden("The application service has not registered this user."))
        }
        outcome => outcome,
    }
}

/// What the client calls itself, if it says so in plain text.
pub(super) fn user_agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(USER_AGENT)?.to_str().ok().filter(|agent| !agent.is_empty())
}

fn missing_token() -> Error {
    Kind::MissingToken.with("This request needs an access token.")
}

fn token(parts: &Parts) -> Option<String> {
    bearer_token(&parts.headers).map(str::to_owned).or_else(|| query_token(&parts.uri))
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
