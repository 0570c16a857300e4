//! Asks services whether there is somebody or something that this server does not know yet, so that they can make it
//! ([spec](https://spec.matrix.org/v1.19/application-service-api/#querying)), and whether they can be reached at all.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ruma::{RoomAliasId, RoomOrAliasId, TransactionId, UserId};
use serde_json::json;
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

/// How long a service has to make what it is asked for.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a service has to answer that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(30);

impl Bridges {
    /// Lets services make a user of their namespaces whom somebody asks for and who is not there.
    ///
    /// # Errors
    ///
    /// Only those of the storage underneath; what a service fails at is not there.
    pub async fn ask_for_user(&self, user: &UserId) -> Result<()> {
        let concerned = |service: &Appservice| service.has_user(user) && *service.sender != *user;
        let services = self.concerned(concerned);
        if services.is_empty() || self.shared.sources.accounts.get(user).await?.is_some() {
            return Ok(());
        }
        for service in services {
            if self.has(&service, &["users", user.as_str()]).await {
                break;
            }
        }
        Ok(())
    }

    /// Lets services make an alias of their namespaces that somebody asks for and that is not there.
    ///
    /// # Errors
    ///
    /// Only those of the storage underneath; what a service fails at is not there.
    pub async fn ask_for_alias(&self, alias: &RoomAliasId) -> Result<()> {
        let services = self.concerned(|service| service.has_alias(alias));
        if services.is_empty() || self.shared.sources.rooms.resolve_alias(alias).await.is_ok() {
            return Ok(());
        }
        for service in services {
            if self.has(&service, &["rooms", alias.as_str()]).await {
                break;
            }
        }
        Ok(())
    }

    /// As [`Bridges::ask_for_alias`], where it may be a room's id.
    ///
    /// # Errors
    ///
    /// As [`Bridges::ask_for_alias`].
    pub async fn ask_for_room(&self, id_or_alias: &RoomOrAliasId) -> Result<()> {
        match <&RoomAliasId>::try_from(id_or_alias) {
            Ok(alias) => self.ask_for_alias(alias).await,
            Err(_) => Ok(()),
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
            timeout: PING_TIMEOUT,
        };
        let started = Instant::now();
        match self.call(service, &question).await {
            Ok(_) => {
                // What waits for it need not wait any longer.
                self.health(&service.id).nudge.notify_waiters();
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

    /// Whether a service says that it has something, which it then has made.
    async fn has(&self, service: &Appservice, path: &[&str]) -> bool {
        let question = Question { method: Method::GET, path, older: Some(&[]), query: &[], body: "", timeout: TIMEOUT };
        match self.call(service, &question).await {
            Ok(_) => true,
            Err(refusal) => {
                debug!(service = service.id, cause = refusal.describe(), "an application service does not know it");
                false
            }
        }
    }
}
