//! Secrets that the server makes: random tokens, shown once to their owner and kept only as hashes.

use std::fmt;

use rand::{TryRng, rngs::SysRng};
use ruma::serde::base64::{Base64, UrlSafe};
use sha2::{Digest, Sha256};

/// What is kept of a token: its SHA-256 hash. A token has 256 random bits, so it needs neither salt nor a slow hash.
pub type TokenHash = [u8; 32];

/// A random token of 256 bits behind a prefix that tells people and secret scanners what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new token; `purpose` becomes part of its prefix, as in `cr_access_…`.
    pub fn generate(purpose: &str) -> Self {
        Self(format!("cr_{purpose}_{}", Base64::<UrlSafe, _>::new(random_bytes::<32>())))
    }

    /// What may be stored of this token.
    pub fn hash(&self) -> TokenHash {
        hash(&self.0)
    }

    /// The token itself, for the answer to its owner.
    pub fn reveal(self) -> String {
        self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The hash under which a token that a client presents would be stored.
pub fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// Text of `length` random letters and digits with five bits each; those that people confuse are left out.
pub fn random_text(length: usize) -> String {
    const SYMBOLS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0; length];
    fill(&mut bytes);
    bytes.into_iter().map(|byte| char::from(SYMBOLS[usize::from(byte % 32)])).collect()
}

/// `N` random bytes from the operating system.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Fills `bytes` from the operating system's randomness, without which no account is safe, so failing is the end.
fn fill(bytes: &mut [u8]) {
    SysRng.try_fill_bytes(bytes).expect("the operating system must give random bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_say_what_they_are_and_differ() {
        let token = Token::generate("access");
        assert_ne!(token, Token::generate("access"));
        assert_eq!(hash(&token.clone().reveal()), token.hash());
        let text = token.reveal();
        assert_eq!(text.strip_prefix("cr_access_").map(str::len), Some(43));
    }

    #[test]
    fn debug_output_hides_the_token() {
        let token = Token::generate("access");
        assert!(!format!("{token:?}").contains(&token.reveal()[10..]));
    }

    #[test]
    fn random_text_has_the_length_asked_for() {
        let text = random_text(20);
        assert_eq!(text.len(), 20);
        assert_ne!(text, random_text(20));
        assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
    }
}
