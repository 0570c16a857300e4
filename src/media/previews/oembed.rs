//! What a site says about one of its pages by oEmbed (<https://oembed.com>), in OpenGraph's words.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The longest value that is kept, in characters.
const LONGEST_VALUE: usize = 1_000;

/// The answer of an oEmbed provider, as far as a preview shows it; what has another type than it should is left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Description {
    #[serde(rename = "type")]
    kind: Text,
    title: Text,
    author_name: Text,
    provider_name: Text,
    thumbnail_url: Text,
    url: Text,
}

/// A string, or nothing if it is anything else.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "serde_json::Value")]
struct Text(Option<String>);

impl From<serde_json::Value> for Text {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::String(text) if !text.trim().is_empty() => {
                Self(Some(text.trim().chars().take(LONGEST_VALUE).collect()))
            }
            _ => Self(None),
        }
    }
}

/// Adds to the properties of a page what its oEmbed description says beyond them; a description that cannot be read adds
/// nothing.
pub(super) fn complete(properties: &mut BTreeMap<String, String>, json: &[u8]) {
    let Ok(description) = serde_json::from_slice::<Description>(json) else { return };
    let photo = description.url.0.filter(|_| description.kind.0.as_deref() == Some("photo"));
    let said = [
        ("og:title", description.title.0.or(description.author_name.0)),
        ("og:site_name", description.provider_name.0),
        ("og:image", photo.or(description.thumbnail_url.0)),
    ];
    for (name, value) in said {
        if let Some(value) = value {
            properties.entry(name.to_owned()).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(json: &str) -> Vec<(String, String)> {
        let mut properties = BTreeMap::from([("og:title".to_owned(), "Mine".to_owned())]);
        complete(&mut properties, json.as_bytes());
        properties.into_iter().collect()
    }

    #[test]
    fn what_the_page_lacks_is_added() {
        let mine = ("og:title".to_owned(), "Mine".to_owned());
        let video =
            r#"{"type": "video", "title": "Theirs", "provider_name": "Tube", "thumbnail_url": "t.png", "url": 7}"#;
        let image = |place: &str| ("og:image".to_owned(), place.to_owned());
        assert_eq!(completed(video), [image("t.png"), ("og:site_name".to_owned(), "Tube".to_owned()), mine.clone()]);
        assert_eq!(
            completed(r#"{"type": "photo", "url": "p.png", "thumbnail_url": "t.png"}"#),
            [image("p.png"), mine.clone()]
        );
        for nonsense in ["", "[]", "7", "{\"title\": []}", "{\"title\""] {
            assert_eq!(completed(nonsense), std::slice::from_ref(&mine), "{nonsense}");
        }
    }
}
