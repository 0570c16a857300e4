//! Proofs of e-mail addresses: a token is mailed, somebody gives it back, and what it was for may then be done once.
//!
//! Whoever asks for the mail chooses a secret and is the only one who can use the proof; whoever reads the mail is the only
//! one who can make it.

use std::{sync::Arc, time::Duration};

use ruma::OwnedUserId;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::EMAIL;
use crate::{
    clock::Clock,
    config::Config,
    error::{Error, Kind, Result},
    matrix::email_address::EmailAddress,
    outgoing::mail::Mailer,
    storage::{
        Batch, Snapshot, Store,
        schema::third_party_ids::{
            Purpose, THIRD_PARTY_ID_OWNERS, VALIDATION_ENDS, VALIDATION_REQUESTS, VALIDATIONS, Validation,
        },
        until_settled,
    },
    users::secrets,
};

/// How many wrong tokens a validation survives. A token has 100 random bits, so that this is for appearances' sake.
pub(super) const MAXIMUM_FAILURES: u32 = 10;

/// A cheap-clone service that proves whose an e-mail address is.
#[derive(Clone)]
pub struct EmailValidations {
    pub(super) store: Store,
    pub(super) clock: Clock,
    /// `None` if the server sends no mail.
    pub(super) sending: Option<Arc<Sending>>,
}

/// How mails are sent, and to whom.
pub(super) struct Sending {
    pub(super) mailer: Mailer,
    /// What links start with.
    pub(super) public_url: String,
    pub(super) lifetime: Duration,
    pub(super) allowed_domains: Vec<String>,
    pub(super) next_link_domains: Vec<String>,
}

/// An address that somebody proved for a purpose, which still is to be used up.
#[derive(Clone, Debug)]
pub struct ValidatedAddress {
    pub(super) address: EmailAddress,
    id: String,
    purpose: Purpose,
}

/// What somebody said yes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// What the proof is for.
    pub purpose: Purpose,
    /// Where the person is to be led.
    pub next_link: Option<String>,
}

impl EmailValidations {
    /// Validations in `store`, by mail if `config` has a mail server.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the mail server cannot be used as configured.
    pub fn new(store: Store, clock: Clock, config: &Config) -> Result<Self> {
        let sending = match &config.mail {
            None => None,
            Some(options) => {
                let usual = || config.well_known.client.clone();
                let public_url = options.public_url.clone().or_else(usual);
                Some(Arc::new(Sending {
                    mailer: Mailer::new(options, &config.outgoing, &config.server_name)?,
                    public_url: public_url.unwrap_or_else(|| format!("https://{}", config.server_name)),
                    lifetime: options.link_lifetime,
                    allowed_domains: options.allowed_domains.clone(),
                    next_link_domains: options.next_link_domains.clone(),
                }))
            }
        };
        Ok(Self { store, clock, sending })
    }

    /// Validations in `store` by mails that a test reads, or without any.
    #[cfg(test)]
    pub fn for_tests(store: Store, clock: Clock, mailer: Option<Mailer>) -> Self {
        let sending = mailer.map(|mailer| {
            Arc::new(Sending {
                mailer,
                public_url: "https://example.org".to_owned(),
                lifetime: Duration::from_secs(3_600),
                allowed_domains: Vec::new(),
                next_link_domains: vec!["app.example.org".to_owned()],
            })
        });
        Self { store, clock, sending }
    }

    /// Whether the server sends mails, without which no address can be proved.
    pub fn are_possible(&self) -> bool {
        self.sending.is_some()
    }

    /// The URL to which an app sends the code that its user typed; `None` if the server sends no mail.
    pub fn submit_url(&self) -> Option<String> {
        self.sending.as_ref().map(|sending| format!("{}/_commonroom/email/submit_token", sending.public_url))
    }

    /// What the reader of a mail would say yes to with `token`.
    ///
    /// # Errors
    ///
    /// As [`EmailValidations::confirm`].
    pub async fn look(&self, id: &str, token: &str) -> Result<Purpose> {
        self.check(id, None, token).await.map(|validation| validation.purpose)
    }

    /// Notes that the reader of a mail says yes.
    ///
    /// Who gives `client_secret`, an app, must give the right one; who follows the link has none.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if there is no such validation, `SessionExpired` if it is over, `TokenIncorrect` if the token is
    /// another one.
    pub async fn confirm(&self, id: &str, client_secret: Option<&str>, token: &str) -> Result<Confirmed> {
        until_settled(|| async {
            let validation = self.check(id, client_secret, token).await?;
            let confirmed = Confirmed { purpose: validation.purpose, next_link: validation.next_link.clone() };
            if validation.validated_at.is_some() {
                return Ok(confirmed);
            }
            let now = self.clock.millis();
            // The client needs time for its own request, too.
            let ends_at = now + self.lifetime();
            let validated = Validation { validated_at: Some(now), ends_at, ..validation.clone() };
            let mut batch = Batch::new();
            batch.slots(0);
            replace(&mut batch, id, &validation, &validated);
            self.store.commit(batch).await.map(|_| confirmed)
        })
        .await
    }

    /// The address that was proved in the validation `id` for `purpose`, for whoever knows `client_secret`.
    ///
    /// # Errors
    ///
    /// `AddressUnproven` if that is not so, or not yet.
    pub async fn proved(&self, purpose: Purpose, id: &str, client_secret: &str) -> Result<ValidatedAddress> {
        let validation = self.find_proved(&self.store.snapshot(), purpose, id).await?;
        if !has_secret(&validation, client_secret) {
            return Err(unproven());
        }
        let address = EmailAddress::parse(&validation.address).ok_or_else(unproven)?;
        Ok(ValidatedAddress { address, id: id.to_owned(), purpose })
    }

    /// The account that has the address of `proof`.
    ///
    /// # Errors
    ///
    /// `AddressUnproven` if there is none any more.
    pub async fn owner(&self, proof: &ValidatedAddress) -> Result<OwnedUserId> {
        let owner = THIRD_PARTY_ID_OWNERS.get(&self.store.snapshot(), (EMAIL, proof.address.as_str())).await?;
        owner.ok_or_else(unproven)
    }

    /// Adds to `batch` that `proof` is used up, and says when it was made.
    ///
    /// # Errors
    ///
    /// `AddressUnproven` if it was used up before or is over.
    pub(super) async fn spend(&self, batch: &mut Batch, snapshot: &Snapshot, proof: &ValidatedAddress) -> Result<u64> {
        let validation = self.find_proved(snapshot, proof.purpose, &proof.id).await?;
        VALIDATIONS.expect(batch, (&proof.id,), Some(&validation));
        forget(batch, &proof.id, &validation);
        Ok(validation.validated_at.unwrap_or_default())
    }

    async fn find_proved(&self, snapshot: &Snapshot, purpose: Purpose, id: &str) -> Result<Validation> {
        let validation = VALIDATIONS.get(snapshot, (id,)).await?;
        let is_proved = |validation: &Validation| {
            validation.purpose == purpose
                && validation.validated_at.is_some()
                && self.clock.millis() < validation.ends_at
        };
        validation.filter(is_proved).ok_or_else(unproven)
    }

    /// The validation `id`, if it is not over and `token` was mailed for it; a wrong one counts.
    async fn check(&self, id: &str, client_secret: Option<&str>, token: &str) -> Result<Validation> {
        let hash = secrets::hash(&as_mailed(token));
        until_settled(|| async {
            let validation = VALIDATIONS.get(&self.store.snapshot(), (id,)).await?;
            let validation = validation
                .filter(|validation| client_secret.is_none_or(|secret| has_secret(validation, secret)))
                .ok_or_else(|| Error::invalid("There is nothing to confirm here, or not any more."))?;
            if self.clock.millis() >= validation.ends_at || validation.failures >= MAXIMUM_FAILURES {
                return Err(Kind::SessionExpired.with("This does not work any more: ask for another mail."));
            }
            if validation.tokens.iter().any(|mailed| bool::from(mailed.ct_eq(&hash))) {
                return Ok(validation);
            }
            let mut batch = Batch::new();
            batch.slots(0);
            let failed = Validation { failures: validation.failures + 1, ..validation.clone() };
            replace(&mut batch, id, &validation, &failed);
            self.store.commit(batch).await?;
            Err(Kind::TokenIncorrect.with("This is not the code that was mailed."))
        })
        .await
    }

    /// How long a validation works, in milliseconds.
    pub(super) fn lifetime(&self) -> u64 {
        let lifetime = self.sending.as_ref().map_or(Duration::ZERO, |sending| sending.lifetime);
        lifetime.as_millis() as u64
    }
}

/// Adds to `batch` that the validation `id` becomes `after`, on condition that it still is `before`.
pub(super) fn replace(batch: &mut Batch, id: &str, before: &Validation, after: &Validation) {
    VALIDATIONS.expect(batch, (id,), Some(before));
    VALIDATIONS.put(batch, (id,), after);
    VALIDATION_ENDS.delete(batch, (before.ends_at, id));
    VALIDATION_ENDS.put(batch, (after.ends_at, id), &());
}

/// Adds to `batch` that the validation `id` is gone.
pub(super) fn forget(batch: &mut Batch, id: &str, validation: &Validation) {
    VALIDATIONS.delete(batch, (id,));
    VALIDATION_REQUESTS.delete(batch, (validation.request,));
    VALIDATION_ENDS.delete(batch, (validation.ends_at, id));
}

/// What is kept of a client's request: equal for equal ones, and useless to who does not know the client's secret.
pub(super) fn request_hash(purpose: Purpose, address: &str, client_secret: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([purpose as u8]);
    // Neither part can contain a line feed.
    hash.update(address);
    hash.update("\n");
    hash.update(client_secret);
    hash.finalize().into()
}

fn has_secret(validation: &Validation, client_secret: &str) -> bool {
    let given = request_hash(validation.purpose, &validation.address, client_secret);
    validation.request.ct_eq(&given).into()
}

/// A token as it was mailed, from however somebody typed it.
fn as_mailed(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

pub(super) fn unproven() -> Error {
    Kind::AddressUnproven.with("This address is not confirmed: follow the link in the mail first.")
}
