//! Asks services whether there is somebody or something that this server does not know yet, so that they can make it
//! ([spec](https://spec.matrix.org/v1.19/application-service-api/#querying)), and whether they can be reached at all.

use std::{
    future::ready,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use ruma::{OwnedUserId, RoomAliasId, RoomOrAliasId, TransactionId, UserId};
use serde_json::json;
use tokio::time::sleep;
use tracing::debug;

use super::{
    Bridges,
    calls::{Question, Refusal},
};
use crate::{
    appservices::Appservice,
    error::{Kind, Result},
    outgoing::{Failure, Method},
};

/// How long to wait before a service that failed is asked once more, in milliseconds.
const PAUSES: [u64; 2] = [250, 1_000];
/// How many users are asked for at a time where one request names many.
const AT_A_TIME: usize = 8;

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Whoever had to be asked has answered, and made what there is to make.
    Answered,
    /// A service that may have it did not answer.
    Unanswered,
}

impl Asked {
    /// For those who cannot do without the answer.
    ///
    /// # Errors
    ///
    /// `TimedOut` if there is none.
    pub fn require_answer(self) -> Result<()> {
        match self {
            Self::Answered => Ok(()),
            Self::Unanswered => Err(Kind::TimedOut.with(
                "A bridge may know what you look for, and it does not answer. Try again later, or ask the server's administrator.",
            )),
        }
    }
}

impl Bridges {
    /// Lets services make a user of their namespaces whom somebody asks for and who is not there. `by` is the service that asks
    /// itself, which knows what it has and may not be able to answer meanwhile.
    ///
    /// # Errors
    ///
    /// Only those of the storage underneath.
    pub async fn ask_for_user(&self, user: &UserId, by: Option<&Appservice>) -> Result<Asked> {
        let concerned = |service: &Appservice| service.has_user(user) && *service.sender != *user;
        let services = self.askable(concerned, by);
        if services.is_empty() || self.shared.sources.accounts.get(user).await?.is_some() {
            return Ok(Asked::Answered);
        }
        Ok(self.ask_each(&services, &["users", user.as_str()]).await)
    }

    /// As [`Bridges::ask_for_user`], for those whom one request names.
    ///
    /// # Errors
    ///
    /// As [`Bridges::ask_for_user`].
    pub async fn ask_for_users(&self, users: &[OwnedUserId], by: Option<&Appservice>) -> Result<()> {
        let questions: Vec<_> = users.iter().map(|user| self.ask_for_user(user, by)).collect();
        stream::iter(questions).buffer_unordered(AT_A_TIME).try_for_each(|_| ready(Ok(()))).await
    }

    /// Lets services make an alias of their namespaces that somebody asks for and that is not there, as
    /// [`Bridges::ask_for_user`].
    ///
    /// # Errors
    ///
    /// Only those of the storage underneath.
    pub async fn ask_for_alias(&self, alias: &RoomAliasId, by: Option<&Appservice>) -> Result<Asked> {
        // Nobody here can make an alias of another server.
        let local = alias.server_name() == self.shared.sources.appservices.server_name();
        let services = self.askable(|service| local && service.has_alias(alias), by);
        if services.is_empty() || self.shared.sources.rooms.resolve_alias(alias).await.is_ok() {
            return Ok(Asked::Answered);
        }
        Ok(self.ask_each(&services, &["rooms", alias.as_str()]).await)
    }

    /// As [`Bridges::ask_for_alias`], where it may be a room's id.
    ///
    /// # Errors
    ///
    /// As [`Bridges::ask_for_alias`].
    pub async fn ask_for_room(&self, id_or_alias: &RoomOrAliasId, by: Option<&Appservice>) -> Result<Asked> {
        match <&RoomAliasId>::try_from(id_or_alias) {
            Ok(alias) => self.ask_for_alias(alias, by).await,
            Err(_) => Ok(Asked::Answered),
        }
    }

    /// Calls a service that wants to know whether it can be called; gives how long that took.
    ///
    /// # Errors
    ///
    /// `NoUrl`, `ConnectionFailed`, `ConnectionTimeout` or `BadStatus`.
    pub async fn ping(&self, service: &Appservice, transaction: Option<&TransactionId>) -> Result<Duration> {
        if service.url.is_none() {
            return Err(Kind::NoUrl.with("The application service has no URL."));
        }
        let body = match transaction {
            Some(transaction) => json!({"transaction_id": transaction}),
            None => json!({}),
        };
        let question = Question {
            method: Method::POST,
            path: &["ping"],
            older: None,
            query: &[],
            body: &body.to_string(),
            timeout: self.shared.answer_timeout,
        };
        let started = Instant::now();
        match self.call(service, &question).await {
            Ok(_) => {
                // What waits for it need not wait any longer.
                self.lock().entry(service.id.clone()).or_default().nudge.notify_waiters();
                Ok(started.elapsed())
            }
            Err(Refusal::Failed(Failure::TimedOut)) => {
                Err(Kind::ConnectionTimeout.with("The application service did not answer in time."))
            }
            Err(Refusal::Failed(cause)) => {
                Err(Kind::ConnectionFailed.with(format!("The application service was not reached: {cause}.")))
            }
            Err(Refusal::Status(answer)) => {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                let kind = Kind::BadStatus { status: answer.status, body };
                Err(kind.with("The application service answered with a status that is no success."))
            }
        }
    }

    /// The services that can be asked and that a thing concerns.
    pub(super) fn concerned(&self, concerns: impl Fn(&Appservice) -> bool) -> Vec<Arc<Appservice>> {
        let all = self.shared.sources.appservices.all();
        all.iter().filter(|service| service.url.is_some() && concerns(service)).cloned().collect()
    }

    fn askable(&self, concerns: impl Fn(&Appservice) -> bool, by: Option<&Appservice>) -> Vec<Arc<Appservice>> {
        self.concerned(|service| by.is_none_or(|by| by.id != service.id) && concerns(service))
    }

    /// Asks services, one after another, until one has it.
    async fn ask_each(&self, services: &[Arc<Appservice>], path: &[&str]) -> Asked {
        let mut asked = Asked::Answered;
        for service in services {
            match self.has(service, path).await {
                Some(true) => return Asked::Answered,
                Some(false) => {}
                None => asked = Asked::Unanswered,
            }
        }
        asked
    }

    /// Whether a service says that it has something, which it then has made; `None` if it does not answer.
    async fn has(&self, service: &Appservice, path: &[&str]) -> Option<bool> {
        let end = Instant::now() + self.shared.answer_timeout;
        if !self.may_be_waited_for(service, self.shared.answer_timeout) {
            return None;
        }
        let mut pauses = PAUSES.into_iter();
        loop {
            let timeout = end.saturating_duration_since(Instant::now());
            let question = Question { method: Method::GET, path, older: Some(&[]), query: &[], body: "", timeout };
            let refusal = match self.call(service, &question).await {
                Ok(_) => return Some(true),
                Err(Refusal::Status(answer)) if answer.status < 500 && !matches!(answer.status, 408 | 429) => {
                    return Some(false);
                }
                Err(refusal) => refusal,
            };
            debug!(service = service.id, cause = refusal.describe(), "an application service does not answer");
            let pause = Duration::from_millis(pauses.next()?);
            if Instant::now() + pause >= end {
                return None;
            }
            sleep(pause).await;
        }
    }
}
