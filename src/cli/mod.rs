//! The commands of the `commonroom` binary.

mod admin_client;
mod appservice;
mod check_config;
mod display;
mod init;
mod notice;
mod password;
mod report;
mod token;
mod user;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    config::Config,
    error::{Error, Result},
    server,
};

/// Runs the command that the process's arguments name; failures are one message on standard error.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match execute(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("commonroom: {e}");
            ExitCode::FAILURE
        }
    }
}

/// A Matrix homeserver for a team: one binary, one data folder, one config file.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a first configuration and the server's keys.
    Init(init::Options),
    /// Serve until SIGTERM or SIGINT.
    Serve,
    /// Say whether the configuration can be used, and what is wrong with it if not.
    CheckConfig,
    /// Make, list and change accounts.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Make, list and revoke registration tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Tell users something in the server's own name.
    #[command(subcommand)]
    Notice(notice::NoticeCommand),
    /// List the bridges and bots that are registered, or read their registrations again.
    #[command(subcommand)]
    Appservice(appservice::AppserviceCommand),
    /// List, show and resolve what users reported.
    #[command(subcommand)]
    Report(report::ReportCommand),
}

fn execute(Arguments { config, command }: Arguments) -> Result<()> {
    match command {
        Command::Init(options) => init::run(&config, &options),
        Command::Serve => server::run(load(&config)?),
        Command::CheckConfig => check_config::run(&config),
        Command::User(command) => user::run(load(&config)?, command),
        Command::Token(command) => token::run(load(&config)?, command),
        Command::Notice(command) => notice::run(load(&config)?, command),
        Command::Appservice(command) => appservice::run(load(&config)?, command),
        Command::Report(command) => report::run(load(&config)?, command),
    }
}

/// Reads the configuration for a command that needs a usable one.
fn load(path: &std::path::Path) -> Result<Config> {
    Config::load(path).map_err(|e| Error::invalid(e.to_string()))
}
