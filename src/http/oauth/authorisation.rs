//! `/oauth2/authorize`: the page on which somebody logs in and allows a client, in one step ("Authorisation code flow").
//!
//! The request is read anew from the address of the page when the form comes, so that nothing is kept until somebody has
//! proved who they are.

use std::sync::Arc;

use axum::{
    extract::{RawForm, RawQuery, State, rejection::RawFormRejection},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, COOKIE, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE},
    },
    response::{IntoResponse as _, Response},
};
use ruma::api::client::uiaa::{EmailUserIdentifier, MatrixUserIdentifier, UserIdentifier};

use super::{
    form, issuer,
    page::{self, LoginPage},
    public_url,
};
use crate::{
    config::Config,
    error::{Error, Kind, Result},
    http::{
        client_address::ClientAddress,
        password_check::user_with_password,
        rate_limit::{Limit, RateLimits},
    },
    matrix::oauth::{AuthorisationRequest, BadRequest, ErrorCode, Parameters},
    users::{Accounts, OAuth, SealedPage},
};

/// The longest request that is read, in bytes.
const MAXIMUM_REQUEST: usize = 8 << 10;

/// What somebody reads whose form does not belong to the page of this browser.
const NOT_SEALED: &str =
    "The page was open for too long, or your browser does not keep cookies. Nothing happened; please try again.";

/// Shows who asks for what.
pub async fn ask(State(config): State<Arc<Config>>, State(oauth): State<OAuth>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    match read(&config, &oauth, &query).await {
        Ok(request) => show(&config, &oauth, &query, &request, Note::NONE),
        Err(response) => *response,
    }
}

/// Does what the person decided there.
pub async fn answer(
    (State(config), State(rate_limits)): (State<Arc<Config>>, State<RateLimits>),
    (State(accounts), State(oauth)): (State<Accounts>, State<OAuth>),
    ClientAddress(address): ClientAddress,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<RawForm, RawFormRejection>,
) -> Response {
    let query = query.unwrap_or_default();
    let request = match read(&config, &oauth, &query).await {
        Ok(request) => request,
        Err(response) => return *response,
    };
    let Some(form) = body.ok().and_then(|RawForm(body)| form::read(&body).ok()) else {
        return page::problem(StatusCode::BAD_REQUEST, "What the browser sent is not the form of this page.");
    };
    let value = |name: &str| form.get(name).map_or("", String::as_str);
    if !oauth.is_sealed(&query, value("seal"), &cookies(&headers)) {
        let note = Note { status: StatusCode::FORBIDDEN, text: NOT_SEALED, ..Note::NONE };
        return show(&config, &oauth, &query, &request, note);
    }
    if value("decision") != "allow" {
        let refusal = ErrorCode::AccessDenied.with("the user did not allow it");
        return redirect(&request.return_address.with_refusal(&refusal, &issuer(&config)));
    }
    let attempt = async {
        rate_limits.spend(Limit::Login, address)?;
        let user = user_with_password(&rate_limits, &accounts, &identifier(&form), value("password")).await?;
        oauth.allow(&user, &request).await
    };
    match attempt.await {
        Ok(code) => redirect(&request.return_address.with_code(&code.reveal(), &issuer(&config))),
        Err(error) => {
            let note = Note { username: value("username"), ..Note::of(&error) };
            show(&config, &oauth, &query, &request, note)
        }
    }
}

/// Reads a request, or makes the answer to one that nobody can allow.
async fn read(config: &Config, oauth: &OAuth, query: &str) -> Result<AuthorisationRequest, Box<Response>> {
    let problem = |text: &str| Box::new(page::problem(StatusCode::BAD_REQUEST, text));
    if query.len() > MAXIMUM_REQUEST {
        return Err(problem("What the app asks for is too long."));
    }
    let parameters = form::read(query.as_bytes()).map_err(|_| problem("What the app asks for cannot be read."))?;
    let client_id = parameters.get("client_id").map_or("", String::as_str);
    let client = oauth.client(client_id).await.map_err(|error| Box::new(failed(&error)))?;
    let client = client.ok_or_else(|| problem("This server does not know the app. Start again from the app."))?;
    AuthorisationRequest::read(client_id, client, &parameters).map_err(|bad| match bad {
        BadRequest::Shown(text) => problem(text),
        BadRequest::Told(to, refusal) => Box::new(redirect(&to.with_refusal(&refusal, &issuer(config)))),
    })
}

/// What is said on the page beside the request.
struct Note<'a> {
    status: StatusCode,
    text: &'a str,
    username: &'a str,
    retry_after: Option<u64>,
}

impl Note<'_> {
    const NONE: Note<'static> = Note { status: StatusCode::OK, text: "", username: "", retry_after: None };
}

impl<'a> Note<'a> {
    /// Why somebody could not log in.
    fn of(error: &'a Error) -> Self {
        let (status, text) = match error.kind {
            Kind::LimitExceeded { .. } => (StatusCode::TOO_MANY_REQUESTS, "Too many attempts. Wait a while."),
            Kind::Forbidden | Kind::UserLocked | Kind::UserDeactivated => (StatusCode::FORBIDDEN, &*error.message),
            Kind::Internal => {
                tracing::error!(cause = %error.message, "somebody could not log in");
                (StatusCode::INTERNAL_SERVER_ERROR, "Something failed here. Try again later.")
            }
            _ => (StatusCode::BAD_REQUEST, &*error.message),
        };
        let retry_after = match error.kind {
            Kind::LimitExceeded { retry_after } => Some(retry_after.as_millis().div_ceil(1_000) as u64),
            _ => None,
        };
        Self { status, text, username: "", retry_after }
    }
}

fn show(config: &Config, oauth: &OAuth, query: &str, request: &AuthorisationRequest, note: Note<'_>) -> Response {
    let sealed = oauth.seal_page(query);
    let mut response = page::login(
        note.status,
        &LoginPage {
            server_name: config.server_name.as_str(),
            request,
            seal: &sealed.seal,
            note: note.text,
            username: note.username,
        },
    );
    let cookie = set_cookie(&sealed, public_url(config).starts_with("https://"));
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    if let Some(seconds) = note.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Over TLS the browser is told to take it from this host's pages only.
fn set_cookie(sealed: &SealedPage, over_tls: bool) -> String {
    let (prefix, secure) = if over_tls { ("__Host-", "; Secure") } else { ("", "") };
    let SealedPage { cookie_name, cookie_value, lifetime, .. } = sealed;
    let seconds = lifetime.as_secs();
    format!("{prefix}{cookie_name}={cookie_value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// All cookies, which HTTP/2 may bring in several headers.
fn cookies(headers: &HeaderMap) -> String {
    headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join("; ")
}

/// Whom the person means by what they typed.
fn identifier(form: &Parameters) -> UserIdentifier {
    let name = form.get("username").map_or("", |name| name.trim());
    match name.find('@') {
        // A user id starts with it.
        None | Some(0) => MatrixUserIdentifier::new(name.to_owned()).into(),
        Some(_) => EmailUserIdentifier::new(name.to_owned()).into(),
    }
}

fn failed(error: &Error) -> Response {
    tracing::error!(cause = %error.message, "a request for authorisation could not be read");
    page::problem(StatusCode::INTERNAL_SERVER_ERROR, "Something failed here. Try again later.")
}

/// Sends the browser to the client, with a request that never has a body.
fn redirect(to: &str) -> Response {
    let Ok(location) = HeaderValue::try_from(to) else {
        return page::problem(StatusCode::BAD_REQUEST, "The app wants you sent to an address that is none.");
    };
    let headers = [
        (LOCATION, location),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}
