//! What clients need to know of the OAuth 2.0 API ("Server metadata discovery").

use serde_json::{Value, json};

use super::{AUTHORISATION, REGISTRATION, REVOCATION, TOKEN, issuer, public_url};
use crate::config::Config;

/// The metadata of RFC 8414 for this server.
pub fn server_metadata(config: &Config) -> Value {
    let base = public_url(config);
    let endpoint = |path: &str| format!("{base}{path}");
    json!({
        "issuer": issuer(config),
        "authorization_endpoint": endpoint(AUTHORISATION),
        "token_endpoint": endpoint(TOKEN),
        "registration_endpoint": endpoint(REGISTRATION),
        "revocation_endpoint": endpoint(REVOCATION),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true,
    })
}
