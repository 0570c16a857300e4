//! The `Content-Disposition` header: whether a browser shows a file or saves it, and under which name (RFC 6266).

use std::fmt::Write as _;

use axum::http::HeaderValue;
use ruma::api::client::media::is_safe_inline_content_type;

/// What a browser should do with a file of this type, called `name`.
///
/// Only what cannot run anything is shown ("Serving inline content"); the rest is saved.
pub fn content_disposition(content_type: &str, name: Option<&str>) -> HeaderValue {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut value = if is_safe_inline_content_type(&essence) { "inline" } else { "attachment" }.to_owned();
    if let Some(name) = name {
        push_name(&mut value, name);
    }
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("attachment"))
}

/// Adds the name in quotes, and once more in UTF-8 (RFC 8187) if that is not all of it. Browsers do not agree on how a quote
/// or a percent sign is escaped in quotes, so that these count as something that cannot be said there.
fn push_name(value: &mut String, name: &str) {
    let is_plain = |c: char| (' '..='~').contains(&c) && !matches!(c, '"' | '\\' | '%');
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    value.push_str("; filename=\"");
    value.push_str(&plain);
    value.push('"');
    if plain == name {
        return;
    }
    value.push_str("; filename*=UTF-8''");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => value.push(byte.into()),
            // Writing to a string cannot fail.
            _ => drop(write!(value, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(content_type: &str, name: Option<&str>) -> String {
        content_disposition(content_type, name).to_str().unwrap().to_owned()
    }

    #[test]
    fn only_what_cannot_run_anything_is_shown() {
        for shown in ["image/png", "IMAGE/PNG", "Text/Plain; charset=utf-8", "video/mp4", "audio/ogg"] {
            assert_eq!(header(shown, None), "inline", "{shown}");
        }
        for saved in ["text/html", "image/svg+xml", "image/svg", "application/pdf", "text/html; a=image/png", "", "x"] {
            assert_eq!(header(saved, None), "attachment", "{saved}");
        }
    }

    #[test]
    fn a_name_is_said_so_that_every_browser_understands_it() {
        let names = [
            ("ascii", r#"inline; filename="ascii""#),
            ("name with spaces", r#"inline; filename="name with spaces""#),
            ("name;with;semicolons", r#"inline; filename="name;with;semicolons""#),
            ("🐔", r#"inline; filename="_"; filename*=UTF-8''%F0%9F%90%94"#),
            (r#"a"b"#, r#"inline; filename="a_b"; filename*=UTF-8''a%22b"#),
            (r"a\b", r#"inline; filename="a_b"; filename*=UTF-8''a%5Cb"#),
            ("100%41", r#"inline; filename="100_41"; filename*=UTF-8''100%2541"#),
        ];
        for (name, expected) in names {
            assert_eq!(header("image/png", Some(name)), expected);
        }
    }

    #[test]
    fn a_name_cannot_end_the_header() {
        let evil = "a\r\nSet-Cookie: b=c\0\u{85}\".html";
        let value = header("text/html", Some(evil));
        assert!(!value.contains(|c: char| c.is_control()), "{value:?}");
        assert_eq!(
            value,
            "attachment; filename=\"aSet-Cookie: b=c_.html\"; filename*=UTF-8''aSet-Cookie%3A%20b%3Dc%22.html"
        );
    }
}
