//! How a file is handed out: its headers, what a browser's cache knows already, and the part that was asked for.

use std::ops::Range;

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
            CONTENT_TYPE, ETAG, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse as _, Response},
};

use super::content_disposition::content_disposition;
use crate::{
    error::{Error, Result},
    http::entity_tag::is_known,
    media::{File, Media},
};

/// What a file may do in a browser that shows it, as the specification recommends: nothing.
const POLICY: HeaderValue = HeaderValue::from_static(
    "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; \
     object-src 'self';",
);
/// A file never changes, and who may read it need not be asked again.
const FOREVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");
/// What a browser says that it wants a file for (Fetch Metadata) when it would run it.
const WHAT_FOR: HeaderName = HeaderName::from_static("sec-fetch-dest");
const PROGRAMS: [&str; 8] =
    ["audioworklet", "paintworklet", "script", "serviceworker", "sharedworker", "style", "worker", "xslt"];
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The part of a request for a file that is the same for every kind of it.
pub struct Asked {
    /// GET or HEAD.
    pub method: Method,
    /// What the client has already, and which part it wants.
    pub headers: HeaderMap,
}

/// Answers with `file`, called `name`.
///
/// A web client that has the same origin trusts scripts from there; what somebody uploaded must not become one of them, and no
/// header of an answer forbids that to a browser.
pub async fn answer(media: &Media, file: &File, name: Option<&str>, asked: &Asked) -> Result<Response> {
    if asked.headers.get(WHAT_FOR).is_some_and(|what| PROGRAMS.iter().any(|program| what == program)) {
        return Err(Error::forbidden("What people upload is no part of a web page's program."));
    }
    let etag =
        HeaderValue::try_from(format!("\"{:032x}\"", u128::from_be_bytes(file.object))).map_err(Error::internal)?;
    let mut headers = HeaderMap::new();
    headers.insert(ETAG, etag.clone());
    headers.insert(CACHE_CONTROL, FOREVER);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_known(&asked.headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let (status, range) = match part(&asked.headers, &etag, file.size) {
        Part::Whole => (StatusCode::OK, 0..file.size),
        Part::Range(range) => {
            let said = format!("bytes {}-{}/{}", range.start, range.end - 1, file.size);
            headers.insert(CONTENT_RANGE, HeaderValue::try_from(said).map_err(Error::internal)?);
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Part::Nothing => {
            let said = HeaderValue::try_from(format!("bytes */{}", file.size)).map_err(Error::internal)?;
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, said)]).into_response());
        }
    };
    let content_type = HeaderValue::try_from(&file.content_type).map_err(Error::internal)?;
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_DISPOSITION, content_disposition(&file.content_type, name));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    let body = match asked.method {
        Method::HEAD => Body::empty(),
        _ => Body::from_stream(media.read(file, range).await?),
    };
    Ok((status, headers, body).into_response())
}

/// Which part of a file a client wants.
#[derive(Debug, PartialEq)]
enum Part {
    Whole,
    Range(Range<u64>),
    /// One that the file does not have.
    Nothing,
}

/// Several ranges, and what is no range of bytes, get the whole file, as RFC 9110 allows.
fn part(headers: &HeaderMap, etag: &HeaderValue, size: u64) -> Part {
    // A client that has a part of another file wants the whole of this one.
    if headers.get(IF_RANGE).is_some_and(|known| known != etag) {
        return Part::Whole;
    }
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok()?.trim().strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else { return Part::Whole };
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(digits.parse().unwrap_or(u64::MAX))),
        _ => None,
    };
    let range = match (number(first), number(last)) {
        (Some(Some(first)), Some(Some(last))) if first > last => return Part::Whole,
        (Some(Some(first)), Some(last)) => first..last.map_or(size, |last| last.saturating_add(1)).min(size),
        (Some(None), Some(Some(length))) => size.saturating_sub(length)..size,
        _ => return Part::Whole,
    };
    if range.is_empty() { Part::Nothing } else { Part::Range(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: HeaderValue = HeaderValue::from_static("\"tag\"");

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_range_of_a_file_of_ten_bytes_is_found() {
        let cases = [
            ("bytes=0-3", Part::Range(0..4)),
            ("bytes=9-9", Part::Range(9..10)),
            ("bytes=4-", Part::Range(4..10)),
            ("bytes=4-99999999999999999999999", Part::Range(4..10)),
            ("bytes=-3", Part::Range(7..10)),
            ("bytes=-99", Part::Range(0..10)),
            ("bytes=10-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=99999999999999999999999-", Part::Nothing),
            ("bytes=5-3", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=+1-3", Part::Whole),
            ("pages=1-2", Part::Whole),
            ("", Part::Whole),
        ];
        for (range, expected) in cases {
            assert_eq!(part(&headers(&[(RANGE, range)]), &TAG, 10), expected, "{range}");
        }
        assert_eq!(part(&headers(&[(RANGE, "bytes=0-")]), &TAG, 0), Part::Nothing);
    }

    #[test]
    fn a_range_of_another_file_is_no_range_of_this_one() {
        let range = |tag| part(&headers(&[(RANGE, "bytes=0-3"), (IF_RANGE, tag)]), &TAG, 10);
        assert_eq!(range("\"tag\""), Part::Range(0..4));
        assert_eq!(range("\"other\""), Part::Whole);
    }
}
