//! `commonroom token`: the registration tokens with which people make themselves accounts.

use std::time::Duration;

use clap::Subcommand;

use super::admin_client::carry_out;
use crate::{
    config::{self, Config},
    error::Result,
    server::admin::AdminRequest,
    users::Role,
};

/// What to do with registration tokens.
#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it.
    Create {
        /// How many accounts it can make; any number if left out.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        uses: Option<u32>,
        /// How long it works, such as "7 d"; until it is revoked if left out.
        #[arg(long, value_name = "TIME", value_parser = config::parse_duration)]
        expires_in: Option<Duration>,
        /// The accounts it makes are administrators.
        #[arg(long)]
        admin: bool,
        /// The token itself; made up if left out.
        #[arg(long, value_name = "TEXT")]
        token: Option<String>,
    },
    /// List all tokens, those that no longer work too.
    List,
    /// Make a token useless.
    Revoke {
        /// The token.
        token: String,
    },
}

/// Runs `command` and prints what came of it.
pub(super) fn run(config: Config, command: TokenCommand) -> Result<()> {
    match command {
        TokenCommand::Create { uses, expires_in, admin, token } => {
            let role = if admin { Role::Administrator } else { Role::User };
            // Nothing but the token is printed, so that scripts can use it.
            carry_out(config, AdminRequest::CreateToken { token, uses_allowed: uses, expires_in, role }, "")
        }
        TokenCommand::List => carry_out(config, AdminRequest::ListTokens, ""),
        TokenCommand::Revoke { token } => carry_out(config, AdminRequest::RevokeToken { token }, "is useless now."),
    }
}
