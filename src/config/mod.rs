//! The operator's choices: one TOML file, environment overrides and secrets in files of their own, checked as a whole.
//!
//! Plain data and validation: reading those files is the only input, and nothing here acts on a choice.

mod appservices;
mod calls;
mod env;
mod known_keys;
mod limits;
mod listeners;
mod mail;
mod media;
mod oauth;
mod outgoing;
mod previews;
mod search;
mod secret;
mod sections;
mod server_notices;
mod units;
mod web;

#[cfg(test)]
mod tests;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use ruma::OwnedServerName;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

pub use self::{
    appservices::Appservices,
    calls::{Calls, Turn},
    limits::{Limits, Network, Rate},
    listeners::{Endpoint, Listener, Tls},
    mail::{Mail, MailSecurity},
    media::{Media, S3, UnauthenticatedAccess},
    oauth::OAuth,
    outgoing::{Outgoing, StaticName},
    previews::Previews,
    search::{Search, UserDirectory},
    secret::Secret,
    sections::{
        Badge, Durability, HistoryVisibility, Log, LogFormat, Passwords, Presence, Push, Registration,
        RegistrationEmail, RegistrationMode, Rooms, Sessions, Storage, SupportContact, WellKnown,
    },
    server_notices::ServerNotices,
    units::parse_duration,
    web::Web,
};

/// The configuration file that explains every key; it is also the list of the keys there are.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");

/// Everything an operator can choose, with defaults filled in and every value checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The domain that user ids end with; it can never change once rooms exist.
    pub server_name: OwnedServerName,
    /// The folder of the database, the signing key and the admin socket.
    pub data_dir: PathBuf,
    /// Where clients connect; never empty.
    pub listeners: Vec<Listener>,
    /// Who may create an account.
    pub registration: Registration,
    /// What new rooms get when their creator does not say.
    pub rooms: Rooms,
    /// In whose name the server speaks to its users.
    pub server_notices: ServerNotices,
    /// What a password must be and how it is hashed.
    pub passwords: Passwords,
    /// How long tokens of clients that refresh them live.
    pub sessions: Sessions,
    /// Whether clients can log in by the OAuth 2.0 API.
    pub oauth: OAuth,
    /// Who is online.
    pub presence: Presence,
    /// Files and pictures.
    pub media: Media,
    /// How phones are told of what happens.
    pub push: Push,
    /// How much one client may ask for.
    pub limits: Limits,
    /// Where the registrations of bridges and bots lie.
    pub appservices: Appservices,
    /// What people are shown of the pages that links lead to.
    pub previews: Previews,
    /// Finding messages.
    pub search: Search,
    /// Finding people.
    pub user_directory: UserDirectory,
    /// How this server reaches others.
    pub outgoing: Outgoing,
    /// Through whom this server sends e-mail; `None` sends none.
    pub mail: Option<Mail>,
    /// What relays calls between two people.
    pub turn: Turn,
    /// What calls of many people go through.
    pub calls: Calls,
    /// How the database writes and caches.
    pub storage: Storage,
    /// What the log looks like.
    pub log: Log,
    /// What the server says about itself under `/.well-known/matrix`.
    pub well_known: WellKnown,
    /// The web client that the server hands out.
    pub web: Web,
}

impl Config {
    /// Reads the file at `path` and overrides it from the process's environment.
    ///
    /// # Errors
    ///
    /// Lists every problem found, each with the key and what to do about it.
    pub fn load(path: &Path) -> Result<Self, Invalid> {
        let text = fs::read_to_string(path)
            .map_err(|e| Invalid::one(format!("cannot read it: {e}; `commonroom init` writes a first one")))
            .map_err(|e| e.in_file(path))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::read(&text, folder, std::env::vars()).map_err(|e| e.in_file(path))
    }

    /// Reads the text of a file that lies in `folder`, where relative paths start, with `variables` as the environment.
    ///
    /// # Errors
    ///
    /// Lists every problem found, each with the key and what to do about it.
    pub fn read(
        text: &str,
        folder: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Invalid> {
        let mut table: Table = text.parse().map_err(|e: toml::de::Error| Invalid::one(e.to_string()))?;
        let mut problems = known_keys::remove_unknown(&mut table);
        problems.extend(env::apply(&mut table, variables));
        problems.extend(secret::read_files(&mut table, folder));

        let mut reader = Reader { table, problems };
        let server_name = reader.server_name();
        let data_dir = reader.data_dir();
        let listeners = reader.listeners(folder);
        let registration = reader.section("registration").unwrap_or_default();
        let rooms = reader.section("rooms").unwrap_or_default();
        let server_notices = reader.section("server_notices").unwrap_or_default();
        let passwords = reader.passwords();
        let sessions = reader.section("sessions").unwrap_or_default();
        let oauth = reader.section("oauth").unwrap_or_default();
        let presence = reader.section("presence").unwrap_or_default();
        let media = reader.media();
        let push = reader.section("push").unwrap_or_default();
        let limits = reader.section("limits").unwrap_or_default();
        let previews = reader.section("previews").unwrap_or_default();
        let search = reader.section("search").unwrap_or_default();
        let user_directory = reader.section("user_directory").unwrap_or_default();
        let outgoing = reader.outgoing(folder);
        let mut appservices: Appservices = reader.section("appservices").unwrap_or_default();
        appservices.resolve(folder);
        let mail = reader.mail(folder, &registration);
        let turn = reader.turn();
        let calls = reader.section("calls").unwrap_or_default();
        let storage = reader.section("storage").unwrap_or_default();
        let log = reader.section("log").unwrap_or_default();
        let well_known = reader.section("well_known").unwrap_or_default();
        let mut web: Web = reader.section("web").unwrap_or_default();
        web.resolve(folder);

        match (server_name, data_dir, reader.problems) {
            (Some(server_name), Some(data_dir), problems) if problems.is_empty() => Ok(Self {
                server_name,
                // Collecting the components takes out a "." that would stand in every path that is shown.
                data_dir: folder.join(data_dir).components().collect(),
                listeners,
                registration,
                rooms,
                server_notices,
                passwords,
                sessions,
                oauth,
                presence,
                media,
                push,
                limits,
                appservices,
                previews,
                search,
                user_directory,
                outgoing,
                mail,
                turn,
                calls,
                storage,
                log,
                well_known,
                web,
            }),
            (_, _, problems) => Err(Invalid { problems, file: None }),
        }
    }

    /// The folder of the database.
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("database")
    }

    /// Where the search index lies.
    pub fn search_folder(&self) -> PathBuf {
        self.data_dir.join("search")
    }

    /// The folder of uploaded files, where they are not kept elsewhere.
    pub fn media_folder(&self) -> PathBuf {
        self.data_dir.join("media")
    }

    /// The file of the key that the server signs events with.
    pub fn signing_key_file(&self) -> PathBuf {
        self.data_dir.join("signing.key")
    }

    /// The Unix socket on which the running server takes the commands of its operator.
    pub fn admin_socket(&self) -> PathBuf {
        self.data_dir.join("admin.sock")
    }
}

/// Takes the sections out of the file's table one by one and gathers what is wrong with them.
struct Reader {
    table: Table,
    problems: Vec<String>,
}

impl Reader {
    /// The section called `name`; `None` if it is absent or, with the problem noted, unusable.
    fn section<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.table.remove(name)?;
        value.try_into().map_err(|e| self.problems.push(in_section(name, &e))).ok()
    }

    fn server_name(&mut self) -> Option<OwnedServerName> {
        let advice = "set it to the domain that user ids end with, such as \"example.org\"";
        match self.table.remove("server_name") {
            None => self.problems.push(format!("server_name is missing: {advice}")),
            Some(Value::String(name)) => match OwnedServerName::try_from(name.as_str()) {
                Ok(name) => return Some(name),
                Err(_) => self.problems.push(format!("server_name: \"{name}\" is not a server name: {advice}")),
            },
            Some(_) => self.problems.push(format!("server_name is not a string: {advice}")),
        }
        None
    }

    fn data_dir(&mut self) -> Option<PathBuf> {
        let advice = "set it to the folder for the database and the keys, such as \"/var/lib/commonroom\"";
        match self.table.remove("data_dir") {
            None => self.problems.push(format!("data_dir is missing: {advice}")),
            Some(Value::String(path)) if !path.is_empty() => return Some(path.into()),
            Some(_) => self.problems.push(format!("data_dir is not the name of a folder: {advice}")),
        }
        None
    }

    fn listeners(&mut self, folder: &Path) -> Vec<Listener> {
        let mut listeners = self.section("listeners").unwrap_or_else(|| vec![Listener::default()]);
        if listeners.is_empty() {
            self.problems.push("listeners is empty: leave it out to listen on 127.0.0.1:8008".to_owned());
        }
        listeners.iter_mut().for_each(|listener| listener.resolve(folder));
        listeners
    }

    fn outgoing(&mut self, folder: &Path) -> Outgoing {
        let mut outgoing: Outgoing = self.section("outgoing").unwrap_or_default();
        outgoing.resolve(folder);
        outgoing
    }

    fn mail(&mut self, folder: &Path, registration: &Registration) -> Option<Mail> {
        let is_there = self.table.contains_key("mail");
        let mut mail: Option<Mail> = self.section("mail");
        if let Some(mail) = &mut mail {
            mail.resolve(folder);
            self.problems.extend(mail.problem().map(|problem| format!("mail.{problem}")));
        }
        // What is wrong with the section has been said already.
        if !is_there {
            self.problems.extend(mail::missing_for(registration).map(str::to_owned));
        }
        mail
    }

    fn turn(&mut self) -> Turn {
        let turn: Turn = self.section("turn").unwrap_or_default();
        self.problems.extend(turn.problem().map(|problem| format!("turn.{problem}")));
        turn
    }

    fn passwords(&mut self) -> Passwords {
        let passwords: Passwords = self.section("passwords").unwrap_or_default();
        self.problems.extend(passwords.problem().map(|problem| format!("passwords.{problem}")));
        passwords
    }

    fn media(&mut self) -> Media {
        let media: Media = self.section("media").unwrap_or_default();
        self.problems.extend(media.problem().map(|problem| format!("media.{problem}")));
        media
    }
}

/// Words a section's error with the full path of its key in front.
fn in_section(name: &str, error: &toml::de::Error) -> String {
    let text = error.to_string();
    // The library names the key on a last line of its own.
    match text.trim_end().rsplit_once("\nin `") {
        Some((message, key)) => format!("{name}.{}: {message}", key.trim_end_matches('`')),
        None => format!("{name}: {}", text.trim_end()),
    }
}

/// Everything that is wrong with a configuration, so that it can be mended in one go.
#[derive(Clone, Debug, PartialEq)]
pub struct Invalid {
    /// One sentence each, with the key and what to do about it.
    pub problems: Vec<String>,
    file: Option<PathBuf>,
}

impl Invalid {
    fn one(problem: String) -> Self {
        Self { problems: vec![problem], file: None }
    }

    fn in_file(self, path: &Path) -> Self {
        Self { file: Some(path.to_owned()), ..self }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "the configuration {} cannot be used:", file.display())?,
            None => write!(f, "the configuration cannot be used:")?,
        }
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {}", problem.trim_end().replace('\n', "\n    ")))
    }
}

impl std::error::Error for Invalid {}
