//! `commonroom user`: making, listing and changing accounts.

use clap::Subcommand;

use super::{admin_client::carry_out, password::PasswordSource};
use crate::{config::Config, error::Result, server::admin::AdminRequest, users::Role};

/// What to do with accounts.
#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Make an account; asks for its password.
    Create {
        /// The part of the user id before the colon.
        name: String,
        /// Make the user an administrator.
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// List all accounts.
    List,
    /// Set a new password and log the user out everywhere; asks for the password.
    SetPassword {
        /// The user id, or its part before the colon.
        name: String,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Make a user an administrator.
    Promote {
        /// The user id, or its part before the colon.
        name: String,
    },
    /// Make an administrator a plain user.
    Demote {
        /// The user id, or its part before the colon.
        name: String,
    },
    /// Close an account for good: log the user out everywhere and take them out of all rooms.
    Deactivate {
        /// The user id, or its part before the colon.
        name: String,
    },
}

/// Runs `command` and prints what came of it.
pub(super) fn run(config: Config, command: UserCommand) -> Result<()> {
    match command {
        UserCommand::Create { name, admin, password } => {
            let password = password.read()?;
            let role = if admin { Role::Administrator } else { Role::User };
            let request = AdminRequest::CreateUser { name, password: password.reveal().to_owned(), role };
            carry_out(config, request, "has an account now.")?;
            password.print_if_generated();
            Ok(())
        }
        UserCommand::List => carry_out(config, AdminRequest::ListUsers, ""),
        UserCommand::SetPassword { name, password } => {
            let password = password.read()?;
            let request = AdminRequest::SetPassword { name, password: password.reveal().to_owned() };
            carry_out(config, request, "has a new password and is logged out everywhere.")?;
            password.print_if_generated();
            Ok(())
        }
        UserCommand::Promote { name } => {
            carry_out(config, AdminRequest::SetRole { name, role: Role::Administrator }, "is an administrator now.")
        }
        UserCommand::Demote { name } => {
            carry_out(config, AdminRequest::SetRole { name, role: Role::User }, "is a plain user now.")
        }
        UserCommand::Deactivate { name } => carry_out(config, AdminRequest::Deactivate { name }, "is deactivated."),
    }
}
