//! What an operator's command and the server say to each other: one JSON object a line, each way.

use std::time::Duration;

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::users::{ReportKind, Role, Standing};

/// What an operator asks for. It may hold a password, so it cannot be shown.
#[derive(Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum AdminRequest {
    /// Make an account.
    CreateUser {
        /// The localpart.
        name: String,
        /// The password to log in with.
        password: String,
        /// What the account may do.
        role: Role,
    },
    /// List all accounts.
    ListUsers,
    /// Give an account a new password and end its sessions.
    SetPassword {
        /// The localpart or the whole user id.
        name: String,
        /// The new password.
        password: String,
    },
    /// Say what an account may do.
    SetRole {
        /// The localpart or the whole user id.
        name: String,
        /// What it may do from now on.
        role: Role,
    },
    /// Close an account for good.
    Deactivate {
        /// The localpart or the whole user id.
        name: String,
    },
    /// Make a registration token.
    CreateToken {
        /// The token; `None` has the server choose.
        token: Option<String>,
        /// How many accounts it can make; `None` is any number.
        uses_allowed: Option<u32>,
        /// How long it works; `None` is until it is revoked.
        expires_in: Option<Duration>,
        /// What the accounts it makes may do.
        role: Role,
    },
    /// List all registration tokens.
    ListTokens,
    /// Make a registration token useless.
    RevokeToken {
        /// The token.
        token: String,
    },
    /// Tell a user something in the server's own name.
    SendNotice {
        /// The localpart or the whole user id.
        name: String,
        /// What to say.
        text: String,
    },
    /// Tell everybody with an account something in the server's own name.
    SendNoticeToEveryone {
        /// What to say.
        text: String,
    },
    /// List the application services.
    ListAppservices,
    /// Read the registrations of application services again.
    ReloadAppservices,
    /// List what users reported and nobody has resolved.
    ListReports,
    /// Show one report with all that belongs to it.
    ShowReport {
        /// About what it is.
        kind: ReportKind,
        /// Its number.
        number: u64,
    },
    /// Remove a report that has been dealt with.
    ResolveReport {
        /// About what it is.
        kind: ReportKind,
        /// Its number.
        number: u64,
    },
}

/// The answer to an [`AdminRequest`] that was carried out; a sentence for the operator otherwise.
pub type AdminAnswer = Result<AdminResponse, String>;

/// What came of an [`AdminRequest`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminResponse {
    /// The user whom the command was about.
    User(OwnedUserId),
    /// All accounts.
    Users(Vec<UserSummary>),
    /// The registration token that the command was about.
    Token(String),
    /// All registration tokens.
    Tokens(Vec<TokenSummary>),
    /// How many users were told something.
    Told(usize),
    /// All application services, and those that are gone and of which something is kept, with how much longer it is.
    Appservices(Vec<AppserviceSummary>, Vec<(String, Duration)>),
    /// How many registrations there are now.
    Reloaded(usize),
    /// The open reports.
    Reports(Vec<ReportSummary>),
    /// The report that the command was about, and the reported event, if it is about one.
    Report(ReportSummary, Option<String>),
}

/// An application service as the operator sees it.
#[derive(Debug, Serialize, Deserialize)]
pub struct AppserviceSummary {
    /// What it is called.
    pub id: String,
    /// Its own user.
    pub sender: OwnedUserId,
    /// Where it is called, if it is.
    pub url: Option<String>,
    /// How many changes it has yet to be told of, or at least passed by; `None` if it is told nothing.
    pub behind: Option<u64>,
    /// For how long it could not be told, and why.
    pub failing: Option<(Duration, String)>,
}

/// An account as the operator sees it.
#[derive(Debug, Serialize, Deserialize)]
pub struct UserSummary {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// What it may do.
    pub role: Role,
    /// Whether it can be used.
    pub standing: Standing,
    /// How long ago it was made.
    pub age: Duration,
}

/// A registration token as the operator sees it.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenSummary {
    /// The token.
    pub token: String,
    /// How many accounts it can make in all; `None` is any number.
    pub uses_allowed: Option<u32>,
    /// How many accounts it made.
    pub uses: u32,
    /// How long it still works, zero once it has expired; `None` is until it is revoked.
    pub expires_in: Option<Duration>,
    /// What the accounts it makes may do.
    pub role: Role,
}

/// A report as the operator sees it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReportSummary {
    /// About what it is.
    pub kind: ReportKind,
    /// Its number among those of its kind.
    pub number: u64,
    /// How long ago it was made.
    pub age: Duration,
    /// Who made it.
    pub reporter: OwnedUserId,
    /// The user, the room, or the event with its sender and its room.
    pub about: String,
    /// Why.
    pub reason: Option<String>,
}
