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
    users::{InteractiveAuth, Operation, Purpose, ValidatedAddress},
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
        // The operator vouches for application services, whose users have no passwords.
        if caller.appservice().is_some() {
            return Ok(());
        }
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
        self.prove(Operation::of_stranger(name), &password_only(), auth).await.map(|owner| owner.user)
    }

    /// As [`Reauthentication::require_owner`], where an e-mail address that was proved for a new password counts as much as
    /// the old one for who is not logged in.
    ///
    /// # Errors
    ///
    /// As [`Reauthentication::require`].
    pub async fn require_owner_or_address(
        &self,
        caller: Option<&Caller>,
        name: &'static str,
        auth: Option<&AuthData>,
    ) -> Result<Owner> {
        if caller.is_some() || !self.interactive_auth.knows_addresses() {
            return self.require_owner(caller, name, auth).await.map(|user| Owner { user, address: None });
        }
        let operation = Operation::of_stranger(name).with_address_for(Purpose::ResetPassword);
        let [password] = password_only();
        self.prove(operation, &[password, AuthFlow::new(vec![AuthType::EmailIdentity])], auth).await
    }

    /// Has somebody who is not logged in prove who they are.
    async fn prove(&self, operation: Operation, flows: &[AuthFlow], auth: Option<&AuthData>) -> Result<Owner> {
        // Clients ask every few seconds whether the link in the mail was followed, which is no guess at a password.
        if auth.is_some_and(|auth| !matches!(auth, AuthData::EmailIdentity(_))) {
            self.rate_limits.spend(Limit::Login, self.address.0)?;
        }
        // As at the login: many addresses together must not guess the password of one account faster.
        if let Some(AuthData::Password(password)) = auth
            && let Some(user) = self.interactive_auth.user_meant(&password.identifier).await?
        {
            self.rate_limits.spend(Limit::Login, &*user)?;
        }
        let proof = self.interactive_auth.authorise(operation, flows, auth).await?;
        let user = proof.user.ok_or_else(|| Error::internal("somebody passed all stages and is nobody"))?;
        Ok(Owner { user, address: proof.address })
    }
}

/// Whose account it is, and how they proved it.
pub struct Owner {
    /// The user.
    pub user: OwnedUserId,
    /// The e-mail address by which they proved it, if not by the password; still to be used up.
    pub address: Option<ValidatedAddress>,
}

/// The usual way to prove who one is.
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
