//! Why a request of OAuth 2.0 is refused, in the vocabulary of its own standards.

use std::borrow::Cow;

/// A refusal with a sentence for the developer of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code that clients match on.
    pub code: ErrorCode,
    /// What is wrong, in plain ASCII without quotation marks, as RFC 6749 wants it.
    pub description: Cow<'static, str>,
}

/// The error codes of RFC 6749 and RFC 7591 that this server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A value is missing, repeated or not allowed.
    InvalidRequest,
    /// There is no such client.
    InvalidClient,
    /// The code or the refresh token does not work, or not for this client.
    InvalidGrant,
    /// The server does not know this way to get tokens.
    UnsupportedGrantType,
    /// The server gives nothing else than codes.
    UnsupportedResponseType,
    /// The scope is not one of Matrix.
    InvalidScope,
    /// The person said no.
    AccessDenied,
    /// It cannot be done without asking the person, which the client did not want.
    LoginRequired,
    /// The client may not have its browsers sent there.
    InvalidRedirectUri,
    /// Something else about the client is not allowed.
    InvalidClientMetadata,
    /// It may work later.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The code as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied => "access_denied",
            Self::LoginRequired => "login_required",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// A refusal with this code.
    pub fn with(self, description: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { code: self, description: description.into() }
    }
}
