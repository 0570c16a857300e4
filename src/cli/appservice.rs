//! `commonroom appservice`: the bridges and bots that are registered.

use clap::Subcommand;

use super::admin_client::carry_out;
use crate::{config::Config, error::Result, server::admin::AdminRequest};

/// What to do about application services.
#[derive(Subcommand)]
pub(super) enum AppserviceCommand {
    /// List all services, how far each is behind, and which cannot be reached.
    List,
    /// Read the registrations again.
    Reload,
}

/// Runs `command` and prints what came of it.
pub(super) fn run(config: Config, command: AppserviceCommand) -> Result<()> {
    match command {
        AppserviceCommand::List => carry_out(config, AdminRequest::ListAppservices, ""),
        AppserviceCommand::Reload => carry_out(config, AdminRequest::ReloadAppservices, ""),
    }
}
