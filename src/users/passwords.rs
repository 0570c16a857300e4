//! Passwords: how strong a new one must be, and hashing with Argon2id where it delays nobody else.

use std::{num::NonZero, sync::Arc, thread::available_parallelism};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash as ParsedHash, Salt},
};
use tokio::{sync::Semaphore, task};

use super::secrets;
use crate::{
    config,
    error::{Error, Kind, Result},
    storage::schema::users::PasswordHash,
};

/// A cheap-clone hasher with the operator's choice of cost.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    minimum_length: usize,
    /// A hash that no password has, of the same cost as a real one.
    decoy: PasswordHash,
    /// One permit per core: a hash keeps a core busy for about 10 ms and holds megabytes, so more at a time would only be
    /// slower for all.
    turns: Arc<Semaphore>,
}

impl Passwords {
    /// A hasher with the cost that `options` asks for.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if Argon2 does not allow these costs.
    pub fn new(options: &config::Passwords) -> Result<Self> {
        let params = Params::new(options.memory_kib, options.iterations, options.parallelism, None)
            .map_err(|cause| Error::invalid(format!("passwords cannot be hashed with this cost: {cause}")))?;
        Ok(Self {
            decoy: decoy(&params)?,
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            minimum_length: options.minimum_length,
            turns: Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))),
        })
    }

    /// Checks that `password` may become somebody's password.
    ///
    /// # Errors
    ///
    /// `WeakPassword` if it has fewer characters than the operator wants.
    pub fn check_strength(&self, password: &str) -> Result<()> {
        if password.chars().count() < self.minimum_length {
            let message = format!("A password needs at least {} characters.", self.minimum_length);
            return Err(Kind::WeakPassword.with(message));
        }
        Ok(())
    }

    /// Hashes `password` with a fresh salt.
    ///
    /// # Errors
    ///
    /// `WeakPassword` as for [`Passwords::check_strength`].
    pub async fn hash(&self, password: &str) -> Result<PasswordHash> {
        self.check_strength(password)?;
        let password = password.to_owned();
        let hashed = self.in_turn(move |argon2| argon2.hash_password(password.as_bytes())).await?;
        Ok(PasswordHash::new(hashed.map_err(Error::internal)?.to_string()))
    }

    /// Whether `password` is the one that `hash` was made from.
    ///
    /// Without a hash the answer is no, and takes as long as with one, so that time does not tell who has an account.
    ///
    /// # Errors
    ///
    /// `Internal` if the stored hash is damaged.
    pub async fn matches(&self, password: &str, hash: Option<&PasswordHash>) -> Result<bool> {
        let password = password.to_owned();
        let parsed = ParsedHash::new(hash.unwrap_or(&self.decoy).as_str()).map_err(Error::internal)?;
        // The comparison at the end of this is in constant time.
        let verified = self.in_turn(move |argon2| argon2.verify_password(password.as_bytes(), &parsed)).await?;
        Ok(verified.is_ok() && hash.is_some())
    }

    /// Does `work` on a thread that may block, when it is this caller's turn.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce(&Argon2<'_>) -> T + Send + 'static) -> Result<T> {
        let permit = self.turns.clone().acquire_owned().await.map_err(Error::internal)?;
        let argon2 = self.argon2.clone();
        let hashing = task::spawn_blocking(move || {
            // The permit goes with the work: a caller who gives up does not free the core that is still hashing.
            let _permit = permit;
            work(&argon2)
        });
        hashing.await.map_err(Error::internal)
    }
}

/// A well-formed hash with a random salt and a random result, which costs nothing to make.
fn decoy(params: &Params) -> Result<PasswordHash> {
    let hash = ParsedHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(Error::internal)?,
        salt: Some(Salt::new(&secrets::random_bytes::<16>()).map_err(Error::internal)?),
        hash: Some(Output::new(&secrets::random_bytes::<32>()).map_err(Error::internal)?),
    };
    Ok(PasswordHash::new(hash.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Passwords {
        Passwords::new(&config::Passwords { minimum_length: 8, memory_kib: 8, iterations: 1, parallelism: 1 }).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_matches() {
        let passwords = cheap();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert!(passwords.matches("correct horse", Some(&hash)).await.unwrap());
        assert!(!passwords.matches("Correct horse", Some(&hash)).await.unwrap());
        assert!(!passwords.matches("correct horse", None).await.unwrap());
        assert_ne!(hash, passwords.hash("correct horse").await.unwrap(), "the salt is the same twice");
    }

    #[tokio::test]
    async fn a_hash_keeps_the_cost_it_was_made_with() {
        let hash = cheap().hash("correct horse").await.unwrap();
        let dearer = config::Passwords { minimum_length: 8, memory_kib: 64, iterations: 2, parallelism: 1 };
        assert!(Passwords::new(&dearer).unwrap().matches("correct horse", Some(&hash)).await.unwrap());
    }

    #[test]
    fn characters_count_and_not_bytes() {
        assert!(cheap().check_strength("übersécr").is_ok());
        assert_eq!(cheap().check_strength("übersec").unwrap_err().kind, Kind::WeakPassword);
    }

    #[test]
    fn a_decoy_costs_what_a_real_hash_costs() {
        let decoy = cheap().decoy;
        assert!(decoy.as_str().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert!(!format!("{decoy:?}").contains("argon2id"));
    }

    #[test]
    fn an_impossible_cost_is_refused() {
        let options = config::Passwords { minimum_length: 8, memory_kib: 1, iterations: 1, parallelism: 1 };
        assert!(Passwords::new(&options).is_err());
    }
}
