//! What the server is and can do: "Server Discovery" and "Capabilities negotiation" in the client-server specification.

use std::sync::Arc;

use axum::extract::State;
use ruma::api::client::discovery::{
    discover_homeserver::{self, HomeserverInfo},
    discover_support::{self, Contact},
    get_capabilities, get_supported_versions,
};
use serde_json::{Value, json};

use crate::{
    config::{Config, SupportContact},
    error::Error,
    http::{
        endpoint::{Answer, Reply, Request},
        json::Json,
    },
    matrix::room_version,
};

/// The versions of the specification whose endpoints this server has, the newest last.
const VERSIONS: [&str; 12] =
    ["r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11"];

pub async fn versions(_: Request<get_supported_versions::Request>) -> Answer<get_supported_versions::Response> {
    Ok(Reply(get_supported_versions::Response::new(VERSIONS.map(str::to_owned).to_vec())))
}

/// Written out, since ruma's type leaves out every capability that has the value a client would assume without it.
pub async fn capabilities(State(config): State<Arc<Config>>, _: Request<get_capabilities::v3::Request>) -> Json<Value> {
    let available: serde_json::Map<String, Value> = room_version::SUPPORTED
        .into_iter()
        .filter_map(|version| Some((version.to_string(), room_version::stability(&version)?.as_str().into())))
        .collect();
    Json(json!({"capabilities": {
        "m.change_password": {"enabled": true},
        "m.room_versions": {"default": config.rooms.default_version, "available": available},
        "m.set_displayname": {"enabled": true},
        "m.set_avatar_url": {"enabled": true},
        "m.profile_fields": {"enabled": true},
        "m.3pid_changes": {"enabled": false},
        "m.get_login_token": {"enabled": true},
        "m.forget_forced_upon_leave": {"enabled": false},
    }}))
}

pub async fn homeserver(
    State(config): State<Arc<Config>>,
    _: Request<discover_homeserver::Request>,
) -> Answer<discover_homeserver::Response> {
    let Some(base_url) = config.well_known.client.clone() else {
        return Err(Error::not_found("This server does not say under which URL clients reach it."));
    };
    Ok(Reply(discover_homeserver::Response::new(HomeserverInfo::new(base_url))))
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

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http,
    };
    use tower::ServiceExt as _;

    use super::*;
    use crate::http::{App, router};

    async fn get(path: &str, config: &str) -> (u16, Value) {
        let request = http::Request::get(path).body(Body::empty()).unwrap();
        let response = router(App::in_memory(config)).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap())
    }

    #[tokio::test]
    async fn the_base_url_for_clients_is_what_the_operator_says() {
        let path = "/.well-known/matrix/client";
        assert_eq!(get(path, "").await.0, 404);
        let (status, body) = get(path, "[well_known]\nclient = \"https://matrix.example.org/\"").await;
        assert_eq!((status, body), (200, json!({"m.homeserver": {"base_url": "https://matrix.example.org"}})));
    }

    #[tokio::test]
    async fn support_names_whom_the_operator_names() {
        let path = "/.well-known/matrix/support";
        assert_eq!(get(path, "").await.0, 404);
        let config = r#"
            [well_known]
            support_page = "https://example.org/help"
            [[well_known.support_contacts]]
            role = "m.role.admin"
            email_address = "admin@example.org"
            matrix_id = "@admin:example.org"
        "#;
        let expected = json!({
            "support_page": "https://example.org/help",
            "contacts": [
                {"role": "m.role.admin", "email_address": "admin@example.org", "matrix_id": "@admin:example.org"},
            ],
        });
        assert_eq!(get(path, config).await, (200, expected));
    }

    #[tokio::test]
    async fn the_versions_are_there_for_everybody() {
        let (status, body) = get("/_matrix/client/versions", "").await;
        assert_eq!((status, body), (200, json!({ "versions": VERSIONS })));
    }
}
