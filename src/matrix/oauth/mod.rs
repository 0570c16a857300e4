//! The rules of the OAuth 2.0 API: which clients may register, what they may ask for, and where a browser may be sent.

mod client_metadata;
mod pkce;
mod redirect_uri;
mod refusal;
mod request;
mod scope;

#[cfg(test)]
mod tests;

pub use self::{
    client_metadata::{ApplicationType, ClientMetadata},
    pkce::CodeChallenge,
    refusal::{ErrorCode, Refusal},
    request::{AuthorisationRequest, BadRequest, ReturnAddress},
    scope::Scope,
};

/// The values of a request by their names, each of which comes once.
pub type Parameters = std::collections::BTreeMap<String, String>;
