//! Requests to application services.

use std::time::{Duration, Instant};

use tracing::debug;

use super::Bridges;
use crate::{
    appservices::Appservice,
    outgoing::{
        Answer, Call, Failure, Method, Url,
        header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
    },
};

/// The largest answer that is read, in bytes.
const MAXIMUM_ANSWER: usize = 1 << 20;

/// What a service is asked.
pub(super) struct Question<'a> {
    /// The HTTP method.
    pub method: Method,
    /// The parts of the path after the version.
    pub path: &'a [&'a str],
    /// What the path began with before the specification had versions, if there was such a time.
    pub older: Option<&'a [&'a str]>,
    /// The query.
    pub query: &'a [(String, String)],
    /// The JSON body; empty for none.
    pub body: &'a str,
    /// How long it may take.
    pub timeout: Duration,
}

/// Why a service has not answered as it was to.
pub(super) enum Refusal {
    /// It was not reached, or too late.
    Failed(Failure),
    /// It answered with a status that is no success.
    Status(Answer),
}

/// The beginning of the paths that the specification has.
const CURRENT: &[&str] = &["_matrix", "app", "v1"];

impl Bridges {
    /// Asks a service; gives its answer if that is a success, and keeps in mind whether there was one.
    pub(super) async fn call(&self, service: &Appservice, question: &Question<'_>) -> Result<Answer, Refusal> {
        let answer = self.call_somewhere(service, question).await;
        let answered = !matches!(answer, Err(Refusal::Failed(Failure::TimedOut | Failure::Unreachable(_))));
        self.lock().entry(service.id.clone()).or_default().answered(Instant::now(), answered);
        answer
    }

    /// Whether somebody may wait for a service, `patience` at most: not if it did not answer just now, so that one which is down
    /// or hangs delays as few as can be.
    pub(super) fn may_be_waited_for(&self, service: &Appservice, patience: Duration) -> bool {
        self.lock().entry(service.id.clone()).or_default().may_be_waited_for(Instant::now(), patience)
    }

    async fn call_somewhere(&self, service: &Appservice, question: &Question<'_>) -> Result<Answer, Refusal> {
        let answer = self.call_at(service, question, CURRENT).await;
        match (answer, question.older) {
            // Services of old know their own paths only.
            (Err(Refusal::Status(answer)), Some(older)) if matches!(answer.status, 404 | 405 | 501) => {
                self.call_at(service, question, older).await.map_err(|_| Refusal::Status(answer))
            }
            (answer, _) => answer,
        }
    }

    async fn call_at(&self, service: &Appservice, question: &Question<'_>, base: &[&str]) -> Result<Answer, Refusal> {
        let url = address(service, base, question).ok_or(Refusal::Failed(Failure::Forbidden))?;
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::from_str(&format!("Bearer {}", service.hs_token.reveal()));
        let mut bearer = bearer.map_err(|_| Refusal::Failed(Failure::Forbidden))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        if !question.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let call = Call {
            method: question.method.clone(),
            url,
            headers,
            body: question.body.as_bytes().to_vec(),
            timeout: question.timeout,
            max_body: MAXIMUM_ANSWER,
            redirects: 0,
        };
        let answer = self.shared.outgoing.send(call).await.map_err(Refusal::Failed)?;
        debug!(service = service.id, status = answer.status, "an application service answered");
        match answer.status {
            200..300 => Ok(answer),
            _ => Err(Refusal::Status(answer)),
        }
    }
}

impl Refusal {
    /// A few words for the log and the operator.
    pub fn describe(&self) -> String {
        match self {
            Self::Failed(failure) => failure.to_string(),
            Self::Status(answer) => format!("it answered with status {}", answer.status),
        }
    }
}

/// The URL of a question; each part of the path is encoded as one.
fn address(service: &Appservice, base: &[&str], question: &Question<'_>) -> Option<Url> {
    let mut url = Url::parse(service.url.as_deref()?).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(base).extend(question.path);
    if !question.query.is_empty() {
        url.query_pairs_mut().extend_pairs(question.query);
    }
    Some(url)
}
