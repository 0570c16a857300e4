//! User-interactive authentication: a client proves in stages that its user wants what it asks for.
//!
//! Where a client stands lives in memory and for minutes only: after a restart it starts over.

use std::{sync::Arc, time::Duration};

use quick_cache::sync::Cache;
use ruma::{
    OwnedUserId, UserId,
    api::{
        client::uiaa::{AuthData, AuthFlow, AuthType, Password, UiaaInfo, UserIdentifier},
        error::{ErrorKind, StandardErrorBody},
    },
};
use serde_json::value::RawValue;

use super::{accounts::Accounts, registration_tokens::RegistrationTokens, secrets};
use crate::{
    clock::Clock,
    error::{Error, Kind, Result},
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
    clock: Clock,
    sessions: Arc<Cache<String, Progress>>,
}

/// What a client wants to do: an authentication for one thing lets it do nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    name: &'static str,
    user: Option<OwnedUserId>,
    subjects: Vec<String>,
}

impl Operation {
    /// What is called `name` in the code, done to `subjects` by `user`, who is the only one that may authenticate.
    pub fn of_user(user: &UserId, name: &'static str, subjects: Vec<String>) -> Self {
        Self { name, user: Some(user.to_owned()), subjects }
    }

    /// What is called `name` in the code, done by somebody who is not logged in.
    pub fn of_stranger(name: &'static str) -> Self {
        Self { name, user: None, subjects: Vec::new() }
    }
}

/// What a client proved on its way through all stages.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// Whose password it knows.
    pub user: Option<OwnedUserId>,
    /// The registration token it has.
    pub registration_token: Option<String>,
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
    /// Authentication of the users in `accounts` and of the holders of `tokens`.
    pub fn new(accounts: Accounts, tokens: RegistrationTokens, clock: Clock) -> Self {
        Self { accounts, tokens, clock, sessions: Arc::new(Cache::new(MAXIMUM_SESSIONS)) }
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
                let user = self.named_user(&progress.operation, password)?;
                match self.accounts.check_password(&user, &password.password).await {
                    Err(error) if error.kind == Kind::Forbidden => Ok(Err(error)),
                    Err(error) => Err(error),
                    Ok(()) => {
                        progress.proof.user = Some(user);
                        Ok(Ok(()))
                    }
                }
            }
            AuthData::RegistrationToken(auth) if self.tokens.is_valid(&auth.token).await? => {
                progress.proof.registration_token = Some(auth.token.clone());
                Ok(Ok(()))
            }
            AuthData::RegistrationToken(_) => Ok(Err(Error::forbidden("This registration token is not valid."))),
            _ => Ok(Err(Error::forbidden("This server does not know this stage."))),
        }
    }

    /// The user whose password this is said to be, who must be the one whose operation it is.
    fn named_user(&self, operation: &Operation, password: &Password) -> Result<OwnedUserId> {
        let UserIdentifier::Matrix(identifier) = &password.identifier else {
            return Err(Error::forbidden("On this server people are known by their user id only."));
        };
        let user = self.accounts.user_called(&identifier.user)?;
        match &operation.user {
            Some(expected) if *expected != user => Err(Error::forbidden("This is not the user who is logged in.")),
            _ => Ok(user),
        }
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
            let kind = if failure.kind == Kind::Forbidden { ErrorKind::Forbidden } else { ErrorKind::Unknown };
            Box::new(StandardErrorBody::new(kind, failure.message.into_owned()))
        });
        self.sessions.insert(id, progress);
        Kind::InteractiveAuth(Box::new(info)).with("More authentication is needed.")
    }
}

#[cfg(test)]
mod tests;
