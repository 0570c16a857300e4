//! Asks services about the networks that they lead to
//! ([spec](https://spec.matrix.org/v1.19/application-service-api/#third-party-networks)).

use std::time::Duration;

use futures_util::future::join_all;
use ruma::{RoomAliasId, UserId};
use serde_json::{Map, Value};

use super::{Bridges, calls::Question};
use crate::{
    appservices::Appservice,
    error::{Error, Result},
    outgoing::Method,
};

/// The longest that a service has to answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Where these questions were asked before the specification had them.
const OLDER: &[&str] = &["_matrix", "app", "unstable"];

/// What is looked for in networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// Places, such as channels.
    Locations,
    /// People.
    Users,
}

impl Sought {
    fn path(self) -> &'static str {
        match self {
            Self::Locations => "location",
            Self::Users => "user",
        }
    }
}

impl Bridges {
    /// All networks with what services say of them.
    pub async fn networks(&self) -> Map<String, Value> {
        let services = self.concerned(|service| !service.protocols.is_empty());
        let mut names: Vec<&String> = services.iter().flat_map(|service| &service.protocols).collect();
        names.sort();
        names.dedup();
        let answers = join_all(names.iter().map(|name| self.network(name))).await;
        names.into_iter().zip(answers).filter_map(|(name, answer)| Some((name.clone(), answer.ok()?))).collect()
    }

    /// One network: what the first service says of it, with the instances of all.
    ///
    /// # Errors
    ///
    /// `NotFound` if no service leads to it.
    pub async fn network(&self, name: &str) -> Result<Value> {
        let services = self.concerned(|service| service.protocols.iter().any(|protocol| protocol == name));
        let path = ["thirdparty", "protocol", name];
        let asked = services.iter().map(|service| self.ask(service, &path, &[]));
        let mut network: Option<Map<String, Value>> = None;
        for (service, answer) in services.iter().zip(join_all(asked).await) {
            let Some(Value::Object(mut answer)) = answer else { continue };
            let mut instances = match answer.remove("instances") {
                Some(Value::Array(instances)) => instances,
                _ => Vec::new(),
            };
            for instance in instances.iter_mut().filter_map(Value::as_object_mut) {
                let network_id = instance.get("network_id").and_then(Value::as_str).unwrap_or_default();
                let instance_id = format!("{}|{network_id}", service.id);
                instance.insert("instance_id".to_owned(), instance_id.into());
            }
            let network = network.get_or_insert(answer);
            match network.entry("instances").or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(all) => all.extend(instances),
                other => *other = Value::Array(instances),
            }
        }
        network.map(Value::Object).ok_or_else(|| Error::not_found("No application service leads to this network."))
    }

    /// What services find in a network by `fields`, which mean something to them.
    ///
    /// # Errors
    ///
    /// `NotFound` if no service leads to the network.
    pub async fn search(&self, sought: Sought, network: &str, fields: &[(String, String)]) -> Result<Vec<Value>> {
        let services = self.concerned(|service| service.protocols.iter().any(|protocol| protocol == network));
        if services.is_empty() {
            return Err(Error::not_found("No application service leads to this network."));
        }
        Ok(self.gather_answers(&services, &["thirdparty", sought.path(), network], fields).await)
    }

    /// What stands in networks for a room alias.
    pub async fn locations_of(&self, alias: &RoomAliasId) -> Vec<Value> {
        let services = self.concerned(|service| service.has_alias(alias));
        let query = [("alias".to_owned(), alias.to_string())];
        self.gather_answers(&services, &["thirdparty", "location"], &query).await
    }

    /// Who stands in networks for a user.
    pub async fn people_behind(&self, user: &UserId) -> Vec<Value> {
        let services = self.concerned(|service| service.has_user(user));
        let query = [("userid".to_owned(), user.to_string())];
        self.gather_answers(&services, &["thirdparty", "user"], &query).await
    }

    /// The lists that services answer with, as one.
    async fn gather_answers(
        &self,
        services: &[std::sync::Arc<Appservice>],
        path: &[&str],
        query: &[(String, String)],
    ) -> Vec<Value> {
        let answers = join_all(services.iter().map(|service| self.ask(service, path, query))).await;
        let lists = answers.into_iter().filter_map(|answer| match answer {
            Some(Value::Array(list)) => Some(list),
            _ => None,
        });
        lists.flatten().filter(Value::is_object).collect()
    }

    async fn ask(&self, service: &Appservice, path: &[&str], query: &[(String, String)]) -> Option<Value> {
        let timeout = TIMEOUT.min(self.shared.answer_timeout);
        if !self.may_be_waited_for(service, timeout) {
            return None;
        }
        let question = Question { method: Method::GET, path, older: Some(OLDER), query, body: "", timeout };
        let answer = self.call(service, &question).await.ok()?;
        serde_json::from_slice(&answer.body).ok()
    }
}
