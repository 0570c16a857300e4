//! What the server is and can do: "Server Discovery" and "Capabilities negotiation".

use ruma::api::client::discovery::get_supported_versions;

use crate::http::endpoint::{Answer, Reply, Request};

/// The versions of the specification whose endpoints this server has, the newest last.
const VERSIONS: [&str; 12] =
    ["r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11"];

pub async fn versions(_: Request<get_supported_versions::Request>) -> Answer<get_supported_versions::Response> {
    Ok(Reply(get_supported_versions::Response::new(VERSIONS.map(str::to_owned).to_vec())))
}
