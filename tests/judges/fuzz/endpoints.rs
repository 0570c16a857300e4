//! Every endpoint: those of the specification, and what else the server has.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// One endpoint. Schemas are as `tests/judges/fuzz/endpoints.py` writes them.
#[derive(Clone, Debug, Deserialize)]
pub struct Endpoint {
    pub method: String,
    /// With the names of its parameters in braces.
    pub path: String,
    /// Whether it asks for a token.
    pub auth: bool,
    /// The schema of each parameter of the path.
    pub parameters: BTreeMap<String, Value>,
    /// The schema of each parameter of the query.
    pub query: BTreeMap<String, Value>,
    /// The schema of the body; `null` if it has none, `"file"` if it is a file.
    pub body: Value,
}

/// The endpoints of the Matrix specification, from its OpenAPI files (Apache-2.0); `tests/judges/fuzz/endpoints.py` makes the table.
const SPECIFICATION: &str = include_str!("endpoints.json");

/// What the specification's files do not have: method, path, and the body's schema.
fn others() -> Vec<(&'static str, &'static str, Value)> {
    let nothing = Value::Null;
    let user =
        || json!({"username": "string", "password": "string", "nonce": "string", "mac": "string", "admin": "boolean"});
    let unstable = "/_matrix/client/unstable/";
    let path = |rest: &str| -> &'static str { format!("{unstable}{rest}").leak() };
    let device = json!({
        "device_id": "string", "device_data": {"algorithm": "string"}, "device_keys": {"*": "any"},
        "initial_device_display_name": "string", "one_time_keys": {"*": "any"}, "fallback_keys": {"*": "any"},
    });
    let lists = json!({"lists": {"*": {
        "ranges": [["integer"]], "sort": ["string"], "required_state": [["string"]], "timeline_limit": "integer",
        "filters": {"is_dm": "boolean", "is_invite": "boolean", "room_types": ["string"], "not_room_types": ["string"]},
    }}, "room_subscriptions": {"*": {"required_state": [["string"]], "timeline_limit": "integer"}},
        "conn_id": "string", "txn_id": "string", "extensions": {"*": {"enabled": "boolean", "since": "string", "limit": "integer"}}});
    let notice = || json!({"user_id": "string:mx-user-id", "content": {}, "type": "string", "state_key": "string"});
    vec![
        ("GET", "/_synapse/admin/v1/register", nothing.clone()),
        ("POST", "/_synapse/admin/v1/register", user()),
        ("POST", "/_synapse/admin/v1/send_server_notice", notice()),
        ("PUT", "/_synapse/admin/v1/send_server_notice/{txnId}", notice()),
        ("DELETE", path("org.matrix.msc3391/user/{userId}/account_data/{type}"), nothing.clone()),
        ("DELETE", path("org.matrix.msc3391/user/{userId}/rooms/{roomId}/account_data/{type}"), nothing.clone()),
        ("PUT", path("org.matrix.msc3814.v1/dehydrated_device"), device),
        ("GET", path("org.matrix.msc3814.v1/dehydrated_device"), nothing.clone()),
        ("DELETE", path("org.matrix.msc3814.v1/dehydrated_device"), nothing.clone()),
        ("POST", path("org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events"), json!({"next_batch": "string"})),
        ("POST", path("org.matrix.simplified_msc3575/sync"), lists),
        ("GET", path("org.matrix.msc4140/delayed_events"), nothing.clone()),
        ("POST", path("org.matrix.msc4140/delayed_events/{delayId}"), json!({"action": "=cancel|restart|send"})),
        ("POST", path("org.matrix.msc4140/delayed_events/{delayId}/cancel"), json!({})),
        (
            "PUT",
            path("io.element.msc4306/rooms/{roomId}/thread/{eventId}/subscription"),
            json!({"automatic": "string"}),
        ),
        ("GET", path("io.element.msc4306/rooms/{roomId}/thread/{eventId}/subscription"), nothing.clone()),
        ("DELETE", path("io.element.msc4306/rooms/{roomId}/thread/{eventId}/subscription"), nothing.clone()),
        ("GET", path("io.element.msc4308/thread_subscriptions"), nothing.clone()),
        ("GET", path("org.matrix.msc4143/rtc/transports"), nothing.clone()),
        ("GET", path("im.nheko.summary/rooms/{roomId}/summary"), nothing.clone()),
        ("GET", "/_matrix/client/r0/sync", nothing.clone()),
        ("GET", "/_matrix/key/v2/server", nothing.clone()),
        ("GET", "/_matrix/federation/v1/version", nothing.clone()),
        ("GET", "/_matrix/federation/v1/openid/userinfo", nothing.clone()),
        ("GET", "/_matrix/federation/v1/event/{eventId}", nothing.clone()),
        ("GET", "/_matrix/federation/v1/state/{roomId}", nothing.clone()),
        ("GET", "/_commonroom/email/submit_token", nothing.clone()),
        (
            "POST",
            "/_commonroom/email/submit_token",
            json!({"token": "string", "sid": "string", "client_secret": "string"}),
        ),
        ("GET", "/health", nothing.clone()),
        ("GET", "/", nothing),
    ]
}

/// All of them.
pub fn all() -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> = serde_json::from_str(SPECIFICATION).expect("the table is well-formed");
    endpoints.extend(others().into_iter().map(|(method, path, body)| {
        let names = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default().to_owned());
        let parameters = names.map(|name| (name, json!("string"))).collect();
        let query = ["timeout", "from", "limit", "token", "sid", "client_secret"]
            .map(|name| (name.to_owned(), json!("string")));
        Endpoint { method: method.into(), path: path.into(), auth: true, parameters, query: query.into(), body }
    }));
    endpoints
}
