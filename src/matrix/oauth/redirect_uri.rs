//! Where a client may have a browser sent, and whether a request names one of these places ("Redirect URI validation").
//!
//! Everything is decided on the text as it was sent, so that no two readers of a URI can disagree about it; what no URI may
//! contain is refused first.

use super::ApplicationType;
use crate::outgoing::Url;

/// The hosts that are the person's own computer.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The longest URI, in bytes.
pub(super) const MAXIMUM_URI: usize = 1_024;

/// The host of an `https` URI without a user or a password; `None` if it is none, or its host is not a domain name of at
/// least two parts.
pub(super) fn https_host(text: &str) -> Option<String> {
    let rest = uri(text)?.strip_prefix("https://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let url = Url::parse(text).ok().filter(|_| !authority.contains('@'))?;
    let host = url.host_str().filter(|host| is_domain_name(host))?;
    Some(host.to_owned())
}

/// Whether `host` is `base` or below it.
pub(super) fn is_within(host: &str, base: &str) -> bool {
    host == base || host.strip_suffix(base).is_some_and(|before| before.ends_with('.'))
}

/// Checks that a client with the host `base` and of this kind may have browsers sent to `text`.
///
/// # Errors
///
/// Says what is wrong.
pub(super) fn check(text: &str, kind: ApplicationType, base: &str) -> Result<(), &'static str> {
    if uri(text).is_none() || Url::parse(text).is_err() {
        return Err("a redirect URI is no URI, or is too long");
    }
    if text.contains('#') {
        return Err("a redirect URI has a fragment");
    }
    if text.starts_with("https://") {
        return match https_host(text).is_some_and(|host| is_within(&host, base)) {
            true => Ok(()),
            false => Err("an https redirect URI is not on the host of client_uri or below it"),
        };
    }
    match kind {
        ApplicationType::Web => Err("a redirect URI of a web client does not use https"),
        ApplicationType::Native => match text.strip_prefix("http://") {
            Some(rest) => match LOOPBACK.contains(&split_authority(rest).0) {
                true => Ok(()),
                false => Err("an http redirect URI is not on the loopback interface, or has a port"),
            },
            None => check_private_scheme(text, base),
        },
    }
}

/// A scheme of the client's own starts with its domain backwards, and nothing follows it that looks like a host.
fn check_private_scheme(text: &str, base: &str) -> Result<(), &'static str> {
    let (scheme, rest) = text.split_once(':').ok_or("a redirect URI has no scheme")?;
    let backwards = base.rsplit('.').collect::<Vec<_>>().join(".");
    if scheme != backwards && !scheme.strip_prefix(&backwards).is_some_and(|rest| rest.starts_with('.')) {
        return Err("the scheme of a redirect URI does not start with the host of client_uri backwards");
    }
    match rest.starts_with("//") {
        true => Err("a redirect URI with a scheme of its own has a host"),
        false => Ok(()),
    }
}

/// Whether `wanted` is the `registered` URI, which on the loopback interface may have any port.
pub(super) fn is_same(registered: &str, wanted: &str) -> bool {
    if registered == wanted {
        return true;
    }
    let (Some(registered), Some(wanted)) = (registered.strip_prefix("http://"), wanted.strip_prefix("http://")) else {
        return false;
    };
    let ((host, path), (authority, wanted_path)) = (split_authority(registered), split_authority(wanted));
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let port = authority.strip_prefix(host).is_some_and(|rest| match rest.strip_prefix(':') {
        Some(port) => port.is_empty() || is_port(port),
        None => rest.is_empty(),
    });
    LOOPBACK.contains(&host) && port && path == wanted_path
}

/// What stands before the path and the query, and these; a path that is left out is `/`.
fn split_authority(rest: &str) -> (&str, String) {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    (authority, if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

/// The text, if it is short enough and made of what a URI may contain: parsers mend other characters in various ways.
fn uri(text: &str) -> Option<&str> {
    let is_uri = |byte: u8| byte.is_ascii_graphic() && !br#""\<>^`{|}"#.contains(&byte);
    (text.len() <= MAXIMUM_URI && text.bytes().all(is_uri)).then_some(text)
}

/// Hosts end up in headers and on pages, so that nothing but letters, digits, hyphens and underscores may be in them.
fn is_domain_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    host.len() <= 253
        && host.contains('.')
        && host.split('.').all(is_label)
        && !host.rsplit('.').next().is_some_and(is_number)
}
