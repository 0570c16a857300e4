//! Asking somebody for their password, before something that a stolen access token must not do.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use ruma::{
    OwnedUserId,
    api::client::uiaa::{AuthData, AuthFlow, AuthType},
};

use super::{
    authenticate::Caller,
    client_address::ClientAddress,
    rate_limit::{Limit, RateLimits},
};
use crate::{
    config::Config,
    error::{Error, Result},
    users::{InteractiveAuth, Operation},
};

/// What a handler needs to ask for the password.
pub struct Reauthentication {
    interactive_auth: InteractiveAuth,
    rate_limits: RateLimits,
    address: ClientAddress,
}

impl Reauthentication {
    /// Makes sure that `caller` gave the password for what is called `name` in the code and done to `subjects`.
    ///
    /// # Errors
    ///
    /// As [`InteractiveAuth::authorise`], and `LimitExceeded` after too many attempts.
    pub async fn require(
        &self,
        caller: &Caller,
        name: &'static str,
        subjects: Vec<String>,
        auth: Option<&AuthData>,
    ) -> Result<()> {
        if auth.is_some() {
            self.rate_limits.spend(Limit::Login, &*caller.user_id)?;
        }
        let operation = Operation::of_user(&caller.user_id, name, subjects);
        self.interactive_auth.authorise(operation, &password_only(), auth).await.map(drop)
    }

    /// As [`Reauthentication::require`], for what the owner of an account may do without being logged in: the password
    /// says then whose account it is.
    ///
    /// # Errors
    ///
    /// As [`Reauthentication::require`].
    pub async fn require_owner(
        &self,
        caller: Option<&Caller>,
        name: &'static str,
        auth: Option<&AuthData>,
    ) -> Result<OwnedUserId> {
        if let Some(caller) = caller {
            self.require(caller, name, Vec::new(), auth).await?;
            return Ok(caller.user_id.clone());
        }
        if auth.is_some() {
            self.rate_limits.spend(Limit::Login, self.address.0)?;
        }
        let proof = self.interactive_auth.authorise(Operation::of_stranger(name), &password_only(), auth).await?;
        proof.user.ok_or_else(|| Error::internal("somebody passed the password stage and is nobody"))
    }
}

/// The one way to prove who one is.
fn password_only() -> [AuthFlow; 1] {
    [AuthFlow::new(vec![AuthType::Password])]
}

impl<S> FromRequestParts<S> for Reauthentication
where
    S: Send + Sync,
    InteractiveAuth: FromRef<S>,
    RateLimits: FromRef<S>,
    Arc<Config>: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self {
            interactive_auth: FromRef::from_ref(state),
            rate_limits: FromRef::from_ref(state),
            address: ClientAddress::from_request_parts(parts, state).await?,
        })
    }
}
