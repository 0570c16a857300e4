//! The pages that people see. They have no scripts, load nothing, and nobody can put them into a frame.
//!
//! Everything that comes from a client or a person is escaped here, in one place, before it becomes part of a page.

use std::sync::LazyLock;

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
    },
    response::{Html, IntoResponse as _, Response},
};
use ruma::serde::base64::{Base64, Standard};
use sha2::{Digest, Sha256};

use crate::{matrix::oauth::AuthorisationRequest, outgoing::mail::escaped};

const STYLE: &str = "body { font-family: sans-serif; line-height: 1.5; max-width: 30em; margin: 3em auto; padding: 0 1em } \
     label { display: block } input { font: inherit; width: 100%; box-sizing: border-box; padding: 0.4em } \
     button { font: inherit; padding: 0.6em 1.2em; margin-right: 0.5em } \
     .note { border-left: 0.3em solid #b00; padding-left: 0.7em }";

/// The style as browsers are told of it, so that no other one counts.
static STYLE_SOURCE: LazyLock<String> = LazyLock::new(|| {
    // Browsers expect padding, which 32 bytes need once.
    format!("'sha256-{}='", Base64::<Standard, _>::new(Sha256::digest(STYLE.as_bytes()).to_vec()).encode())
});

/// What the page with the form says.
pub struct LoginPage<'a> {
    /// Where the person has an account.
    pub server_name: &'a str,
    /// Who asks for what.
    pub request: &'a AuthorisationRequest,
    /// What ties the form to the page.
    pub seal: &'a str,
    /// What the person should read first; empty if nothing.
    pub note: &'a str,
    /// What the person typed before.
    pub username: &'a str,
}

/// The page on which somebody logs in and allows a client.
pub fn login(status: StatusCode, page: &LoginPage<'_>) -> Response {
    let client = &page.request.client;
    let note = match page.note {
        "" => String::new(),
        note => format!("<p class=\"note\" role=\"alert\">{}</p>\n", escaped(note)),
    };
    let links: String = [("Terms of service", &client.tos_uri), ("Privacy policy", &client.policy_uri)]
        .into_iter()
        .filter_map(|(text, uri)| {
            let uri = escaped(uri.as_ref()?);
            Some(format!("<li><a href=\"{uri}\" rel=\"noopener noreferrer\">{text} of the app</a></li>\n"))
        })
        .collect();
    let links = if links.is_empty() { links } else { format!("<ul>\n{links}</ul>\n") };
    let body = format!(
        "<h1>Log in to {server}</h1>\n{note}\
         <p>The app <strong><bdi>{name}</bdi></strong> of {host} wants to use your account: to read and send messages and to \
         change your settings in your name.</p>\n\
         <p>Nobody has checked what the app says about itself. After this you are sent to <strong>{place}</strong>. If you \
         have not just begun to log in there, close this page.</p>\n{links}\
         <form method=\"post\">\n\
         <input type=\"hidden\" name=\"seal\" value=\"{seal}\">\n\
         <p><label for=\"username\">Username or e-mail address</label>\n\
         <input id=\"username\" name=\"username\" value=\"{username}\" autocomplete=\"username\" autocapitalize=\"none\" \
         spellcheck=\"false\" maxlength=\"255\" required></p>\n\
         <p><label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required></p>\n\
         <p><button name=\"decision\" value=\"allow\">Log in and allow</button>\n\
         <button name=\"decision\" value=\"deny\" formnovalidate>Cancel</button></p>\n\
         </form>\n",
        server = escaped(page.server_name),
        name = escaped(&client.display_name()),
        host = escaped(&client.host()),
        place = escaped(&page.request.return_address.place()),
        seal = escaped(page.seal),
        username = escaped(page.username),
    );
    // Browsers hold against it also where the answer to the form leads.
    response(status, &body, &format!("'self' {}", page.request.return_address.source()))
}

/// A page that says why nothing can be done.
pub fn problem(status: StatusCode, text: &str) -> Response {
    response(status, &format!("<h1>That does not work</h1>\n<p>{}</p>\n", escaped(text)), "'none'")
}

fn response(status: StatusCode, body: &str, form_action: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Log in</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>{STYLE}</style></head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    );
    let policy = format!(
        "default-src 'none'; style-src {}; form-action {form_action}; base-uri 'none'; frame-ancestors 'none'",
        *STYLE_SOURCE
    );
    let Ok(policy) = HeaderValue::try_from(policy) else {
        // Hosts and schemes of registered clients have no such characters; without a policy there is no page.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let protection = [
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // The address of the page says what the app asks for.
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (status, protection, Html(html)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_has_its_hash_in_the_policy() {
        // It is a hash of 32 bytes in padded base64.
        assert_eq!((STYLE_SOURCE.len(), STYLE_SOURCE.ends_with("='")), (1 + 7 + 44 + 1, true));
        assert!(!STYLE.contains(['<', '&']), "a style is not escaped");
    }
}
