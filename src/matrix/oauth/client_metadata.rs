//! What a client says about itself when it registers, and what of it holds ("Client metadata").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ErrorCode, Refusal, redirect_uri};
use crate::outgoing::Url;

/// The most redirect URIs of one client.
const MAXIMUM_REDIRECT_URIS: usize = 10;

/// The longest name of a client, in characters.
const MAXIMUM_NAME: usize = 100;

/// The ways to get tokens that this server has, in the order in which they are told.
const GRANT_TYPES: [&str; 2] = ["authorization_code", "refresh_token"];

/// Where the client runs, which decides where browsers may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApplicationType {
    /// On a web server.
    #[default]
    Web,
    /// On somebody's device.
    Native,
}

/// A client as it is registered: what is understood of what it said. Nothing of it is verified but that it fits together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientMetadata {
    /// The name to show, if the client says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// The page about the client, on whose host or below it everything else of the client is.
    pub client_uri: String,
    /// Its picture, which this server does not show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Its terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Its privacy policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Where browsers may be sent; sorted, so that the order makes no other client.
    pub redirect_uris: Vec<String>,
    /// How it authenticates itself: not at all.
    pub token_endpoint_auth_method: String,
    /// What it asks for at the authorisation endpoint.
    pub response_types: Vec<String>,
    /// How it gets tokens.
    pub grant_types: Vec<String>,
    /// Where it runs.
    pub application_type: ApplicationType,
}

/// What is read of a registration. A value that is `null` is not there.
#[derive(Deserialize)]
struct Sent {
    client_name: Option<String>,
    client_uri: Option<String>,
    logo_uri: Option<String>,
    tos_uri: Option<String>,
    policy_uri: Option<String>,
    redirect_uris: Option<Vec<String>>,
    token_endpoint_auth_method: Option<String>,
    response_types: Option<Vec<String>>,
    grant_types: Option<Vec<String>>,
    application_type: Option<String>,
}

impl ClientMetadata {
    /// Reads what a client sent; what this server does not understand is left out, as RFC 7591 has it.
    ///
    /// # Errors
    ///
    /// `InvalidRedirectUri` or `InvalidClientMetadata`.
    pub fn read(sent: Value) -> Result<Self, Refusal> {
        let sent: Sent = serde_json::from_value(sent).map_err(|_| wrong("a value has the wrong type"))?;
        let client_uri = sent.client_uri.ok_or_else(|| wrong("client_uri is missing"))?;
        let base = redirect_uri::https_host(&client_uri)
            .ok_or_else(|| wrong("client_uri is not an https URL on a domain, without a user and a password"))?;
        let on_base = |uri: Option<String>| match uri {
            Some(uri) if !redirect_uri::https_host(&uri).is_some_and(|host| redirect_uri::is_within(&host, &base)) => {
                Err(wrong("logo_uri, tos_uri or policy_uri is not an https URL on the host of client_uri or below it"))
            }
            uri => Ok(uri),
        };
        let application_type = application_type(sent.application_type.as_deref())?;
        if sent.token_endpoint_auth_method.is_some_and(|method| method != "none") {
            return Err(wrong("token_endpoint_auth_method is not none, which is the only one here"));
        }
        if !sent.response_types.is_none_or(|types| types.iter().any(|kind| kind == "code")) {
            return Err(wrong("response_types does not have code"));
        }
        if !sent
            .grant_types
            .is_none_or(|types| GRANT_TYPES.iter().all(|needed| types.iter().any(|kind| kind == needed)))
        {
            return Err(wrong("grant_types does not have authorization_code and refresh_token"));
        }
        Ok(Self {
            client_name: name(sent.client_name)?,
            logo_uri: on_base(sent.logo_uri)?,
            tos_uri: on_base(sent.tos_uri)?,
            policy_uri: on_base(sent.policy_uri)?,
            redirect_uris: redirect_uris(sent.redirect_uris, application_type, &base)?,
            client_uri,
            token_endpoint_auth_method: "none".to_owned(),
            response_types: vec!["code".to_owned()],
            grant_types: GRANT_TYPES.map(str::to_owned).to_vec(),
            application_type,
        })
    }

    /// The URI to which a request wants the browser sent, if the client registered it.
    pub fn redirect_uri(&self, wanted: &str) -> Option<Url> {
        let is_registered = self.redirect_uris.iter().any(|registered| redirect_uri::is_same(registered, wanted));
        is_registered.then(|| Url::parse(wanted).ok()).flatten()
    }

    /// The host of its page.
    pub fn host(&self) -> String {
        redirect_uri::https_host(&self.client_uri).unwrap_or_default()
    }

    /// What a person may call the client: its name, or its host.
    pub fn display_name(&self) -> String {
        self.client_name.clone().unwrap_or_else(|| self.host())
    }
}

fn application_type(sent: Option<&str>) -> Result<ApplicationType, Refusal> {
    match sent {
        None | Some("web") => Ok(ApplicationType::Web),
        Some("native") => Ok(ApplicationType::Native),
        Some(_) => Err(wrong("application_type is neither web nor native")),
    }
}

/// A name has nothing in it that could make the page around it look like something else.
fn name(sent: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(name) = sent.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()) else { return Ok(None) };
    let is_invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if name.chars().count() > MAXIMUM_NAME || name.chars().any(is_invisible) {
        return Err(wrong("client_name has more than 100 characters, or some that cannot be seen"));
    }
    Ok(Some(name))
}

fn redirect_uris(sent: Option<Vec<String>>, kind: ApplicationType, base: &str) -> Result<Vec<String>, Refusal> {
    let mut uris = sent.unwrap_or_default();
    uris.sort_unstable();
    uris.dedup();
    if uris.is_empty() || uris.len() > MAXIMUM_REDIRECT_URIS {
        return Err(ErrorCode::InvalidRedirectUri.with("a client has at least one and at most ten redirect_uris"));
    }
    let check = |uri: &String| redirect_uri::check(uri, kind, base);
    uris.iter().try_for_each(check).map_err(|problem| ErrorCode::InvalidRedirectUri.with(problem))?;
    Ok(uris)
}

fn wrong(description: &'static str) -> Refusal {
    ErrorCode::InvalidClientMetadata.with(description)
}
