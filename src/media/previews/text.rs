//! The characters of a page, by the encoding that it is in.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// How far into a page its own word on its encoding is looked for, in bytes, as the HTML standard says.
const PRESCAN: usize = 1_024;

/// Decodes a page. The header's word on the encoding counts more than the page's own; without either it is UTF-8 if it can be.
pub(super) fn decode(body: &[u8], content_type: &str) -> String {
    let head = String::from_utf8_lossy(&body[..body.len().min(PRESCAN)]).to_ascii_lowercase();
    let named = charset(&content_type.to_ascii_lowercase()).or_else(|| charset(&head));
    let encoding = named.unwrap_or(if str::from_utf8(body).is_ok() { UTF_8 } else { WINDOWS_1252 });
    encoding.decode(body).0.into_owned()
}

/// The encoding behind the first `charset=`, in lower-case text.
fn charset(text: &str) -> Option<&'static Encoding> {
    let (_, rest) = text.split_once("charset=")?;
    let label = rest.trim_start_matches(['"', '\'', ' ']);
    let end = label.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c))).unwrap_or(label.len());
    Encoding::for_label(&label.as_bytes()[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_in_its_encoding() {
        let latin1 = b"<meta charset=\"ISO-8859-1\">caf\xe9";
        let cases: [(&[u8], &str, &str); 6] = [
            ("café".as_bytes(), "text/html", "café"),
            ("café".as_bytes(), "text/html; charset=utf-8", "café"),
            (b"caf\xe9", "text/html", "café"),
            (b"caf\xe9", "text/html; Charset=\"iso-8859-1\"", "café"),
            (latin1, "text/html", "<meta charset=\"ISO-8859-1\">café"),
            (b"\x83\x65", "text/html; charset=Shift_JIS", "テ"),
        ];
        for (body, content_type, text) in cases {
            assert_eq!(decode(body, content_type), text, "{content_type}");
        }
    }
}
