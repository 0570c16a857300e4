//! Asking for a mail with which somebody proves that an address is theirs.
//!
//! Nobody learns here whether an account has an address, but who can read its mail: the answer is the same, and the mail
//! says what is the matter. That is what the specification recommends. Somebody who is logged in is told at once.

use std::sync::Arc;

use ruma::UserId;
use tracing::Instrument as _;

use super::{
    EMAIL, in_use,
    validations::{self, EmailValidations, Sending, request_hash},
};
use crate::{
    error::{Error, Kind, Result},
    matrix::email_address::EmailAddress,
    outgoing::{
        Url,
        mail::{Confirmation, Letter},
    },
    storage::{
        Batch, Direction, KeyRange, Snapshot,
        schema::third_party_ids::{
            Purpose, THIRD_PARTY_ID_OWNERS, VALIDATION_ENDS, VALIDATION_REQUESTS, VALIDATIONS, Validation,
        },
        until_settled,
    },
    users::secrets,
};

/// How long a token is: 100 random bits.
const TOKEN_LENGTH: usize = 20;
/// How many characters of a token are shown together.
const TOKEN_GROUP: usize = 5;
/// How long the public id of a validation is.
const ID_LENGTH: usize = 24;
/// How many mails of one validation work at the same time.
const MAXIMUM_TOKENS: usize = 3;
/// The longest secret of a client, in bytes.
const MAXIMUM_SECRET: usize = 255;
/// The longest link to lead somebody to, in bytes.
const MAXIMUM_LINK: usize = 2_048;
/// How long a validation that is over is remembered, in milliseconds, so that its owner hears that it is over.
const REMEMBERED: u64 = 24 * 60 * 60 * 1_000;
/// How many old validations each new one removes; more than one, so that they become fewer.
const SWEPT_AT_ONCE: usize = 10;

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct ValidationRequest<'a> {
    /// What the address is to be proved for.
    pub purpose: Purpose,
    /// The address, as it was typed.
    pub email: &'a str,
    /// What the client will prove with that it was the one who asked.
    pub client_secret: &'a str,
    /// Only a number larger than the last one sends another mail.
    pub send_attempt: u64,
    /// Where the person is to be led afterwards.
    pub next_link: Option<&'a str>,
    /// Who asks, if they are logged in.
    pub requester: Option<&'a UserId>,
}

/// A request that is in order.
struct Wish {
    purpose: Purpose,
    address: EmailAddress,
    /// What is kept of the request.
    request: [u8; 32],
    send_attempt: u64,
    next_link: Option<String>,
    /// Whether an account has the address.
    has_account: bool,
}

/// What became of a request.
enum Claim {
    /// A mail went out for it before.
    Sent,
    /// A mail has to go out with this token; before it, the last number was `previous`.
    ToSend { token: String, previous: Option<u64> },
}

impl EmailValidations {
    /// Checks that the server sends mails.
    ///
    /// # Errors
    ///
    /// `MediumNotSupported` or `AddressDenied` if it does not.
    pub fn require_possible(&self, purpose: Purpose) -> Result<()> {
        self.require_mail(purpose).map(drop)
    }

    fn require_mail(&self, purpose: Purpose) -> Result<&Arc<Sending>> {
        self.sending.as_ref().ok_or_else(|| no_mail(purpose))
    }

    /// Sends a mail, unless it was sent before, and returns the id of the validation that it belongs to.
    ///
    /// # Errors
    ///
    /// `MediumNotSupported` or `AddressDenied` if the server sends no mail or does not want the address; `InvalidParam` if
    /// the address, the client's secret or the next link is none; `AddressInUse` for somebody who is logged in and
    /// wants an address that an account has; as [`crate::outgoing::mail::Mailer::send`] if the mail could not be sent.
    pub async fn request(&self, wanted: ValidationRequest<'_>) -> Result<String> {
        let sending = self.require_mail(wanted.purpose)?;
        let address = EmailAddress::parse(wanted.email);
        let address = address.ok_or_else(|| Error::invalid("This is not an e-mail address."))?;
        check_secret(wanted.client_secret)?;
        let next_link = sending.next_link(wanted.next_link)?;
        if wanted.purpose != Purpose::ResetPassword {
            sending.check_domain(&address)?;
        }
        let owner = THIRD_PARTY_ID_OWNERS.get(&self.store.snapshot(), (EMAIL, address.as_str())).await?;
        if wanted.purpose == Purpose::Add && wanted.requester.is_some() && owner.is_some() {
            return Err(in_use());
        }

        let wish = Wish {
            purpose: wanted.purpose,
            request: request_hash(wanted.purpose, address.as_str(), wanted.client_secret),
            send_attempt: wanted.send_attempt,
            address,
            next_link,
            has_account: owner.is_some(),
        };
        // A client that does not wait for the mail server must not leave a request behind that counts as sent and is not.
        let (service, sending) = (self.clone(), sending.clone());
        let sent = tokio::spawn(async move { service.fulfil(&sending, wish).await }.in_current_span());
        sent.await.map_err(Error::internal)?
    }

    /// Sends the mail that somebody may ask for, unless it was sent before.
    async fn fulfil(&self, sending: &Sending, wish: Wish) -> Result<String> {
        let (id, claim) = until_settled(|| self.claim(&wish)).await?;
        let Claim::ToSend { token, previous } = claim else { return Ok(id) };
        let link = format!("{}/_commonroom/email/confirm?sid={id}&token={token}", sending.public_url);
        let confirmation = Confirmation { link: &link, code: &in_groups(&token), lifetime: sending.lifetime };
        let letter = letter(wish.purpose, wish.has_account, confirmation);
        match sending.mailer.send(wish.address.as_str(), letter).await {
            Ok(()) => Ok(id),
            Err(failure) => {
                until_settled(|| self.give_back(&id, &token, previous)).await?;
                Err(failure)
            }
        }
    }

    /// Notes that this request's mail goes out now, so that the same request at the same time sends no other.
    async fn claim(&self, wish: &Wish) -> Result<(String, Claim)> {
        let (now, snapshot, request) = (self.clock.millis(), self.store.snapshot(), wish.request);
        let known = VALIDATION_REQUESTS.get(&snapshot, (request,)).await?;
        let existing = match &known {
            Some(id) => VALIDATIONS.get(&snapshot, (id,)).await?.map(|validation| (id.clone(), validation)),
            None => None,
        };
        let existing = existing.filter(|(_, validation)| now < validation.ends_at);
        if let Some((id, validation)) = &existing
            && validation.send_attempt.is_some_and(|last| wish.send_attempt <= last)
        {
            return Ok((id.clone(), Claim::Sent));
        }

        let token = secrets::random_text(TOKEN_LENGTH);
        let ends_at = now + self.lifetime();
        let mut batch = Batch::new();
        batch.slots(0);
        sweep(&mut batch, &snapshot, now).await?;
        let is_open = |validation: &Validation| {
            validation.validated_at.is_none() && validation.failures < validations::MAXIMUM_FAILURES
        };
        let (id, previous) = match existing.filter(|(_, validation)| is_open(validation)) {
            Some((id, validation)) => {
                let again = mailed_again(&validation, wish, secrets::hash(&token), ends_at);
                validations::replace(&mut batch, &id, &validation, &again);
                (id, validation.send_attempt)
            }
            None => {
                let id = secrets::random_text(ID_LENGTH);
                VALIDATIONS.put(&mut batch, (&id,), &begun(wish, secrets::hash(&token), ends_at));
                VALIDATION_ENDS.put(&mut batch, (ends_at, &id), &());
                (id, None)
            }
        };
        VALIDATION_REQUESTS.expect(&mut batch, (request,), known.as_ref());
        VALIDATION_REQUESTS.put(&mut batch, (request,), &id);
        self.store.commit(batch).await?;
        Ok((id, Claim::ToSend { token, previous }))
    }

    /// Notes that a mail did not go out, so that the same request sends it when it comes again.
    async fn give_back(&self, id: &str, token: &str, previous: Option<u64>) -> Result<()> {
        let Some(validation) = VALIDATIONS.get(&self.store.snapshot(), (id,)).await? else { return Ok(()) };
        let hash = secrets::hash(token);
        if validation.tokens.last() != Some(&hash) {
            return Ok(());
        }
        let mut without = Validation { send_attempt: previous, ..validation.clone() };
        without.tokens.pop();
        let mut batch = Batch::new();
        batch.slots(0);
        validations::replace(&mut batch, id, &validation, &without);
        self.store.commit(batch).await.map(drop)
    }
}

impl Sending {
    /// Checks that people may have addresses of this domain.
    fn check_domain(&self, address: &EmailAddress) -> Result<()> {
        let is_allowed = self.allowed_domains.is_empty() || self.allowed_domains.iter().any(|d| d == address.domain());
        match is_allowed {
            true => Ok(()),
            false => Err(Kind::AddressDenied.with("This server does not take e-mail addresses of this domain.")),
        }
    }

    /// Where somebody is led afterwards: nowhere, unless the operator trusts the host. Otherwise a mail of this server could
    /// be made to lead to a page that only looks as if it belonged to it.
    fn next_link(&self, link: Option<&str>) -> Result<Option<String>> {
        let Some(link) = link.filter(|link| !link.is_empty()) else { return Ok(None) };
        let is_web = |url: &Url| ["http", "https"].contains(&url.scheme()) && url.username().is_empty();
        let url = Url::parse(link).ok().filter(|url| link.len() <= MAXIMUM_LINK && is_web(url));
        let url = url.ok_or_else(|| Error::invalid("next_link must be a web address of at most 2048 bytes."))?;
        let is_trusted =
            url.host_str().is_some_and(|host| self.next_link_domains.iter().any(|trusted| trusted == host));
        Ok(is_trusted.then(|| url.into()))
    }
}

/// The validation that a first request leads to.
fn begun(wish: &Wish, token: [u8; 32], ends_at: u64) -> Validation {
    Validation {
        purpose: wish.purpose,
        address: wish.address.as_str().to_owned(),
        request: wish.request,
        send_attempt: Some(wish.send_attempt),
        tokens: vec![token],
        failures: 0,
        validated_at: None,
        ends_at,
        next_link: wish.next_link.clone(),
    }
}

/// A validation for which another mail goes out. The mails before it go on working, since nobody knows which one is read.
fn mailed_again(before: &Validation, wish: &Wish, token: [u8; 32], ends_at: u64) -> Validation {
    let mut tokens = before.tokens.clone();
    tokens.push(token);
    let surplus = tokens.len().saturating_sub(MAXIMUM_TOKENS);
    tokens.drain(..surplus);
    let (send_attempt, next_link) = (Some(wish.send_attempt), wish.next_link.clone());
    Validation { tokens, send_attempt, ends_at, next_link, ..before.clone() }
}

/// Adds to `batch` that some validations go that have been over for long.
async fn sweep(batch: &mut Batch, snapshot: &Snapshot, now: u64) -> Result<()> {
    let old = KeyRange::before((now.saturating_sub(REMEMBERED),));
    for ((ends_at, id), ()) in VALIDATION_ENDS.scan(snapshot, old, Direction::Forward, SWEPT_AT_ONCE).await? {
        VALIDATION_ENDS.delete(batch, (ends_at, &id));
        let Some(validation) = VALIDATIONS.get(snapshot, (&id,)).await? else { continue };
        VALIDATIONS.delete(batch, (&id,));
        // The same request may have led to another validation since.
        if VALIDATION_REQUESTS.get(snapshot, (validation.request,)).await?.as_ref() == Some(&id) {
            VALIDATION_REQUESTS.delete(batch, (validation.request,));
        }
    }
    Ok(())
}

/// The mail that a request leads to, which depends on whether an account has the address.
fn letter(purpose: Purpose, has_account: bool, confirmation: Confirmation<'_>) -> Letter<'_> {
    match (purpose, has_account) {
        (Purpose::Register, false) => Letter::ConfirmRegistration(confirmation),
        (Purpose::Add, false) => Letter::ConfirmAddress(confirmation),
        (Purpose::ResetPassword, true) => Letter::ResetPassword(confirmation),
        (Purpose::Register | Purpose::Add, true) => Letter::AddressInUse,
        (Purpose::ResetPassword, false) => Letter::NoAccount,
    }
}

/// Checks a client's secret by the grammar of the specification, which is narrower than ruma's.
fn check_secret(secret: &str) -> Result<()> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".=_-".contains(&byte);
    match (1..=MAXIMUM_SECRET).contains(&secret.len()) && secret.bytes().all(is_allowed) {
        true => Ok(()),
        false => Err(Error::invalid("A client_secret is 1 to 255 letters, digits and the characters . = _ -")),
    }
}

fn in_groups(token: &str) -> String {
    let groups = token.as_bytes().chunks(TOKEN_GROUP).map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("-")
}

fn no_mail(purpose: Purpose) -> Error {
    let kind = match purpose {
        Purpose::Add => Kind::MediumNotSupported,
        Purpose::Register | Purpose::ResetPassword => Kind::AddressDenied,
    };
    kind.with("This server sends no e-mail.")
}
