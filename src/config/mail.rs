//! `[mail]`: the mail server through which this server sends e-mail; without the section it sends none.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer};

use super::{Registration, RegistrationEmail, secret::Secret, sections::base_url, units};

/// `[mail]`: the mail server and what is sent through it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The name or address of the mail server (SMTP).
    pub host: String,
    /// Its port; `None` is the usual one for `security`.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub security: MailSecurity,
    /// Whom to log in as there; `None` sends without logging in.
    #[serde(default)]
    pub user: Option<String>,
    /// The password of that user.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Whom the mails come from: an address, or a name with an address in angle brackets.
    pub from: String,
    /// The URL that links in mails start with, without a slash at its end; `None` is where clients reach the server.
    #[serde(default, deserialize_with = "base_url")]
    pub public_url: Option<String>,
    /// How long the link or the code of a mail works.
    #[serde(default = "one_hour", deserialize_with = "units::duration")]
    pub link_lifetime: Duration,
    /// The only domains whose addresses people may add or register with; empty allows every one.
    #[serde(default, deserialize_with = "domains")]
    pub allowed_domains: Vec<String>,
    /// The hosts of the web clients that a person may be led to after an address was confirmed.
    #[serde(default, deserialize_with = "domains")]
    pub next_link_domains: Vec<String>,
    /// A folder with texts of mails in place of the built-in ones.
    #[serde(default)]
    pub templates: Option<PathBuf>,
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// TLS after a greeting in the clear; without it nothing is sent.
    StartTls,
    /// Nothing protects it.
    None,
}

impl Mail {
    /// The port of the mail server.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            MailSecurity::Tls => 465,
            MailSecurity::StartTls => 587,
            MailSecurity::None => 25,
        })
    }

    /// Has relative paths start at `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.templates.iter_mut().for_each(|path| *path = folder.join(&*path));
    }

    /// What does not fit together, with the key that it begins with.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let is_here = self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        if self.host.trim().is_empty() {
            return Some("host is empty: set it to the name of the mail server");
        }
        if self.user.is_some() != self.password.is_some() {
            return Some("user and mail.password belong together: set both, or neither to send without logging in");
        }
        if self.user.is_some() && self.security == MailSecurity::None && !is_here {
            return Some("security = \"none\" would send the password in the clear: use \"tls\" or \"starttls\"");
        }
        None
    }
}

/// What `registration` lacks where there is no `[mail]`.
pub(super) fn missing_for(registration: &Registration) -> Option<&'static str> {
    let needs_mail = registration.email != RegistrationEmail::Off;
    needs_mail.then_some("registration.email needs a mail server: add a [mail] section, or set it to \"off\"")
}

fn one_hour() -> Duration {
    Duration::from_secs(3600)
}

/// Domains in small letters, since they are compared without regard to case.
fn domains<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let domains = Vec::<String>::deserialize(deserializer)?;
    Ok(domains.into_iter().map(|domain| domain.to_lowercase()).collect())
}
