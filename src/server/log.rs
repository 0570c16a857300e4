//! The log on standard output, for people or for machines.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::{
    config::{Log, LogFormat},
    error::{Error, Result},
};

/// Makes the process log as `options` say.
///
/// # Errors
///
/// As for [`filter`], and when the process logs already.
pub(super) fn install(options: &Log) -> Result<()> {
    let log = tracing_subscriber::fmt().with_env_filter(filter(options)?).with_writer(io::stdout);
    match options.format {
        LogFormat::Human => log.with_ansi(io::stdout().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).try_init(),
    }
    .map_err(Error::internal)
}

/// What is logged and what is not.
///
/// # Errors
///
/// Names the part of `log.level` that cannot be understood.
pub(super) fn filter(options: &Log) -> Result<EnvFilter> {
    EnvFilter::try_new(&options.level).map_err(|e| {
        Error::invalid(format!(
            "log.level: \"{}\" is neither a level (error, warn, info, debug, trace) nor a list of directives: {e}",
            options.level
        ))
    })
}
