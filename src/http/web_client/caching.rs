//! How long a browser may keep a file without asking whether it has changed.
//!
//! A file whose name has a hash of its content can never change. What a page is made of otherwise is asked for each time, so
//! that a new version of the client is never half an old one; a picture that is an hour old does no harm.

use std::path::Path;

use axum::http::HeaderValue;

const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const FOR_A_WHILE: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const ASK_FIRST: HeaderValue = HeaderValue::from_static("no-cache");

/// Endings of what is shown or heard and is no part of how the client works.
const ORNAMENTS: [&str; 16] = [
    "avif", "flac", "gif", "ico", "jpeg", "jpg", "mp3", "mp4", "ogg", "otf", "png", "svg", "ttf", "webm", "webp",
    "woff2",
];
/// The shortest name of a folder that is taken for a hash.
const FOLDER_HASH: usize = 16;
/// The shortest part of a file's name that is taken for a hash in hexadecimal digits.
const HEX_HASH: usize = 7;
/// The length of the hashes that bundlers write in letters of both cases and digits.
const MIXED_HASH: usize = 8;

/// The header `Cache-Control` of the file at `path` in the client's folder.
pub(super) fn cache_control(path: &Path) -> HeaderValue {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let folders = path.parent().into_iter().flat_map(Path::iter).filter_map(|folder| folder.to_str());
    if matches!(&*ending, "html" | "htm") || is_service_worker(name) {
        ASK_FIRST
    } else if has_hash(name) || folders.into_iter().any(|folder| is_hex_hash(folder, FOLDER_HASH)) {
        FOREVER
    } else if ORNAMENTS.contains(&&*ending) {
        FOR_A_WHILE
    } else {
        ASK_FIRST
    }
}

/// A browser that kept an old service worker would keep the whole old client with it.
fn is_service_worker(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "sw.js" || ["service-worker", "service_worker", "serviceworker"].iter().any(|part| name.contains(part))
}

/// Whether a bundler put a hash of the content into a file's name. A hash that is missed costs a question; a word that is taken for
/// one would keep an old file for a year, so that what could be a word or a date does not count.
fn has_hash(name: &str) -> bool {
    let name = [".gz", ".br", ".map"].iter().fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    stem.split(['.', '-', '_']).any(|part| is_hex_hash(part, HEX_HASH)) || ends_with_mixed_hash(stem)
}

fn is_hex_hash(text: &str, shortest: usize) -> bool {
    text.len() >= shortest
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// `-` or `.` and then letters and digits, with an upper-case letter among them and a digit that is not a number at the end.
fn ends_with_mixed_hash(stem: &str) -> bool {
    let Some((start, hash)) = stem.split_at_checked(stem.len().saturating_sub(MIXED_HASH)) else { return false };
    let word = hash.trim_end_matches(|c: char| c.is_ascii_digit());
    start.ends_with(['-', '.'])
        && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && hash.bytes().any(|byte| byte.is_ascii_uppercase())
        && word.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(path: &str) -> HeaderValue {
        cache_control(Path::new(path))
    }

    #[test]
    fn what_has_a_hash_in_its_name_is_kept() {
        for path in [
            "bundles/1b9f1a2c3d4e5f607182/init.js",
            "bundles/1b9f1a2c3d4e5f607182/theme-light.css",
            "fonts/Inter-Regular.c8ba52b.woff2",
            "i18n/en_EN.f3ca4d5.json",
            "img/cam-muted-1894081672-22150c2b.svg",
            "assets/index-BbL4aG1q.js",
            "assets/index-B-L4_G1q.css",
            "assets/index-BbL4aG1q.js.map",
            "main-4QJ5KXQZ.js",
            "chunk.4QJ5KXQZ.js",
            "0d8a2f2c7d7d4f0f9b43.wasm",
            "matrix_sdk_crypto_wasm_bg.0d8a2f2c.wasm",
        ] {
            assert_eq!(control(path), FOREVER, "{path}");
        }
    }

    #[test]
    fn what_tells_of_a_new_version_is_asked_for_each_time() {
        for path in [
            "index.html",
            "config.json",
            "config.chat.example.org.json",
            "version",
            "manifest.json",
            "site.webmanifest",
            "sw.js",
            "service-worker.js",
            "flutter_service_worker.js",
            "service-worker.0d8a2f2c.js",
            "bundles/1b9f1a2c3d4e5f607182/index.html",
            "olm.wasm",
            "main.js",
            "theme-element-dark.css",
            "i18n/languages.json",
            "app-settings.js",
            "app-Settings.js",
            "app-Settings2.js",
            "app-20240101.js",
            "facaded.js",
            "LICENSE",
        ] {
            assert_eq!(control(path), ASK_FIRST, "{path}");
        }
    }

    #[test]
    fn pictures_and_sounds_are_kept_for_a_while() {
        for path in ["favicon.ico", "res/logo.svg", "media/ring.ogg", "icon-1024x1024.png", "themes/Regular2.woff2"] {
            assert_eq!(control(path), FOR_A_WHILE, "{path}");
        }
    }
}
