//! What the reader of a mail sees: a page that asks, and one that says what came of it; and the same for apps in JSON.
//!
//! Guessing is bounded where tokens are checked, so that no rate limit stands here. The link shows a page and changes nothing, because programs that look through mails follow links. Only the button does.

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State, rejection::BytesRejection},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, X_FRAME_OPTIONS},
    },
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{app::App, json::Json};
use crate::{
    error::{Error, Kind, Result},
    users::{EmailValidations, Purpose},
};

/// The page behind the links in mails, and where apps send codes to.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/_commonroom/email/confirm", get(ask).post(confirm))
        .route("/_commonroom/email/submit_token", post(submit_token))
}

/// What a link carries.
#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    sid: String,
    #[serde(default)]
    token: String,
}

/// What an app sends, as to `POST /validate/email/submitToken` of an identity server.
#[derive(Deserialize)]
struct Submission {
    sid: String,
    client_secret: String,
    token: String,
}

/// Shows what would be confirmed.
async fn ask(State(validations): State<EmailValidations>, Query(link): Query<Link>) -> Response {
    match validations.look(&link.sid, &link.token).await {
        Ok(purpose) => page(StatusCode::OK, question(purpose), Some(action(purpose))),
        Err(error) => failed(&error),
    }
}

/// Confirms it; the link's values come again, in the address of the form.
async fn confirm(State(validations): State<EmailValidations>, Query(link): Query<Link>) -> Response {
    let confirmed = match validations.confirm(&link.sid, None, &link.token).await {
        Ok(confirmed) => confirmed,
        Err(error) => return failed(&error),
    };
    let mut response = page(StatusCode::OK, "Thank you, that is confirmed. You can go back to your app now.", None);
    if let Some(location) = confirmed.next_link.and_then(|link| HeaderValue::try_from(link).ok()) {
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// Confirms it for an app whose user typed the code.
async fn submit_token(
    State(validations): State<EmailValidations>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>> {
    let body = body.map_err(|_| Kind::Unknown.with("The body of the request did not arrive whole."))?;
    let submission: Submission = serde_json::from_slice(&body).map_err(|cause| {
        let kind = if cause.is_data() { Kind::BadJson } else { Kind::NotJson };
        kind.with(format!("The body of the request is not what this endpoint asks for: {cause}."))
    })?;
    validations.confirm(&submission.sid, Some(&submission.client_secret), &submission.token).await?;
    Ok(Json(json!({"success": true})))
}

fn question(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Register => "Do you want to make a Matrix account with this e-mail address?",
        Purpose::Add => "Do you want to add this e-mail address to a Matrix account?",
        Purpose::ResetPassword => {
            "Do you want to set a new password for your Matrix account? If you did not ask for it yourself, close this \
             page: whoever asked could then take over your account."
        }
    }
}

fn action(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Register | Purpose::Add => "Confirm the address",
        Purpose::ResetPassword => "Reset the password",
    }
}

fn failed(error: &Error) -> Response {
    match error.kind {
        Kind::Internal => {
            tracing::error!(cause = %error.message, "an address could not be confirmed");
            page(StatusCode::INTERNAL_SERVER_ERROR, "Something failed here. Try again later.", None)
        }
        _ => page(
            StatusCode::BAD_REQUEST,
            "This link does not work, or not any more. Ask your app for another mail.",
            None,
        ),
    }
}

/// A page of constant texts only; the form goes to the address that the page itself has.
fn page(status: StatusCode, text: &'static str, button: Option<&'static str>) -> Response {
    let form = button.map(|button| format!("<form method=\"post\"><button>{button}</button></form>\n"));
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>E-mail address</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <style>body {{ font-family: sans-serif; line-height: 1.5; max-width: 32em; margin: 4em auto; padding: 0 1em }} \
         button {{ font-size: 1em; padding: 0.6em 1.2em }}</style></head>\n\
         <body>\n<p>{text}</p>\n{}</body>\n</html>\n",
        form.unwrap_or_default()
    );
    let protection: [(HeaderName, HeaderValue); 4] = [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // The address of the page has the token in it.
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ),
    ];
    (status, protection, Html(html)).into_response()
}
