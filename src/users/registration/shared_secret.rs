//! Registration by tools that share a secret with the server, as Synapse documents it for `/_synapse/admin/v1/register`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use hmac::{Hmac, KeyInit, Mac};
use ruma::OwnedUserId;
use serde::Deserialize;
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::{Admission, NewAccount, Registration};
use crate::{
    clock::Clock,
    error::{Error, Kind, Result},
    storage::schema::users::Role,
    users::secrets,
};

/// How long a nonce works, in milliseconds.
const LIFETIME: u64 = 60_000;
/// How many nonces can be out at once, so that asking for them fills no memory.
const MAXIMUM_OUT: usize = 10_000;

/// What a tool sends to make an account.
#[derive(Deserialize)]
pub struct SharedSecretRequest {
    /// A nonce that was asked for within the last minute and not used yet.
    pub nonce: String,
    /// The localpart, as it went into `mac`.
    pub username: String,
    /// The name that others see.
    #[serde(default)]
    pub displayname: Option<String>,
    /// The password.
    pub password: String,
    /// Whether the account may administer the server.
    #[serde(default)]
    pub admin: bool,
    /// A kind of user that Synapse knows; it goes into `mac` and means nothing here.
    #[serde(default)]
    pub user_type: Option<String>,
    /// The proof that the sender knows the secret: HMAC-SHA1 in hexadecimal digits over the values above.
    pub mac: String,
}

/// The nonces that were given out and not used.
#[derive(Clone)]
pub(super) struct Nonces {
    clock: Clock,
    /// Each with the time at which it expires, in milliseconds since the Unix epoch.
    out: Arc<Mutex<HashMap<String, u64>>>,
}

impl Registration {
    /// A nonce for one registration within a minute.
    ///
    /// # Errors
    ///
    /// `Unrecognized` if no secret is configured; `LimitExceeded` if too many nonces are out.
    pub fn nonce(&self) -> Result<String> {
        self.shared_secret()?;
        self.nonces.issue()
    }

    /// Makes the account that a tool asks for and proves to have the right to.
    ///
    /// # Errors
    ///
    /// `Unrecognized` if no secret is configured; `Forbidden` if the proof is wrong; `Unknown` if the nonce is; otherwise as
    /// [`Registration::register`].
    pub async fn register_with_secret(&self, request: SharedSecretRequest) -> Result<OwnedUserId> {
        let secret = self.shared_secret()?;
        self.nonces.spend(&request.nonce)?;
        let expected = hexadecimal(&mac(secret.as_bytes(), &request)?);
        let given = request.mac.to_ascii_lowercase();
        if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return Err(Error::forbidden("The HMAC is wrong."));
        }
        let role = if request.admin { Role::Administrator } else { Role::User };
        self.register(NewAccount {
            username: Some(request.username),
            password: Some(request.password),
            display_name: request.displayname,
            admission: Admission::Granted(role),
        })
        .await
    }

    fn shared_secret(&self) -> Result<&str> {
        let secret = self.options.shared_secret.as_ref();
        let missing = || Kind::Unrecognized.with("Registration with a shared secret is off on this server.");
        secret.map(|secret| secret.reveal()).ok_or_else(missing)
    }
}

impl Nonces {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, out: Arc::default() }
    }

    fn issue(&self) -> Result<String> {
        let now = self.clock.millis();
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.retain(|_, end| *end > now);
        if out.len() >= MAXIMUM_OUT {
            let retry_after = std::time::Duration::from_millis(LIFETIME);
            return Err(Kind::LimitExceeded { retry_after }.with("Too many nonces are waiting to be used."));
        }
        let nonce = secrets::random_text(32);
        out.insert(nonce.clone(), now + LIFETIME);
        Ok(nonce)
    }

    fn spend(&self, nonce: &str) -> Result<()> {
        let end = self.out.lock().unwrap_or_else(PoisonError::into_inner).remove(nonce);
        match end {
            Some(end) if end > self.clock.millis() => Ok(()),
            _ => Err(Kind::Unknown.with("The nonce is not known: ask for a new one.")),
        }
    }
}

/// The HMAC-SHA1 that somebody who knows `secret` computes for `request`.
fn mac(secret: &[u8], request: &SharedSecretRequest) -> Result<[u8; 20]> {
    let role = if request.admin { "admin" } else { "notadmin" };
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).map_err(Error::internal)?;
    mac.update([&*request.nonce, &*request.username, &*request.password, role].join("\0").as_bytes());
    if let Some(user_type) = &request.user_type {
        mac.update(b"\0");
        mac.update(user_type.as_bytes());
    }
    Ok(mac.finalize().into_bytes().into())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_one_that_tools_compute() {
        let request = SharedSecretRequest {
            nonce: "thisisanonce".to_owned(),
            username: "pepper_roni".to_owned(),
            displayname: None,
            password: "pizza".to_owned(),
            admin: true,
            user_type: None,
            mac: String::new(),
        };
        // printf 'thisisanonce\0pepper_roni\0pizza\0admin' | openssl sha1 -hmac shared
        assert_eq!(hexadecimal(&mac(b"shared", &request).unwrap()), EXPECTED);
    }

    const EXPECTED: &str = "4baca023abe6314415efbd20fe2e85ce78c5a2e8";
}
