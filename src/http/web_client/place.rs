//! Where in a folder the path of a URL leads: pure, and strict about what could lead elsewhere.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// The names at the root that belong to the server, whatever the folder has.
const RESERVED: [&str; 6] = ["_matrix", "_synapse", "_commonroom", ".well-known", "health", "oauth2"];

/// Where a path leads.
#[derive(Debug, PartialEq)]
pub(super) enum Place {
    /// To the API, where nothing answers to it.
    Api,
    /// To what has this name in the folder, a file or a folder.
    Named(PathBuf),
    /// To a folder, as the path ends with a slash; the folder itself is the empty name.
    Folder(PathBuf),
    /// To no file, but to what may be a place of the client's own, such as an event whose id has a slash in it; and the last
    /// name, if a file can have it.
    Within(Option<PathBuf>),
    /// To what is not there, whatever is in the folder.
    Nowhere,
}

/// Where `path`, which starts with a slash and is percent-encoded, leads.
///
/// Names that start with a dot are hidden (`.git`, `.env`) or lead upwards, so that there are none. Names are decoded once, and
/// what then has a separator in it names no file.
pub(super) fn place(path: &str) -> Place {
    let Some(path) = path.strip_prefix('/') else { return Place::Nowhere };
    let names = path.split('/').map(|name| percent_decode_str(name).decode_utf8());
    let Ok(mut names) = names.collect::<Result<Vec<_>, _>>() else { return Place::Nowhere };
    if names.first().is_some_and(|name| RESERVED.contains(&&**name)) {
        return Place::Api;
    }
    let is_folder = names.pop_if(|name| name.is_empty()).is_some();
    if names.iter().any(|name| name.is_empty() || is_hidden(name)) {
        return Place::Nowhere;
    }
    if !names.iter().all(|name| can_be_served(name)) {
        return Place::Within(
            names.last().filter(|name| !is_folder && can_be_served(name)).map(|name| (&**name).into()),
        );
    }
    let named = names.iter().map(|name| &**name).collect();
    if is_folder { Place::Folder(named) } else { Place::Named(named) }
}

/// Whether something of this name may be handed out at all.
pub(super) fn can_be_served(name: &str) -> bool {
    !name.is_empty() && !is_hidden(name) && !name.contains(|c: char| matches!(c, '/' | '\\') || c.is_control())
}

/// Whether a name, or a part of one that looks like a path of its own, starts with a dot.
fn is_hidden(name: &str) -> bool {
    name.split(['/', '\\']).any(|part| part.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_what_has_its_name() {
        let cases = [
            ("/", Place::Folder("".into())),
            ("/index.html", Place::Named("index.html".into())),
            ("/assets/a-b_c.1.js", Place::Named("assets/a-b_c.1.js".into())),
            ("/assets/", Place::Folder("assets".into())),
            ("/a%20b/%C3%A9.png", Place::Named("a b/é.png".into())),
            ("/home/!room:example.org/", Place::Folder("home/!room:example.org".into())),
            // Decoded once and not twice.
            ("/%252e%252e/a", Place::Named("%2e%2e/a".into())),
            ("/home/%24event%2Fid/", Place::Within(None)),
            ("/%2Fetc%2Fpasswd", Place::Within(None)),
            ("/a%00.html", Place::Within(None)),
            ("/a%0A", Place::Within(None)),
            ("/a\\b", Place::Within(None)),
            ("/home/%24event%2Fid/olm.wasm", Place::Within(Some("olm.wasm".into()))),
        ];
        for (path, expected) in cases {
            assert_eq!(place(path), expected, "{path}");
        }
    }

    #[test]
    fn what_belongs_to_the_server_is_never_a_file() {
        for path in [
            "/_matrix",
            "/_matrix/",
            "/_matrix/client/v3/nothing",
            "/%5Fmatrix/client",
            "/_synapse/admin",
            "/_commonroom/x",
            "/.well-known/matrix/client",
            "/%2Ewell-known/security.txt",
            "/health",
            "/health/",
            "/oauth2/authorize",
        ] {
            assert_eq!(place(path), Place::Api, "{path}");
        }
    }

    #[test]
    fn nothing_leads_out_of_the_folder_or_to_what_is_hidden() {
        for path in [
            "",
            "*",
            "index.html",
            "/..",
            "/../config.toml",
            "/a/../../config.toml",
            "/%2e%2e/config.toml",
            "/%2E%2E%2Fconfig.toml",
            "/..%5Cconfig.toml",
            "/a%2F..%2Fb",
            "/a\\.git",
            "/.",
            "/./index.html",
            "/.git/config",
            "/.env",
            "/a/.htpasswd",
            "/a/.git/",
            "/%2Egit/config",
            "//etc/passwd",
            "/a//b",
            "//",
            "/%FF",
            "/%C3",
            "/a/.well-known/x",
        ] {
            assert_eq!(place(path), Place::Nowhere, "{path}");
        }
    }
}
