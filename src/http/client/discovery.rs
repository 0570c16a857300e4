//! What the server is and can do: "Server Discovery" and "Capabilities negotiation" in the client-server specification.

use std::sync::Arc;

use axum::extract::State;
use ruma::{
    RoomVersionId,
    api::client::discovery::{
        discover_homeserver::{self, HomeserverInfo},
        discover_policy_server,
        discover_support::{self, Contact},
        get_authorization_server_metadata, get_capabilities, get_supported_versions,
    },
    serde::Raw,
};
use serde_json::{Value, json, value::to_raw_value};

use super::calls;
use crate::{
    config::{Config, SupportContact},
    error::{Error, Kind, Result},
    http::{
        authenticate::Caller,
        endpoint::{Answer, Reply, Request},
        json::Json,
        oauth::server_metadata,
    },
    matrix::room_version,
    rooms::{LONGEST_DELAY, MAXIMUM_DELAYED},
    users::Accounts,
};

/// The versions of the specification whose endpoints this server has, the newest last.
const VERSIONS: [&str; 20] = [
    "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12",
    "v1.13", "v1.14", "v1.15", "v1.16", "v1.17", "v1.18", "v1.19",
];

/// The features that are no part of the specification yet.
const UNSTABLE_FEATURES: [&str; 13] = [
    // Deleting account data.
    "org.matrix.msc3391",
    // Dehydrated devices.
    "org.matrix.msc3814",
    // Filters by relation.
    "org.matrix.msc3874",
    // Events that are sent later.
    "org.matrix.msc4140",
    // The state at the end of a sync's timeline.
    "org.matrix.msc4222",
    // Subscriptions to threads, and what changed about them.
    "org.matrix.msc4306",
    "org.matrix.msc4308",
    // Sliding sync.
    "org.matrix.simplified_msc3575",
    // Rooms that one shares with somebody.
    "uk.half-shot.msc2666.query_mutual_rooms",
    "uk.half-shot.msc2666.query_mutual_rooms.stable",
    // What calls of many people go through.
    "org.matrix.msc4143",
    // Whose invitations somebody wants.
    "org.matrix.msc4155",
    "org.matrix.msc4380",
];

pub async fn versions(_: Request<get_supported_versions::Request>) -> Answer<get_supported_versions::Response> {
    let mut response = get_supported_versions::Response::new(VERSIONS.map(str::to_owned).to_vec());
    response.unstable_features = UNSTABLE_FEATURES.map(|feature| (feature.to_owned(), true)).into();
    Ok(Reply(response))
}

/// Written out, since ruma's type leaves out every capability that has the value a client would assume without it.
pub async fn capabilities(
    State(config): State<Arc<Config>>,
    State(accounts): State<Accounts>,
    caller: Caller,
    _: Request<get_capabilities::v3::Request>,
) -> Result<Json<Value>> {
    let available: serde_json::Map<String, Value> = room_version::SUPPORTED
        .into_iter()
        .chain(RoomVersionId::try_from(room_version::OWNED_STATE).ok())
        .filter_map(|version| Some((version.to_string(), room_version::stability(&version)?.as_str().into())))
        .collect();
    let mut answer = json!({"capabilities": {
        "m.change_password": {"enabled": true},
        "m.room_versions": {"default": config.rooms.default_version, "available": available},
        "m.set_displayname": {"enabled": true},
        "m.set_avatar_url": {"enabled": true},
        "m.profile_fields": {"enabled": true},
        "m.3pid_changes": {"enabled": config.mail.is_some()},
        "m.get_login_token": {"enabled": true},
        "m.forget_forced_upon_leave": {"enabled": false},
        "org.matrix.msc4140.delayed_events": {
            "max_delay_ms": LONGEST_DELAY.as_millis() as u64,
            "max_scheduled": MAXIMUM_DELAYED,
        },
    }});
    if accounts.is_administrator(&caller.user_id).await? {
        answer["capabilities"]["m.account_moderation"] = json!({"lock": true, "suspend": true});
    }
    Ok(Json(answer))
}

pub async fn homeserver(
    State(config): State<Arc<Config>>,
    _: Request<discover_homeserver::Request>,
) -> Answer<discover_homeserver::Response> {
    let Some(base_url) = config.well_known.client.clone() else {
        return Err(Error::not_found("This server does not say under which URL clients reach it."));
    };
    let mut response = discover_homeserver::Response::new(HomeserverInfo::new(base_url));
    response.rtc_foci = calls::configured_transports(&config)?;
    Ok(Reply(response))
}

/// `GET /.well-known/matrix/policy_server`
pub async fn policy_server(
    State(config): State<Arc<Config>>,
    _: Request<discover_policy_server::Request>,
) -> Answer<discover_policy_server::Response> {
    let key = config.well_known.policy_server_key.clone();
    let key = key.ok_or_else(|| Error::not_found("There is no policy server under this name."))?;
    Ok(Reply(discover_policy_server::Response::new(key)))
}

/// `GET /auth_metadata`, which says by its error that clients log in with the endpoints for that.
pub async fn authorization_server(
    State(config): State<Arc<Config>>,
    _: Request<get_authorization_server_metadata::v1::Request>,
) -> Answer<get_authorization_server_metadata::v1::Response> {
    if !config.oauth.enabled {
        let message = "This server has no OAuth 2.0 API: use the endpoints for registration and login.";
        return Err(Kind::Unrecognized.with(message));
    }
    let metadata = to_raw_value(&server_metadata(&config)).map_err(Error::internal)?;
    Ok(Reply(get_authorization_server_metadata::v1::Response::new(Raw::from_json(metadata))))
}

pub async fn support(
    State(config): State<Arc<Config>>,
    _: Request<discover_support::Request>,
) -> Answer<discover_support::Response> {
    let well_known = &config.well_known;
    if well_known.support_page.is_none() && well_known.support_contacts.is_empty() {
        return Err(Error::not_found("This server names nobody to turn to."));
    }
    let contacts = well_known.support_contacts.iter().filter_map(contact).collect();
    let mut response = discover_support::Response::with_contacts(contacts);
    response.support_page.clone_from(&well_known.support_page);
    Ok(Reply(response))
}

fn contact(contact: &SupportContact) -> Option<Contact> {
    let role = contact.role.as_str().into();
    let mut answer = match (&contact.email_address, &contact.matrix_id) {
        (Some(email_address), _) => Contact::with_email_address(role, email_address.clone()),
        (None, Some(matrix_id)) => Contact::with_matrix_id(role, matrix_id.clone()),
        (None, None) => return None,
    };
    answer.matrix_id.clone_from(&contact.matrix_id);
    Some(answer)
}
