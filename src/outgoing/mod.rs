//! The one door that leads out of the server: every request to another one goes through it.
//!
//! Most addresses that are called here come from users, so none is trusted. Only public addresses are called, unless the
//! operator allows more, and that is decided where a name has been looked up and right before connecting: a redirect or
//! a name that changes its address between two look-ups gains nothing.

pub mod mail;
mod names;
mod public_addresses;

#[cfg(test)]
mod tests;

use std::{
    error::Error as _,
    fmt, fs,
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{
    Certificate, Client, Request, Response,
    header::{HeaderMap, LOCATION},
    redirect::Policy,
};
pub use reqwest::{Method, Url, header};

use self::names::{Names, NotAllowed};
use crate::{
    config,
    error::{Error, Result},
};

/// What the server calls itself towards others.
const USER_AGENT: &str = concat!("Commonroom/", env!("CARGO_PKG_VERSION"));
/// How long a connection that nobody uses stays open.
const IDLE: Duration = Duration::from_secs(60);

/// A cheap-clone way out.
#[derive(Clone)]
pub struct Outgoing {
    shared: Arc<Shared>,
}

struct Shared {
    names: Names,
    authorities: Vec<Certificate>,
    /// Made at the first call, because reading the system's authorities takes longer than the rest of a start.
    client: OnceLock<Client>,
}

/// What is asked of another server.
#[derive(Clone, Debug)]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// The address; its scheme is `http` or `https`.
    pub url: Url,
    /// Headers besides those that every request has.
    pub headers: HeaderMap,
    /// The body; may be empty.
    pub body: Vec<u8>,
    /// How long it may take in all, redirects and the body of the answer included.
    pub timeout: Duration,
    /// The largest body of an answer that is read, in bytes.
    pub max_body: usize,
    /// How many redirects are followed; only a GET is ever sent elsewhere.
    pub redirects: usize,
}

/// What another server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The address that answered, after all redirects.
    pub url: Url,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The address is not public, or has a scheme that leads elsewhere.
    Forbidden,
    /// It took too long.
    TimedOut,
    /// The body is larger than the caller wants.
    TooLarge,
    /// The other server was not reached or did not speak HTTP; why, without the address.
    Unreachable(String),
}

impl Outgoing {
    /// The way out as the operator configured it.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if a certificate authority cannot be read.
    pub fn new(chosen: &config::Outgoing) -> Result<Self> {
        let mut authorities = Vec::new();
        for path in &chosen.extra_certificate_authorities {
            let problem = |cause: &dyn fmt::Display| {
                Error::invalid(format!("outgoing.extra_certificate_authorities: {}: {cause}", path.display()))
            };
            let pem = fs::read(path).map_err(|cause| problem(&cause))?;
            let found = Certificate::from_pem_bundle(&pem).map_err(|cause| problem(&cause))?;
            if found.is_empty() {
                return Err(problem(&"there is no certificate in it"));
            }
            authorities.extend(found);
        }
        let shared = Shared { names: Names::new(chosen), authorities, client: OnceLock::new() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The same way out without the guard, for URLs that the operator and nobody else wrote down, such as those of
    /// application services.
    #[must_use]
    pub fn to_where_the_operator_says(&self) -> Self {
        let (names, authorities) = (self.shared.names.trusting(), self.shared.authorities.clone());
        Self { shared: Arc::new(Shared { names, authorities, client: OnceLock::new() }) }
    }

    /// Sends `call` and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// A [`Failure`] if there is none.
    pub async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let timeout = call.timeout;
        tokio::time::timeout(timeout, self.follow(call)).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn follow(&self, mut call: Call) -> Result<Answer, Failure> {
        loop {
            let response = self.send_once(&call).await?;
            match next_place(&call, &response) {
                Some(url) if call.redirects > 0 => {
                    call.redirects -= 1;
                    call.url = url;
                }
                _ => return read(response, call.max_body).await,
            }
        }
    }

    async fn send_once(&self, call: &Call) -> Result<Response, Failure> {
        self.check(&call.url)?;
        let mut request = Request::new(call.method.clone(), call.url.clone());
        *request.headers_mut() = call.headers.clone();
        if !call.body.is_empty() {
            *request.body_mut() = Some(call.body.clone().into());
        }
        self.client()?.execute(request).await.map_err(failure)
    }

    /// Refuses what can be seen to be elsewhere before any name is looked up; names are judged by their addresses.
    fn check(&self, url: &Url) -> Result<(), Failure> {
        let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or(Failure::Forbidden)?;
        match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) if !self.shared.names.allows(address) => Err(Failure::Forbidden),
            _ => Ok(()),
        }
    }

    fn client(&self) -> Result<&Client, Failure> {
        if let Some(client) = self.shared.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .user_agent(USER_AGENT)
            // A proxy from the environment would connect for us, and to where it likes.
            .no_proxy()
            .redirect(Policy::none())
            .pool_idle_timeout(IDLE)
            .tls_certs_merge(self.shared.authorities.iter().cloned())
            .dns_resolver(self.shared.names.clone())
            .build()
            .map_err(failure)?;
        Ok(self.shared.client.get_or_init(|| client))
    }
}

/// Where a redirect leads, if this is one that may be followed.
fn next_place(call: &Call, response: &Response) -> Option<Url> {
    if call.method != Method::GET || !response.status().is_redirection() {
        return None;
    }
    let place = response.headers().get(LOCATION)?.to_str().ok()?;
    response.url().join(place).ok()
}

async fn read(mut response: Response, max_body: usize) -> Result<Answer, Failure> {
    if response.content_length().is_some_and(|length| length > max_body as u64) {
        return Err(Failure::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > max_body {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let (status, url) = (response.status().as_u16(), response.url().clone());
    Ok(Answer { status, url, headers: std::mem::take(response.headers_mut()), body })
}

fn failure(cause: reqwest::Error) -> Failure {
    let mut source = cause.source();
    let mut innermost = None;
    while let Some(cause) = source {
        if cause.is::<NotAllowed>() {
            return Failure::Forbidden;
        }
        innermost = Some(cause.to_string());
        source = cause.source();
    }
    if cause.is_timeout() {
        return Failure::TimedOut;
    }
    // The address may hold a secret, and is the caller's to name.
    Failure::Unreachable(innermost.unwrap_or_else(|| cause.without_url().to_string()))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden => f.write_str("the address is not one that this server may call"),
            Self::TimedOut => f.write_str("it took too long"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Unreachable(cause) => f.write_str(cause),
        }
    }
}

impl std::error::Error for Failure {}
