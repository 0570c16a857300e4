//! Calls push gateways, so many at a time that none of them is in the way of others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use ruma::api::push_gateway::send_event_notification::v1::Response;
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::outgoing::{
    Answer, Call, Failure, Method, Outgoing, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
};

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer that is read, in bytes: a list of pushkeys.
const MAXIMUM_ANSWER: usize = 64 << 10;
/// How many calls of all gateways are under way at the same time.
const CALLS: usize = 512;
/// How many calls of one gateway are. One that hangs keeps this many waiting, and no others.
const CALLS_OF_ONE: usize = 32;

/// The way to all gateways.
pub(super) struct Gateways {
    outgoing: Outgoing,
    all: Semaphore,
    /// By host and port.
    each: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The gateway took it.
    Told,
    /// The gateway does not know the pushkey, or no longer.
    Rejected,
    /// It would not take it another time either, and why.
    Refused(String),
    /// It may take it another time, not before as many milliseconds if it said so, and why not now.
    Failed(Option<u64>, String),
}

impl Gateways {
    /// Through this door.
    pub fn new(outgoing: Outgoing) -> Self {
        Self { outgoing, all: Semaphore::new(CALLS), each: Mutex::default() }
    }

    /// Calls the gateway at `url` on behalf of the pusher with `pushkey`.
    pub async fn call(&self, url: &str, pushkey: &str, body: Vec<u8>) -> Outcome {
        let Ok(url) = Url::parse(url) else { return Outcome::Refused("its address is none".to_owned()) };
        let own = self.of(&url);
        // The own one first, so that those who wait for a gateway that hangs are in nobody's way.
        let _permits = (permit(&own).await, permit(&self.all).await);
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let (timeout, max_body) = (TIMEOUT, MAXIMUM_ANSWER);
        let call = Call { method: Method::POST, url, headers, body, timeout, max_body, redirects: 0 };
        outcome(self.outgoing.send(call).await, pushkey)
    }

    fn of(&self, url: &Url) -> Arc<Semaphore> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if each.len() >= CALLS {
            each.retain(|_, semaphore| semaphore.strong_count() > 0);
        }
        let host =
            format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        if let Some(semaphore) = each.get(&host).and_then(Weak::upgrade) {
            return semaphore;
        }
        let semaphore = Arc::new(Semaphore::new(CALLS_OF_ONE));
        each.insert(host, Arc::downgrade(&semaphore));
        semaphore
    }
}

/// Waits for a turn; `None` is for a semaphore that was closed, which nobody does.
async fn permit(semaphore: &Semaphore) -> Option<SemaphorePermit<'_>> {
    semaphore.acquire().await.ok()
}

fn outcome(answer: Result<Answer, Failure>, pushkey: &str) -> Outcome {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        rejected: Vec<String>,
    }

    let answer = match answer {
        Ok(answer) => answer,
        Err(cause @ Failure::Forbidden) => return Outcome::Refused(cause.to_string()),
        // It was taken, whatever the gateway had to say besides.
        Err(cause @ Failure::TooLarge) => return Outcome::Refused(cause.to_string()),
        Err(cause) => return Outcome::Failed(None, cause.to_string()),
    };
    match answer.status {
        200..300 => {
            // A gateway that says nothing that can be read has nothing to reject.
            let body: Option<Body> = serde_json::from_slice(&answer.body).ok();
            match body.is_some_and(|body| Response::new(body.rejected).rejected.iter().any(|key| key == pushkey)) {
                true => Outcome::Rejected,
                false => Outcome::Told,
            }
        }
        status @ (429 | 500..) => Outcome::Failed(retry_after(&answer.headers), format!("it answered with {status}")),
        status => Outcome::Refused(format!("it answered with {status}")),
    }
}

/// What a gateway asks for with `Retry-After`, if it is a number of seconds, in milliseconds.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Answer, Failure> {
        let url = Url::parse("https://push.example.org/").unwrap();
        Ok(Answer { status, headers: HeaderMap::new(), url, body: body.into() })
    }

    #[test]
    fn what_a_gateway_answers_is_understood() {
        let told = |status, body| outcome(answer(status, body), "key");
        assert_eq!(told(200, r#"{"rejected": []}"#), Outcome::Told);
        assert_eq!(told(200, r#"{"rejected": ["other"]}"#), Outcome::Told);
        assert_eq!(told(200, r#"{"rejected": ["other", "key"]}"#), Outcome::Rejected);
        for body in ["", "{}", "thanks", r#"{"rejected": 1}"#] {
            assert_eq!(told(200, body), Outcome::Told, "{body}");
        }
        for status in [301, 400, 401, 404, 405] {
            assert!(matches!(told(status, ""), Outcome::Refused(_)), "{status}");
        }
        for status in [429, 500, 502, 503] {
            assert!(matches!(told(status, ""), Outcome::Failed(None, _)), "{status}");
        }
        for failure in [Failure::TimedOut, Failure::Unreachable("no".to_owned())] {
            assert!(matches!(outcome(Err(failure), "key"), Outcome::Failed(None, _)));
        }
        assert!(matches!(outcome(Err(Failure::Forbidden), "key"), Outcome::Refused(_)));
    }

    #[test]
    fn a_gateway_may_say_when_to_come_back() {
        let mut late = answer(503, "").unwrap();
        late.headers.insert(RETRY_AFTER, HeaderValue::from_static("120"));
        assert!(matches!(outcome(Ok(late.clone()), "key"), Outcome::Failed(Some(120_000), _)));
        late.headers.insert(RETRY_AFTER, HeaderValue::from_static("Fri, 31 Dec 1999 23:59:59 GMT"));
        assert!(matches!(outcome(Ok(late), "key"), Outcome::Failed(None, _)));
    }
}
