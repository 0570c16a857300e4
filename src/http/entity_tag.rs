//! What a client has already, by the tags of what it was sent before (RFC 9110, section 13.1.2).

use axum::http::{HeaderMap, HeaderValue, header::IF_NONE_MATCH};

/// Whether the client says that it has what `tag` stands for.
pub fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().unwrap_or_default().trim_start_matches("W/");
    let lines = headers.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut known = lines.flat_map(|line| line.split(',')).map(str::trim);
    known.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_what_it_has() {
        for tag in ["\"tag\"", "W/\"tag\""].map(HeaderValue::from_static) {
            let knows = |said: &'static str| {
                is_known(&HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(said))]), &tag)
            };
            for known in ["\"tag\"", "W/\"tag\"", "\"a\", \"tag\"", "*"] {
                assert!(knows(known), "{known}");
            }
            for other in ["tag", "\"tag", "\"a\"", ""] {
                assert!(!knows(other), "{other}");
            }
        }
    }
}
