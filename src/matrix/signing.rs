//! The server's signing key: making one, and its one-line text form.

use std::fmt;

use ed25519_dalek::Signer;
use ruma::{
    OwnedServerSigningKeyId, ServerName, ServerSigningKeyVersion, SigningKeyAlgorithm, SigningKeyId,
    canonical_json::CanonicalJsonObject,
    serde::{Base64, base64::Standard},
    signatures::{self, KeyPair, Signature},
};

use crate::error::{Error, Kind, Result};

/// An ed25519 key pair with the name under which other servers find its public half.
///
/// Its text form is one line, `ed25519 <version> <unpadded base64 of the seed>`, the form that other homeservers keep
/// on disk, so that an operator can bring a key along. `Debug` shows the public half only.
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    id: OwnedServerSigningKeyId,
}

impl SigningKey {
    /// A new random key with a random version.
    pub fn generate() -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyzABCDEF";
        let name = rand::random::<[u8; 6]>().map(|byte| ALPHABET[usize::from(byte % 32)]);
        let version = format!("a_{}", String::from_utf8_lossy(&name));
        Self::from_seed(&rand::random(), &version).expect("the version is made of letters")
    }

    /// The key that a 32-byte seed stands for.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidParam`] when the version has characters other than letters, digits and `_`.
    pub fn from_seed(seed: &[u8; 32], version: &str) -> Result<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if version.is_empty() || !version.chars().all(is_plain) {
            return Err(Error::invalid(format!("{version:?} is not the version of a signing key")));
        }
        let version = <&ServerSigningKeyVersion>::try_from(version).map_err(|e| Error::invalid(e.to_string()))?;
        Ok(Self {
            key: ed25519_dalek::SigningKey::from_bytes(seed),
            id: SigningKeyId::from_parts(SigningKeyAlgorithm::Ed25519, version),
        })
    }

    /// Reads the text form; surrounding white space is ignored.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidParam`] with a sentence that does not repeat the secret.
    pub fn parse(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let (Some("ed25519"), Some(version), Some(seed), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Error::invalid("a signing key is one line: ed25519, its version, and its seed in base64"));
        };
        let seed = Base64::<Standard, [u8; 32]>::parse(seed)
            .map_err(|_| Error::invalid("the seed of the signing key is not 32 bytes of base64"))?;
        Self::from_seed(seed.as_inner(), version)
    }

    /// The text form, with a newline at its end. It is a secret.
    pub fn serialise(&self) -> String {
        format!("ed25519 {} {}\n", self.version(), Base64::<Standard, _>::new(self.key.as_bytes()).encode())
    }

    /// The version of the key, such as `a_AbCd`.
    pub fn version(&self) -> &str {
        self.id.key_name().as_str()
    }

    /// The name of the key in signatures, such as `ed25519:a_AbCd`.
    pub fn id(&self) -> &OwnedServerSigningKeyId {
        &self.id
    }

    /// The public half.
    pub fn public(&self) -> Base64<Standard, [u8; 32]> {
        Base64::new(self.key.verifying_key().to_bytes())
    }

    /// Adds this server's signature to an object that is not an event (appendices, "Signing JSON").
    ///
    /// # Errors
    ///
    /// [`Kind::BadJson`] when the object has `signatures` of another shape.
    pub fn sign_json(&self, server_name: &ServerName, object: &mut CanonicalJsonObject) -> Result<()> {
        signatures::sign_json(server_name.as_str(), self, object).map_err(|e| Kind::BadJson.with(e.to_string()))
    }
}

impl KeyPair for SigningKey {
    fn sign(&self, message: &[u8]) -> Signature {
        let id = SigningKeyId::from_parts(SigningKeyAlgorithm::Ed25519, self.version().into());
        Signature::new(id, self.key.sign(message).to_bytes().to_vec())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).field("public", &self.public()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;

    /// The seed and the signatures of the appendices, "Cryptographic Test Vectors".
    const SPEC_KEY: &str = "ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

    #[test]
    fn signs_like_the_test_vectors_of_the_specification() {
        let key = SigningKey::parse(SPEC_KEY).unwrap();
        let vectors = [
            ("{}", "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"),
            (
                r#"{"two":"Two","one":1}"#,
                "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
            ),
        ];
        for (json, signature) in vectors {
            let mut object = serde_json::from_str(json).unwrap();
            key.sign_json(server_name!("domain"), &mut object).unwrap();
            let object = serde_json::to_value(object).unwrap();
            assert_eq!(object["signatures"]["domain"]["ed25519:1"], signature);
        }
    }

    #[test]
    fn the_text_form_comes_back_as_the_same_key() {
        let key = SigningKey::generate();
        let again = SigningKey::parse(&key.serialise()).unwrap();
        assert_eq!(again.serialise(), key.serialise());
        assert_eq!((again.id(), again.public()), (key.id(), key.public()));
    }

    #[test]
    fn every_generated_key_is_another() {
        let (one, two) = (SigningKey::generate(), SigningKey::generate());
        assert_ne!(one.public(), two.public());
        assert_ne!(one.id(), two.id());
    }

    #[test]
    fn neither_errors_nor_debug_show_the_secret() {
        let seed = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";
        for bad in [
            format!("ed25519 1 {seed}AAAA"),
            format!("ed25519 a:b {seed}"),
            format!("curve25519 1 {seed}"),
            format!("ed25519 1 {seed} more"),
            seed.to_owned(),
            String::new(),
        ] {
            let error = SigningKey::parse(&bad).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidParam);
            assert!(!error.message.contains(seed), "{error}");
        }
        assert!(!format!("{:?}", SigningKey::parse(SPEC_KEY).unwrap()).contains(seed));
    }
}
