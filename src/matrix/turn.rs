//! Credentials for a TURN server that shares a secret with this one, as the TURN REST API has them.

use hmac::{Hmac, KeyInit, Mac};
use ruma::{
    UserId,
    serde::base64::{Base64, Standard},
};
use sha1::Sha1;

use crate::error::{Error, Result};

/// A name and a password with which `user` may relay calls until `expires_at`, in seconds since the Unix epoch.
///
/// # Errors
///
/// `Internal` if the secret cannot be a key, which every text can.
pub fn credentials(secret: &str, user: &UserId, expires_at: u64) -> Result<(String, String)> {
    let name = format!("{expires_at}:{user}");
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).map_err(Error::internal)?;
    mac.update(name.as_bytes());
    let mut password = Base64::<Standard, _>::new(mac.finalize().into_bytes().to_vec()).encode();
    // TURN servers compare with padded base64; twenty bytes are always one character short of it.
    password.push('=');
    Ok((name, password))
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn the_password_is_the_one_that_a_turn_server_computes() {
        let (name, password) = credentials("logen", user_id!("@alice:example.org"), 1_433_895_918).unwrap();
        assert_eq!(name, "1433895918:@alice:example.org");
        // printf '1433895918:@alice:example.org' | openssl dgst -sha1 -hmac logen -binary | base64
        assert_eq!(password, "tdvHOh/QejzjgPWs4bkhzj7STy4=");
    }
}
