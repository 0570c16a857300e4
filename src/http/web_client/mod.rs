//! The files of a web client at `/`: what the operator put into one folder, and nothing beside it.
//!
//! A navigation to a path that is not there gets the page itself, since clients such as Cinny keep their own places in the path
//! of their address, which a browser asks for when it is reloaded. What such a page then loads from beside itself, as Cinny
//! does with `olm.wasm`, comes from the root. Everything else that is not there is not found: a script or a picture that is a
//! page would only confuse. Clients with their places after a `#` need nothing of this.

mod caching;
mod folder;
mod place;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{
            ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE,
            IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    response::{IntoResponse as _, Response},
};
use tokio::task::spawn_blocking;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use self::{folder::Found, place::Place};
use super::entity_tag::is_known;
use crate::{
    config::Config,
    error::{Error, Result},
};

/// The page that a browser opens.
const PAGE: &str = "index.html";

/// What every answer has, as Element's and Synapse's documentation recommend: no other site can put the client into a frame and
/// have its user click there, nothing is taken for what it does not claim to be, and other sites learn no more of an
/// address than the host.
const PROTECTION: [(HeaderName, HeaderValue); 4] = [
    (X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'self'")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
];

/// The folder of a web client.
#[derive(Clone, Debug)]
pub struct WebClient {
    folder: Arc<Path>,
}

impl WebClient {
    /// The client that `config` names, if it names one.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the folder.
    pub fn new(config: &Config) -> Result<Option<Self>> {
        let Some(folder) = &config.web.client_dir else { return Ok(None) };
        folder::check(folder, &config.data_dir)?;
        Ok(Some(Self { folder: folder.as_path().into() }))
    }

    /// What is at a place, looked up where waiting for the disk holds nobody up.
    async fn look(&self, place: impl AsRef<Path>) -> Result<Option<Found>> {
        let (folder, place) = (self.folder.clone(), place.as_ref().to_owned());
        spawn_blocking(move || folder::look(&folder, &place)).await.map_err(Error::internal)
    }

    /// Answers to what `request` asks for at `place`.
    async fn hand_out(&self, place: Place, request: Request) -> Result<Response> {
        let wanted = match &place {
            Place::Named(name) => Some(name.clone()),
            Place::Folder(name) => Some(name.join(PAGE)),
            Place::Within(_) => None,
            Place::Nowhere | Place::Api => return Err(nothing_there()),
        };
        if let Some(wanted) = wanted
            && let Some(found) = self.look(&wanted).await?
        {
            return file(&found, &wanted, request).await;
        }
        if let Place::Named(name) = &place
            && self.look(name.join(PAGE)).await?.is_some()
        {
            return Ok(with_a_slash(request.uri()));
        }
        let instead = if is_navigation(request.headers()) { Some(PathBuf::from(PAGE)) } else { last_name(place) };
        let Some(instead) = instead else { return Err(nothing_there()) };
        let found = self.look(&instead).await?.ok_or_else(nothing_there)?;
        file(&found, &instead, request).await
    }
}

/// The last name of a place: what a page that was opened at a place of its own asks for beside it lies at the root.
fn last_name(place: Place) -> Option<PathBuf> {
    match place {
        Place::Named(name) => name.file_name().map(PathBuf::from),
        Place::Within(name) => name,
        Place::Folder(_) | Place::Nowhere | Place::Api => None,
    }
}

/// Answers where no endpoint does.
pub async fn answer(State(client): State<Option<WebClient>>, request: Request) -> Response {
    let place = place::place(request.uri().path());
    let (Some(client), false) = (client, place == Place::Api) else {
        return super::unrecognized().await.into_response();
    };
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => client.hand_out(place, request).await.unwrap_or_else(|error| {
            let forget = [(CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
            (forget, error).into_response()
        }),
        _ => ([(ALLOW, "GET, HEAD")], super::method_not_allowed().await).into_response(),
    };
    response.headers_mut().extend(PROTECTION);
    // Who accepts a page may get one where others get nothing.
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    response
}

/// Answers with a file, with the part of it that was asked for, or with the news that the client has it already.
async fn file(found: &Found, name: &Path, request: Request) -> Result<Response> {
    let headers = [(ETAG, found.tag.clone()), (CACHE_CONTROL, caching::cache_control(name))];
    if is_known(request.headers(), &found.tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let mut serve = ServeFile::new(&found.path);
    if found.brotli {
        serve = serve.precompressed_br();
    }
    if found.gzip {
        serve = serve.precompressed_gzip();
    }
    let Ok(response) = serve.oneshot(plain(request)).await;
    if response.status() == StatusCode::NOT_FOUND {
        return Err(nothing_there());
    }
    let mut response = response.map(Body::new);
    response.headers_mut().extend(headers);
    if let Some(content_type) = response.headers_mut().get_mut(CONTENT_TYPE) {
        *content_type = in_utf8(content_type, name);
    }
    Ok(response)
}

/// The request without what the service for files would take too literally.
fn plain(mut request: Request) -> Request<Body> {
    let headers = request.headers_mut();
    // A tag says more than a time, and whoever has one means that (RFC 9110, section 13.2.2).
    if headers.contains_key(IF_NONE_MATCH) {
        headers.remove(IF_MODIFIED_SINCE);
    }
    // Whether a client's part is of this very file is not known by a tag like ours; and several parts are not made. It may get
    // the whole file then.
    let several = headers.get(RANGE).is_some_and(|range| range.as_bytes().contains(&b','));
    if several || headers.remove(IF_RANGE).is_some() {
        headers.remove(RANGE);
    }
    request
}

/// Says of what is text that it is UTF-8, as everything that clients are built from is.
fn in_utf8(content_type: &HeaderValue, name: &Path) -> HeaderValue {
    let text = match content_type.to_str() {
        // Such as `version` and `LICENSE`.
        _ if name.extension().is_none() => "text/plain",
        Ok(text) if text.starts_with("text/") && !text.contains(';') => text,
        _ => return content_type.clone(),
    };
    HeaderValue::try_from(format!("{text}; charset=utf-8")).unwrap_or_else(|_| content_type.clone())
}

/// Leads to the same with a slash at the end, without which a page's own links would lead elsewhere.
fn with_a_slash(uri: &Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, format!("{}/{query}", uri.path()))]).into_response()
}

/// Whether a person follows a link or types an address, rather than a page loading what it is made of.
fn is_navigation(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).any(|accept| accept.contains("text/html"))
}

fn nothing_there() -> Error {
    Error::not_found("There is no such file in this server's web client.")
}
