//! Fetches a page, and what belongs to it, from another server.

use std::{collections::BTreeMap, time::Duration};

use tokio::task::spawn_blocking;

use super::{
    oembed,
    page::{self, Page},
    picture::Picture,
    text,
};
use crate::{
    config,
    error::{Error, Kind, Result},
    outgoing::{
        Answer, Call, Failure, Method, Outgoing, Url,
        header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderValue},
    },
};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How many redirects are followed.
const REDIRECTS: usize = 5;
/// How much of a page is read for what it says about itself, in bytes; that stands at its beginning.
const READ_OF_PAGE: usize = 2 << 20;
/// The largest oEmbed description, in bytes.
const LARGEST_DESCRIPTION: u64 = 64 << 10;

/// What was found behind a link.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// What the page says about itself.
    pub properties: BTreeMap<String, String>,
    /// A picture of it.
    pub picture: Option<Picture>,
}

/// Fetches the page at `url` with its description and its picture. Without these it is still a page.
///
/// # Errors
///
/// `Forbidden` if it is not to be called, `TooLarge` or `Unknown` if it cannot be had.
pub(super) async fn fetch(outgoing: &Outgoing, url: &Url, options: &config::Previews) -> Result<Fetched> {
    let answer = outgoing.send(call(url, options, options.max_size)).await.map_err(error)?;
    if !(200..300).contains(&answer.status) {
        return Err(Kind::Unknown.with(format!("The page answered with the status {}.", answer.status)));
    }
    match content_type(&answer) {
        kind if kind.starts_with("image/") => {
            Ok(Fetched { picture: Picture::recognise(answer.body), ..Fetched::default() })
        }
        kind if kind.starts_with("text/html") || kind.starts_with("application/xhtml+xml") => {
            of_page(outgoing, &answer, options).await
        }
        // There is nothing to say about other files.
        _ => Ok(Fetched::default()),
    }
}

async fn of_page(outgoing: &Outgoing, answer: &Answer, options: &config::Previews) -> Result<Fetched> {
    let start = answer.body[..answer.body.len().min(READ_OF_PAGE)].to_vec();
    let kind = content_type(answer);
    // It may keep a processor busy for longer than others should wait.
    let page = spawn_blocking(move || page::read(&text::decode(&start, &kind))).await.map_err(Error::internal)?;
    let Page { mut properties, oembed, base } = page;
    let base = base.and_then(|base| answer.url.join(&base).ok()).unwrap_or_else(|| answer.url.clone());
    if let Some(place) = oembed.and_then(|place| base.join(&place).ok())
        && let Ok(description) = outgoing.send(call(&place, options, LARGEST_DESCRIPTION)).await
        && description.status == 200
    {
        oembed::complete(&mut properties, &description.body);
    }
    let mut picture = None;
    if let Some(place) = properties.get("og:image").and_then(|place| base.join(place).ok())
        && let Ok(image) = outgoing.send(call(&place, options, options.max_size)).await
        && image.status == 200
    {
        picture = Picture::recognise(image.body);
    }
    Ok(Fetched { properties, picture })
}

fn call(url: &Url, options: &config::Previews, max_body: u64) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/html, application/xhtml+xml, image/*;q=0.8, */*;q=0.1"));
    if let Ok(languages) = HeaderValue::from_str(&options.languages) {
        headers.insert(ACCEPT_LANGUAGE, languages);
    }
    let max_body = max_body.try_into().unwrap_or(usize::MAX);
    let (url, body) = (url.clone(), Vec::new());
    Call { method: Method::GET, url, headers, body, timeout: TIMEOUT, max_body, redirects: REDIRECTS }
}

fn content_type(answer: &Answer) -> String {
    let value = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_ascii_lowercase()
}

fn error(failure: Failure) -> Error {
    match failure {
        Failure::Forbidden => Error::forbidden("This server does not call that address."),
        Failure::TooLarge => Kind::TooLarge.with("The page is larger than this server reads."),
        Failure::TimedOut => Kind::Unknown.with("The page did not answer in time."),
        Failure::Unreachable(_) => Kind::Unknown.with("The page cannot be reached."),
    }
}
