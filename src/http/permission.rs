//! What guests and suspended users may ask for: the one place that knows, by the method and the path of the endpoint.
//!
//! A guest may use the endpoints that the specification lists and no other; a suspended user all that are not listed here.

use axum::{
    extract::MatchedPath,
    http::{Method, request::Parts},
};

use crate::{
    error::{Error, Kind, Result},
    users::Session,
};

/// What guests may ask for ([spec](https://spec.matrix.org/v1.19/client-server-api/#guest-access)), without the version in
/// front and with `{}` for what is filled in.
const FOR_GUESTS: [(&str, &str); 29] = [
    ("GET", "rooms/{}/state"),
    ("GET", "rooms/{}/context/{}"),
    ("GET", "rooms/{}/event/{}"),
    ("GET", "rooms/{}/state/{}"),
    ("GET", "rooms/{}/state/{}/{}"),
    ("GET", "rooms/{}/messages"),
    ("GET", "rooms/{}/members"),
    ("GET", "rooms/{}/initialSync"),
    ("GET", "sync"),
    ("GET", "events"),
    ("GET", "media/download/{}/{}"),
    ("GET", "media/download/{}/{}/{}"),
    ("GET", "media/thumbnail/{}/{}"),
    ("POST", "rooms/{}/join"),
    ("POST", "rooms/{}/leave"),
    ("PUT", "rooms/{}/send/{}/{}"),
    ("PUT", "rooms/{}/state/{}"),
    ("PUT", "rooms/{}/state/{}/{}"),
    ("PUT", "sendToDevice/{}/{}"),
    ("PUT", PROFILE_FIELD),
    ("DELETE", PROFILE_FIELD),
    ("GET", "devices"),
    ("GET", "devices/{}"),
    ("PUT", "devices/{}"),
    ("GET", "account/whoami"),
    ("POST", "keys/upload"),
    ("POST", "keys/query"),
    ("POST", "keys/claim"),
    // Whether guests get the credentials is decided where they are given out.
    ("GET", "voip/turnServer"),
];

/// What suspended users may not ask for
/// ([spec](https://spec.matrix.org/v1.19/client-server-api/#account-suspension)): what others would see of them. Of
/// redactions they may send those of what they sent themselves, which is decided where redactions come in.
const NOT_FOR_SUSPENDED: [(&str, &str); 19] = [
    ("POST", "join/{}"),
    ("POST", "rooms/{}/join"),
    ("POST", "knock/{}"),
    ("POST", "rooms/{}/invite"),
    ("POST", "rooms/{}/kick"),
    ("POST", "rooms/{}/ban"),
    ("POST", "rooms/{}/unban"),
    ("POST", "createRoom"),
    ("POST", "rooms/{}/upgrade"),
    ("PUT", "rooms/{}/send/{}/{}"),
    ("PUT", "rooms/{}/state/{}"),
    ("PUT", "rooms/{}/state/{}/{}"),
    ("PUT", "rooms/{}/delayed_event/{}/{}"),
    ("PUT", PROFILE_FIELD),
    ("DELETE", PROFILE_FIELD),
    ("PUT", "directory/room/{}"),
    ("DELETE", "directory/room/{}"),
    ("PUT", "directory/list/room/{}"),
    ("POST", "account/3pid/delete"),
];

/// A field of a profile, of which guests have the display name only.
const PROFILE_FIELD: &str = "profile/{}/{}";

/// Checks that the user of `session` may use the endpoint of a request.
///
/// # Errors
///
/// `GuestAccessForbidden` for guests, `UserSuspended` for suspended users.
pub(super) fn check(session: &Session, request: &Parts) -> Result<()> {
    if !session.guest && !session.suspended {
        return Ok(());
    }
    let endpoint = request.extensions.get::<MatchedPath>().map(|path| endpoint(path.as_str())).unwrap_or_default();
    let method = if request.method == Method::HEAD { "GET" } else { request.method.as_str() };
    let listed = |list: &[(&str, &str)]| list.contains(&(method, endpoint.as_str()));
    if session.guest && !(listed(&FOR_GUESTS) && (endpoint != PROFILE_FIELD || names_display_name(request))) {
        return Err(Kind::GuestAccessForbidden.with("Guests may not do this: register an account first."));
    }
    if session.suspended && listed(&NOT_FOR_SUSPENDED) {
        return Err(suspended());
    }
    Ok(())
}

/// The refusal of a suspended user.
pub(super) fn suspended() -> Error {
    Kind::UserSuspended.with("This account has been suspended: it can read and leave, and do little else.")
}

/// The path of a route without its version and without the names of what is filled in.
fn endpoint(route: &str) -> String {
    let mut segments = route.trim_matches('/').split('/').skip_while(|segment| ["_matrix", "client"].contains(segment));
    if segments.next() == Some("unstable") {
        // What follows is the name of a proposal.
        segments.next();
    }
    let segments = segments.map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn names_display_name(request: &Parts) -> bool {
    request.uri.path().rsplit('/').next() == Some("displayname")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_named_without_their_version() {
        let cases = [
            ("/_matrix/client/v3/rooms/{room_id}/join", "rooms/{}/join"),
            ("/_matrix/client/r0/rooms/{room_id}/state/{event_type}/", "rooms/{}/state/{}"),
            ("/_matrix/client/v1/media/download/{server_name}/{media_id}", "media/download/{}/{}"),
            ("/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user_id}/{field}", PROFILE_FIELD),
        ];
        for (route, expected) in cases {
            assert_eq!(endpoint(route), expected, "{route}");
        }
    }
}
