//! The proof that who brings a code is who asked for it (RFC 7636), by SHA-256 only.

use ruma::serde::base64::{Base64, UrlSafe};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

/// The length of a hash of SHA-256 in base64 without padding.
const CHALLENGE_LENGTH: usize = 43;

/// What a verifier is held against: its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Takes a challenge as a client sends it; `None` if it cannot be the hash of anything.
    pub fn read(challenge: &str) -> Option<Self> {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (challenge.len() == CHALLENGE_LENGTH && challenge.bytes().all(is_base64)).then(|| Self(challenge.to_owned()))
    }

    /// Whether this is the hash of `verifier`, which has the length and the characters that the standard wants.
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_unreserved) {
            return false;
        }
        let hash = Base64::<UrlSafe, _>::new(Sha256::digest(verifier.as_bytes()).to_vec()).encode();
        hash.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}
