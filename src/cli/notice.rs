//! `commonroom notice`: what the server itself tells its users.

use clap::Subcommand;

use super::admin_client::carry_out;
use crate::{config::Config, error::Result, server::admin::AdminRequest};

/// What to do with server notices.
#[derive(Subcommand)]
pub(super) enum NoticeCommand {
    /// Tell a user, or everyone, something: the server says it in a room of its own with each of them.
    #[command(allow_missing_positional = true)]
    Send {
        /// Tell everybody with an account.
        #[arg(long)]
        everyone: bool,
        /// The user id, or its part before the colon.
        #[arg(required_unless_present = "everyone", conflicts_with = "everyone")]
        name: Option<String>,
        /// What to say.
        #[arg(required = true)]
        text: String,
    },
}

/// Runs `command` and prints what came of it.
pub(super) fn run(config: Config, command: NoticeCommand) -> Result<()> {
    let NoticeCommand::Send { everyone: _, name, text } = command;
    let request = match name {
        Some(name) => AdminRequest::SendNotice { name, text },
        None => AdminRequest::SendNoticeToEveryone { text },
    };
    carry_out(config, request, "was told.")
}
