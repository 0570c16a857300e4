//! A request for authorisation, and how its outcome gets back to the client ("Authorisation code flow").

use super::{ClientMetadata, CodeChallenge, ErrorCode, Parameters, Refusal, Scope};
use crate::outgoing::Url;

/// The longest `state`, in bytes.
const MAXIMUM_STATE: usize = 2_048;

/// A request that can be shown to the person who is to allow it.
#[derive(Clone, Debug)]
pub struct AuthorisationRequest {
    /// The client that asks.
    pub client_id: String,
    /// What it says about itself.
    pub client: ClientMetadata,
    /// What it asks for.
    pub scope: Scope,
    /// What it will prove to be the one that asked by.
    pub challenge: CodeChallenge,
    /// The redirect URI, as it stood in the request.
    pub redirect_uri: String,
    /// Where the outcome goes.
    pub return_address: ReturnAddress,
}

/// Where and how a client is told the outcome. It is made only of a URI that the client registered.
#[derive(Clone, Debug)]
pub struct ReturnAddress {
    url: Url,
    in_fragment: bool,
    state: Option<String>,
}

/// A request that nobody can allow.
#[derive(Debug)]
pub enum BadRequest {
    /// The browser must not be sent anywhere, so that the person is told.
    Shown(&'static str),
    /// The client is told.
    Told(Box<ReturnAddress>, Refusal),
}

impl AuthorisationRequest {
    /// Reads the request of a registered client.
    ///
    /// # Errors
    ///
    /// `Shown` unless the redirect URI is one of the client's; `Told` if anything else is wrong.
    pub fn read(client_id: &str, client: ClientMetadata, parameters: &Parameters) -> Result<Self, BadRequest> {
        let value = |name: &str| parameters.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let redirect_uri =
            value("redirect_uri").ok_or(BadRequest::Shown("The app does not say where to go back to."))?;
        let url = client
            .redirect_uri(redirect_uri)
            .ok_or(BadRequest::Shown("The app wants you sent to an address that it has not registered."))?;
        // `prompt=create` where it is not offered is to be refused without a redirect.
        let prompts: Vec<_> = value("prompt").unwrap_or_default().split(' ').collect();
        if prompts.contains(&"create") {
            return Err(BadRequest::Shown("New accounts cannot be made here (invalid_request: prompt=create)."));
        }
        let mut return_address = ReturnAddress::to(url);
        let told = |to: &ReturnAddress, refusal: Refusal| BadRequest::Told(Box::new(to.clone()), refusal);
        let invalid = |to: &ReturnAddress, what: &'static str| told(to, ErrorCode::InvalidRequest.with(what));
        if value("state").is_some_and(|state| state.len() > MAXIMUM_STATE) {
            return Err(invalid(&return_address, "state is longer than 2048 bytes"));
        }
        return_address.state = value("state").map(str::to_owned);
        match value("response_mode") {
            None | Some("query") => {}
            Some("fragment") => return_address.in_fragment = true,
            Some(_) => return Err(invalid(&return_address, "response_mode is neither query nor fragment")),
        }
        let to = &return_address;
        match value("response_type") {
            Some("code") => {}
            None => return Err(invalid(to, "response_type is missing")),
            Some(_) => {
                return Err(told(to, ErrorCode::UnsupportedResponseType.with("the only response_type is code")));
            }
        }
        if prompts.contains(&"none") {
            return Err(told(to, ErrorCode::LoginRequired.with("nobody is logged in without being asked")));
        }
        if value("code_challenge_method") != Some("S256") {
            return Err(invalid(to, "code_challenge_method is not S256"));
        }
        let challenge = value("code_challenge").and_then(CodeChallenge::read);
        let challenge = challenge.ok_or_else(|| invalid(to, "code_challenge is missing or no SHA-256 in base64url"))?;
        let scope = Scope::read(value("scope").unwrap_or_default()).map_err(|refusal| told(to, refusal))?;
        let (client_id, redirect_uri) = (client_id.to_owned(), redirect_uri.to_owned());
        Ok(Self { client_id, client, scope, challenge, redirect_uri, return_address })
    }
}

impl ReturnAddress {
    /// The registered `url`, told in its query and without a state.
    pub(super) fn to(url: Url) -> Self {
        Self { url, in_fragment: false, state: None }
    }

    /// The URI that tells the client the `code`.
    pub fn with_code(&self, code: &str, issuer: &str) -> String {
        self.with(&[("code", code), ("iss", issuer)])
    }

    /// The URI that tells the client of a refusal.
    pub fn with_refusal(&self, refusal: &Refusal, issuer: &str) -> String {
        let told = [("error", refusal.code.as_str()), ("error_description", &refusal.description), ("iss", issuer)];
        self.with(&told)
    }

    /// What a person may call the place: its host, or the scheme of an app on this device.
    pub fn place(&self) -> String {
        match (self.url.scheme(), self.url.host_str()) {
            ("https", Some(host)) => host.to_owned(),
            ("http", Some(_)) => "an app on this computer".to_owned(),
            (scheme, _) => format!("the app {scheme} on this device"),
        }
    }

    /// The place as a source of a content security policy, where a form may lead to. There is no way to write an address
    /// of IPv6 there.
    pub fn source(&self) -> String {
        match (self.url.scheme(), self.url.host_str(), self.url.port()) {
            (scheme @ ("http" | "https"), Some(host), port) if !host.starts_with('[') => {
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                format!("{scheme}://{host}{port}")
            }
            (scheme, ..) => format!("{scheme}:"),
        }
    }

    fn with(&self, parameters: &[(&str, &str)]) -> String {
        let state = self.state.as_deref().map(|state| ("state", state));
        let parameters = parameters.iter().copied().chain(state);
        let mut url = self.url.clone();
        if self.in_fragment {
            let mut encoded = self.url.clone();
            encoded.set_query(None);
            encoded.query_pairs_mut().extend_pairs(parameters);
            url.set_fragment(encoded.query());
        } else {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        url.into()
    }
}
