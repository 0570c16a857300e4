//! User-interactive authentication: a client proves in stages that its user wants what it asks for.
//!
//! Where a client stands lives in memory and for minutes only: after a restart it starts over.

use std::{sync::Arc, time::Duration};

use quick_cache::sync::Cache;
use ruma::{
    OwnedUserId, UserId,
    api::{
        client::uiaa::{AuthData, AuthFlow, AuthType, EmailIdentity, Password, UiaaInfo, UserIdentifier},
        error::{ErrorKind, StandardErrorBody},
    },
};
use serde_json::value::RawValue;

use super::{
    accounts::Accounts,
    registration_tokens::RegistrationTokens,
    secrets,
    third_party_ids::{EmailValidations, ValidatedAddress},
};
use crate::{
    clock::Clock,
    error::{Error, Kind, Result},
    storage::schema::third_party_ids::Purpose,
};

/// How long a client may take from its first request to its last.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How many clients can be on their way at once; beyond that the ones that waited longest start over.
const MAXIMUM_SESSIONS: usize = 10_000;

/// A cheap-clone service over the authentications that are under way.
#[derive(Clone)]
pub struct InteractiveAuth {
    accounts: Accounts,
    tokens: RegistrationTokens,
    validations: EmailValidations,
    clock: Clock,
    sessions: Arc<Cache<String, Progress>>,
}

/// What a client wants to do: an authentication for one thing lets it do nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    name: &'static str,
    user: Option<OwnedUserId>,
    subjects: Vec<String>,
    /// What an e-mail address must have been proved for to count.
    address_for: Option<Purpose>,
}

impl Operation {
    /// What is called `name` in the code, done to `subjects` by `user`, who is the only one that may authenticate.
    pub fn of_user(user: &UserId, name: &'static str, subjects: Vec<String>) -> Self {
        Self { name, user: Some(user.to_owned()), subjects, address_for: None }
    }

    /// What is called `name` in the code, done by somebody who is not logged in.
    pub fn of_stranger(name: &'static str) -> Self {
        Self { name, user: None, subjects: Vec::new(), address_for: None }
    }

    /// The same, where an e-mail address counts that was proved for `purpose`.
    #[must_use]
    pub fn with_address_for(self, purpose: Purpose) -> Self {
        Self { address_for: Some(purpose), ..self }
    }
}

/// What a client proved on its way through all stages.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// Whose password it knows, or whose address it has when it wants a new password.
    pub user: Option<OwnedUserId>,
    /// The registration token it has.
    pub registration_token: Option<String>,
    /// The e-mail address that its user proved, still to be used up.
    pub address: Option<ValidatedAddress>,
}

/// How far a client has come.
#[derive(Clone)]
struct Progress {
    operation: Operation,
    completed: Vec<AuthType>,
    proof: Proof,
    /// In milliseconds since the Unix epoch.
    ends_at: u64,
}

impl InteractiveAuth {
    /// Authentication of the users in `accounts`, of the holders of `tokens` and of those whose address `validations` prove.
    pub fn new(accounts: Accounts, tokens: RegistrationTokens, validations: EmailValidations, clock: Clock) -> Self {
        Self { accounts, tokens, validations, clock, sessions: Arc::new(Cache::new(MAXIMUM_SESSIONS)) }
    }

    /// Whether the stage of an e-mail address can be passed at all.
    pub fn knows_addresses(&self) -> bool {
        self.validations.are_possible()
    }

    /// The user whom a client means, as [`Accounts::user_meant`].
    ///
    /// # Errors
    ///
    /// As [`Accounts::user_meant`].
    pub async fn user_meant(&self, identifier: &UserIdentifier) -> Result<Option<OwnedUserId>> {
        self.accounts.user_meant(identifier).await
    }

    /// Takes the client one stage further in one of `flows`, and returns what it proved when that was the last one.
    ///
    /// A client may send its first stage without having asked for a session.
    ///
    /// # Errors
    ///
    /// `InteractiveAuth` as long as stages are left, a stage failed, or the session is not known; `Forbidden` if the
    /// session belongs to something else or the stage is passed in the name of somebody else; that of the account if it
    /// cannot be used.
    pub async fn authorise(&self, operation: Operation, flows: &[AuthFlow], auth: Option<&AuthData>) -> Result<Proof> {
        let Some(auth) = auth else {
            return Err(self.challenge(None, self.begin(operation), flows, None));
        };
        let (id, mut progress) = match auth.session() {
            None => (None, self.begin(operation)),
            Some(id) => match self.find(id) {
                Some(progress) if progress.operation == operation => (Some(id.to_owned()), progress),
                Some(_) => return Err(Error::forbidden("This authentication was begun for something else.")),
                None => {
                    let expired = Kind::Unknown.with("This authentication is not known, or took too long: start over.");
                    return Err(self.challenge(None, self.begin(operation), flows, Some(expired)));
                }
            },
        };
        if let Some(stage) = auth.auth_type().filter(|stage| !progress.completed.contains(stage)) {
            if let Err(failure) = self.pass(&mut progress, flows, &stage, auth).await? {
                return Err(self.challenge(id, progress, flows, Some(failure)));
            }
            progress.completed.push(stage);
        }
        if flows.iter().any(|flow| flow.stages == progress.completed) {
            id.iter().for_each(|id| drop(self.sessions.remove(id)));
            return Ok(progress.proof);
        }
        Err(self.challenge(id, progress, flows, None))
    }

    /// Checks one stage; the inner error is one that the client may mend within its session.
    async fn pass(
        &self,
        progress: &mut Progress,
        flows: &[AuthFlow],
        stage: &AuthType,
        auth: &AuthData,
    ) -> Result<Result<()>> {
        let mut next_stages = flows.iter().filter_map(|flow| flow.stages.strip_prefix(&*progress.completed)?.first());
        if !next_stages.any(|next| next == stage) {
            return Ok(Err(Error::forbidden("This is not a stage that comes next.")));
        }
        match auth {
            AuthData::Dummy(_) => Ok(Ok(())),
            AuthData::Password(password) => {
                let user = self.named_user(&progress.operation, password).await?;
                match self.accounts.check_password_of_anyone(user.as_deref(), &password.password).await {
                    Err(error) if error.kind == Kind::Forbidden => Ok(Err(error)),
                    Err(error) => Err(error),
                    Ok(()) => {
                        progress.proof.user = user;
                        Ok(Ok(()))
                    }
                }
            }
            AuthData::EmailIdentity(auth) => match self.proved_address(&mut *progress, auth).await {
                Err(error) if error.kind == Kind::AddressUnproven => Ok(Err(error)),
                outcome => outcome.map(Ok),
            },
            AuthData::RegistrationToken(auth) if self.tokens.is_valid(&auth.token).await? => {
                progress.proof.registration_token = Some(auth.token.clone());
                Ok(Ok(()))
            }
            AuthData::RegistrationToken(_) => Ok(Err(Error::forbidden("This registration token is not valid."))),
            _ => Ok(Err(Error::forbidden("This server does not know this stage."))),
        }
    }

    /// The user whose password this is said to be, who must be the one whose operation it is; `None` is nobody.
    async fn named_user(&self, operation: &Operation, password: &Password) -> Result<Option<OwnedUserId>> {
        let user = self.accounts.user_meant(&password.identifier).await?;
        match &operation.user {
            Some(expected) if user.as_ref() != Some(expected) => {
                Err(Error::forbidden("This is not the user who is logged in."))
            }
            _ => Ok(user),
        }
    }

    /// Notes the address that the client's user proved for what is to be done.
    async fn proved_address(&self, progress: &mut Progress, auth: &EmailIdentity) -> Result<()> {
        let (credentials, purpose) = (&auth.thirdparty_id_creds, progress.operation.address_for);
        let purpose =
            purpose.ok_or_else(|| Error::internal("a flow has the stage of an address, and it proves nothing"))?;
        let (id, secret) = (credentials.sid.as_str(), credentials.client_secret.as_str());
        let proof = self.validations.proved(purpose, id, secret).await?;
        if purpose == Purpose::ResetPassword {
            progress.proof.user = Some(self.validations.owner(&proof).await?);
        }
        progress.proof.address = Some(proof);
        Ok(())
    }

    fn begin(&self, operation: Operation) -> Progress {
        let ends_at = self.clock.millis() + LIFETIME.as_millis() as u64;
        Progress { operation, completed: Vec::new(), proof: Proof::default(), ends_at }
    }

    fn find(&self, id: &str) -> Option<Progress> {
        self.sessions.get(id).filter(|progress| self.clock.millis() < progress.ends_at)
    }

    /// Keeps where the client stands and tells it how to go on.
    fn challenge(&self, id: Option<String>, progress: Progress, flows: &[AuthFlow], failure: Option<Error>) -> Error {
        let id = id.unwrap_or_else(|| secrets::random_text(24));
        let mut info = UiaaInfo::new(flows.to_vec());
        info.session = Some(id.clone());
        info.completed = progress.completed.clone();
        // No stage needs parameters, but clients expect the object.
        info.params = Some(RawValue::from_string("{}".to_owned()).expect("an empty object is JSON"));
        info.auth_error = failure.map(|failure| {
            let kind = match failure.kind {
                Kind::Forbidden => ErrorKind::Forbidden,
                Kind::AddressUnproven => ErrorKind::ThreepidAuthFailed,
                _ => ErrorKind::Unknown,
            };
            Box::new(StandardErrorBody::new(kind, failure.message.into_owned()))
        });
        self.sessions.insert(id, progress);
        Kind::InteractiveAuth(Box::new(info)).with("More authentication is needed.")
    }
}

#[cfg(test)]
mod tests;
