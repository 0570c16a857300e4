//! E-mail to people, through the mail server that the operator names.
//!
//! The mail server is the operator's own choice, so that it may be anywhere, unlike what [`super::Outgoing`] calls. Nobody
//! but the operator decides what a mail says; what varies in it are a link and a code of ours.

mod texts;

#[cfg(test)]
mod tests;

use std::{fs, sync::Arc, time::Duration};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{Header, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};
use ruma::ServerName;
use tokio::time::timeout;
use tracing::{debug, info, warn};

pub use self::texts::escaped;
use self::texts::{Texts, Values};
use crate::{
    config::{self, MailSecurity},
    error::{Error, Kind, Result},
};

/// How long the mail server may take in all. A client waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A cheap-clone way to send mails.
#[derive(Clone)]
pub struct Mailer {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    from: Mailbox,
    server_name: String,
    /// The host of the server's name, for ids of messages.
    host: String,
    texts: Texts,
}

enum Transport {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    /// Keeps the mails for a test to read.
    #[cfg(test)]
    Outbox(std::sync::Mutex<Vec<Sent>>),
}

/// A mail that a test reads.
#[cfg(test)]
#[derive(Clone, Debug)]
pub struct Sent {
    /// To whom.
    pub to: String,
    /// The whole message as it would go out.
    pub message: String,
    /// The code in it, if it has one.
    pub code: Option<String>,
}

/// What a mail is about.
#[derive(Clone, Copy, Debug)]
pub enum Letter<'a> {
    /// Somebody wants to register with the address.
    ConfirmRegistration(Confirmation<'a>),
    /// Somebody wants to add the address to their account.
    ConfirmAddress(Confirmation<'a>),
    /// Somebody wants a new password for the account that has the address.
    ResetPassword(Confirmation<'a>),
    /// Somebody wanted to register with the address or to add it, and an account has it already.
    AddressInUse,
    /// Somebody wanted a new password, and no account has the address.
    NoAccount,
}

/// How the reader of a mail says yes.
#[derive(Clone, Copy, Debug)]
pub struct Confirmation<'a> {
    /// The link to follow.
    pub link: &'a str,
    /// The code to type, where an app asks for one.
    pub code: &'a str,
    /// How long both work.
    pub lifetime: Duration,
}

impl Mailer {
    /// The way through the mail server of `options`, trusting what `outgoing` trusts besides the system's authorities, in
    /// the name of `server_name`.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the sender's address, a text or a certificate cannot be used; says which.
    pub fn new(options: &config::Mail, outgoing: &config::Outgoing, server_name: &ServerName) -> Result<Self> {
        let from = options.from.parse().map_err(|e| {
            let from = &options.from;
            Error::invalid(format!("mail.from: \"{from}\" is not like \"Commonroom <commonroom@example.org>\": {e}"))
        })?;
        let tls = || tls(&options.host, outgoing);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(options.host.as_str())
            .port(options.port())
            .hello_name(ClientId::Domain(server_name.host().to_owned()))
            .timeout(Some(PATIENCE))
            .tls(match options.security {
                MailSecurity::Tls => Tls::Wrapper(tls()?),
                MailSecurity::StartTls => Tls::Required(tls()?),
                MailSecurity::None => Tls::None,
            });
        if let (Some(user), Some(password)) = (&options.user, &options.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        let texts = Texts::load(options.templates.as_deref())?;
        Ok(Self::over(Transport::Smtp(Box::new(builder.build())), from, texts, server_name))
    }

    fn over(transport: Transport, from: Mailbox, texts: Texts, server_name: &ServerName) -> Self {
        let host = server_name.host().to_owned();
        Self { shared: Arc::new(Shared { transport, from, server_name: server_name.to_string(), host, texts }) }
    }

    /// Sends `letter` to the address `to`, and comes back when the mail server has it.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if `to` is no address; `Unknown` if the mail server does not take mails to it; `Internal` if the mail
    /// server cannot be reached, takes too long or refuses us. None of them names the address.
    pub async fn send(&self, to: &str, letter: Letter<'_>) -> Result<()> {
        let to: Address = to.parse().map_err(|_| Error::invalid("This is not an e-mail address."))?;
        let message = self.message(to, letter)?;
        match &self.shared.transport {
            Transport::Smtp(transport) => match timeout(PATIENCE, transport.send(message)).await {
                Ok(Ok(_)) => {
                    info!(about = letter.name(), "a mail was sent");
                    Ok(())
                }
                Ok(Err(cause)) => Err(refusal(&cause)),
                Err(_) => Err(Error::internal("the mail server did not take a mail in time")),
            },
            #[cfg(test)]
            Transport::Outbox(outbox) => {
                let to = message.envelope().to()[0].to_string();
                let code = letter.confirmation().map(|confirmation| confirmation.code.to_owned());
                let message = String::from_utf8(message.formatted()).unwrap();
                outbox.lock().unwrap().push(Sent { to, message, code });
                Ok(())
            }
        }
    }

    fn message(&self, to: Address, letter: Letter<'_>) -> Result<Message> {
        let Shared { from, server_name, host, texts, .. } = &*self.shared;
        let text = texts.of(letter).fill(&Values { server_name, confirmation: letter.confirmation() });
        let id = format!("<{:032x}@{host}>", rand::random::<u128>());
        Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, to))
            .subject(text.subject)
            .message_id(Some(id))
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(text.plain, text.html))
            .map_err(Error::internal)
    }
}

impl<'a> Letter<'a> {
    /// What its texts are called.
    fn name(self) -> &'static str {
        match self {
            Self::ConfirmRegistration(_) => "confirm_registration",
            Self::ConfirmAddress(_) => "confirm_address",
            Self::ResetPassword(_) => "reset_password",
            Self::AddressInUse => "address_in_use",
            Self::NoAccount => "no_account",
        }
    }

    fn confirmation(self) -> Option<Confirmation<'a>> {
        match self {
            Self::ConfirmRegistration(confirmation)
            | Self::ConfirmAddress(confirmation)
            | Self::ResetPassword(confirmation) => Some(confirmation),
            Self::AddressInUse | Self::NoAccount => None,
        }
    }
}

/// Says why a mail did not go out; what the mail server said is shown only to who debugs, because it names the address.
fn refusal(cause: &lettre::transport::smtp::Error) -> Error {
    debug!(%cause, "the mail server's own words");
    match cause.status().map(u16::from) {
        // "No such mailbox here" and its like (RFC 5321, section 4.2.3).
        Some(code @ 550..=553) => {
            warn!(code, "the mail server did not take a mail");
            Kind::Unknown.with("The mail server does not take mails to this address.")
        }
        Some(code) => Error::internal(format!("the mail server refused a mail with code {code}")),
        None => Error::internal(format!("the mail server could not be used: {cause}")),
    }
}

fn tls(host: &str, outgoing: &config::Outgoing) -> Result<TlsParameters> {
    let unusable = |e: lettre::transport::smtp::Error| Error::invalid(format!("mail: TLS cannot be used: {e}"));
    let mut builder = TlsParameters::builder(host.to_owned());
    for file in &outgoing.extra_certificate_authorities {
        let problem = |cause: String| Error::invalid(format!("{}: {cause}", file.display()));
        let pem = fs::read(file).map_err(|e| problem(e.to_string()))?;
        let authority = Certificate::from_pem(&pem).map_err(|e| problem(e.to_string()))?;
        builder = builder.add_root_certificate(authority);
    }
    builder.build().map_err(unusable)
}

/// Tells programs that answer mails not to answer this one (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
impl Mailer {
    /// Keeps what it sends.
    pub fn outbox() -> Self {
        let (from, texts) = ("commonroom@example.org".parse().unwrap(), Texts::load(None).unwrap());
        Self::over(Transport::Outbox(Default::default()), from, texts, ruma::server_name!("example.org"))
    }

    /// What was sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        match &self.shared.transport {
            Transport::Outbox(outbox) => outbox.lock().unwrap().clone(),
            Transport::Smtp(_) => Vec::new(),
        }
    }
}
