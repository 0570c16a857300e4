//! The keys with which others check what this server signed
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys)).

use std::time::Duration;

use ruma::{
    OwnedServerName, ServerName,
    api::federation::discovery::ServerSigningKeys,
    canonical_json::{CanonicalJsonObject, try_from_json_map},
    serde::Raw,
};
use serde_json::{Value, json, value::to_raw_value};

use crate::{
    clock::Clock,
    error::{Error, Result},
    matrix::signing::SigningKey,
};

/// How long others may keep the keys before they ask again. The specification has them forget after seven days in any case.
const VALIDITY: Duration = Duration::from_secs(24 * 3600);

/// A cheap-clone service that shows this server's keys. It asks no other server for theirs.
#[derive(Clone)]
pub struct ServerKeys {
    server_name: OwnedServerName,
    key: SigningKey,
    clock: Clock,
}

impl ServerKeys {
    /// The keys of the server called `server_name`, which signs with `key`.
    pub fn new(server_name: OwnedServerName, key: SigningKey, clock: Clock) -> Self {
        Self { server_name, key, clock }
    }

    /// This server's keys, signed with them.
    pub fn own(&self) -> Result<Raw<ServerSigningKeys>> {
        let keys = json!({
            "server_name": self.server_name,
            "verify_keys": { self.key.id().as_str(): { "key": self.key.public() } },
            "old_verify_keys": {},
            "valid_until_ts": self.clock.millis() + VALIDITY.as_millis() as u64,
        });
        let Value::Object(keys) = keys else { return Err(Error::internal("the keys are no object")) };
        let mut keys: CanonicalJsonObject = try_from_json_map(keys).map_err(Error::internal)?;
        self.key.sign_json(&self.server_name, &mut keys)?;
        to_raw_value(&keys).map(Raw::from_json).map_err(Error::internal)
    }

    /// The keys of a server as far as they are known here: this server vouches only for itself.
    pub fn of(&self, server: &ServerName) -> Result<Option<Raw<ServerSigningKeys>>> {
        (*server == self.server_name).then(|| self.own()).transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ruma::{serde::Base64, server_name, signatures::verify_json};

    use super::*;

    #[test]
    fn the_keys_are_signed_by_the_key_that_they_show() {
        let clock = Clock::manual(1_000);
        let key = SigningKey::generate();
        let keys = ServerKeys::new(server_name!("example.org").to_owned(), key.clone(), clock);
        let own: CanonicalJsonObject = serde_json::from_str(keys.own().unwrap().json().get()).unwrap();
        let shown: Value = serde_json::from_str(keys.own().unwrap().json().get()).unwrap();
        assert_eq!(shown["valid_until_ts"], 1_000 + 24 * 3_600 * 1_000);
        let public = shown["verify_keys"][key.id().as_str()]["key"].as_str().unwrap();
        let public: Base64 = Base64::parse(public).unwrap();
        let verifiers = BTreeMap::from([("example.org".to_owned(), BTreeMap::from([(key.id().to_string(), public)]))]);
        verify_json(&verifiers, &own).unwrap();

        let mut forged = own;
        forged.insert("valid_until_ts".to_owned(), ruma::canonical_json::CanonicalJsonValue::Integer(1.into()));
        assert!(verify_json(&verifiers, &forged).is_err());
    }

    #[test]
    fn it_vouches_for_nobody_else() {
        let keys = ServerKeys::new(server_name!("example.org").to_owned(), SigningKey::generate(), Clock::manual(1));
        assert!(keys.of(server_name!("example.org")).unwrap().is_some());
        assert!(keys.of(server_name!("elsewhere.org")).unwrap().is_none());
    }
}
