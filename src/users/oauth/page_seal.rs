//! What ties a form to the page that it was filled in on, to the request that the page was about, and to the browser that
//! showed it, so that no other page can have a browser send it.
//!
//! The server keeps nothing of a page: strangers ask for pages, and what strangers can fill must not be memory. The seal is a
//! code (HMAC) over the request, the time and a random secret that the browser keeps as a cookie. Its key is as old as the
//! process; whoever looks at a page during a restart starts over.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use ruma::serde::base64::{Base64, UrlSafe};
use sha2::Sha256;

use super::secrets;

/// How long somebody may take to fill in the form.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How the cookie is called, apart from the page's own part. Browsers keep it for this server's own pages by the prefix,
/// which they allow only over TLS.
const COOKIE: &str = "commonroom-login-";

/// The key of all seals.
#[derive(Clone, Copy)]
pub(super) struct PageKey([u8; 32]);

/// What goes to the browser with a page.
#[derive(Debug)]
pub struct SealedPage {
    /// The value for a hidden field of the form.
    pub seal: String,
    /// The name of the cookie, which is the page's own, so that pages in several tabs do not disturb each other.
    pub cookie_name: String,
    /// Its value.
    pub cookie_value: String,
    /// How long the browser keeps it.
    pub lifetime: Duration,
}

impl PageKey {
    pub(super) fn random() -> Self {
        Self(secrets::random_bytes())
    }

    pub(super) fn seal(&self, request: &str, now: u64) -> SealedPage {
        let page = secrets::random_text(12);
        let cookie_value = encode(&secrets::random_bytes::<32>());
        let ends_at = now + LIFETIME.as_millis() as u64;
        let code = encode(&self.code(&[&page, &ends_at.to_string(), &cookie_value, request]).finalize().into_bytes());
        SealedPage {
            seal: format!("{page}.{ends_at}.{code}"),
            cookie_name: format!("{COOKIE}{page}"),
            cookie_value,
            lifetime: LIFETIME,
        }
    }

    pub(super) fn holds(&self, request: &str, seal: &str, cookies: &str, now: u64) -> bool {
        let mut parts = seal.splitn(3, '.');
        let (Some(page), Some(ends_at), Some(code)) = (parts.next(), parts.next(), parts.next()) else { return false };
        let (Ok(code), Some(cookie)) = (Base64::<UrlSafe>::parse(code), cookie(cookies, page)) else { return false };
        let is_current = ends_at.parse::<u64>().is_ok_and(|ends_at| now < ends_at);
        // The comparison is in constant time.
        is_current && self.code(&[page, ends_at, cookie, request]).verify_slice(code.as_bytes()).is_ok()
    }

    fn code(&self, parts: &[&str]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        for part in parts {
            // Each length comes first, so that no two lists of parts read the same.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

/// The value of the cookie of `page` in the header `Cookie`, with or without the prefix that browsers know.
fn cookie<'a>(cookies: &'a str, page: &str) -> Option<&'a str> {
    cookies.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        let name = name.strip_prefix("__Host-").unwrap_or(name);
        (name.strip_prefix(COOKIE)? == page).then_some(value)
    })
}

fn encode(bytes: &[u8]) -> String {
    Base64::<UrlSafe, _>::new(bytes.to_vec()).encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_holds_for_its_page_its_request_and_its_browser() {
        let key = PageKey::random();
        let (page, other) = (key.seal("client_id=a", 1_000), key.seal("client_id=a", 1_000));
        let cookies = |page: &SealedPage| format!("x=y; __Host-{}={}; z=", page.cookie_name, page.cookie_value);
        assert!(key.holds("client_id=a", &page.seal, &cookies(&page), 1_000));
        assert!(key.holds("client_id=a", &page.seal, &format!("{}; {}", cookies(&other), cookies(&page)), 900_999));
        let late = 1_000 + LIFETIME.as_millis() as u64;
        assert!(!key.holds("client_id=a", &page.seal, &cookies(&page), late), "it ends");
        assert!(!key.holds("client_id=b", &page.seal, &cookies(&page), 1_000), "it is about one request");
        assert!(!key.holds("client_id=a", &page.seal, &cookies(&other), 1_000), "another page's cookie is none");
        assert!(!key.holds("client_id=a", &page.seal, "", 1_000), "another browser has no cookie");
        assert!(!PageKey::random().holds("client_id=a", &page.seal, &cookies(&page), 1_000), "keys differ");
        let longer = page.seal.replacen(".901000.", ".999999999.", 1);
        assert_ne!(longer, page.seal);
        assert!(!key.holds("client_id=a", &longer, &cookies(&page), 1_000), "nobody makes it last longer");
        for nonsense in ["", ".", "..", "a.b.c", &page.seal[..page.seal.len() - 1]] {
            assert!(!key.holds("client_id=a", nonsense, &cookies(&page), 1_000), "{nonsense}");
        }
    }
}
