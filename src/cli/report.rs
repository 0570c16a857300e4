//! `commonroom report`: what users reported to the administrators.

use clap::{Subcommand, ValueEnum};

use super::admin_client::carry_out;
use crate::{config::Config, error::Result, server::admin::AdminRequest, users::ReportKind};

/// What to do with reports.
#[derive(Subcommand)]
pub(super) enum ReportCommand {
    /// List the reports that nobody has resolved, the newest first.
    List,
    /// Show a report and, if it is about one, the event as it was then.
    Show {
        /// About what it is.
        kind: Kind,
        /// Its number.
        number: u64,
    },
    /// Remove a report that has been dealt with.
    Resolve {
        /// About what it is.
        kind: Kind,
        /// Its number.
        number: u64,
    },
}

/// About what a report is.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    /// Something that was said or done in a room.
    Event,
    /// A room.
    Room,
    /// A user.
    User,
}

impl From<Kind> for ReportKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Event => Self::Event,
            Kind::Room => Self::Room,
            Kind::User => Self::User,
        }
    }
}

/// Runs `command` and prints what came of it.
pub(super) fn run(config: Config, command: ReportCommand) -> Result<()> {
    match command {
        ReportCommand::List => carry_out(config, AdminRequest::ListReports, ""),
        ReportCommand::Show { kind, number } => {
            carry_out(config, AdminRequest::ShowReport { kind: kind.into(), number }, "")
        }
        ReportCommand::Resolve { kind, number } => {
            carry_out(config, AdminRequest::ResolveReport { kind: kind.into(), number }, "It is resolved.")
        }
    }
}
