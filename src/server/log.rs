//! The log on standard output, for people or for machines.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::{
    config::{Log, LogFormat},
    error::{Error, Result},
};

/// What the level does not reach unless it names it: a library that has several lines of information about every event.
const QUIET: &str = "ruma_state_res=warn";

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
    EnvFilter::try_new(format!("{QUIET},{}", options.level)).map_err(|e| {
        Error::invalid(format!(
            "log.level: \"{}\" is neither a level (error, warn, info, debug, trace) nor a list of directives: {e}",
            options.level
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(level: &str) -> Result<String> {
        filter(&Log { level: level.to_owned(), ..Log::default() }).map(|filter| filter.to_string())
    }

    #[test]
    fn a_level_leaves_the_talkative_library_out_and_naming_it_brings_it_back() {
        let usual = filtered("info").unwrap();
        assert!(usual.contains("ruma_state_res=warn") && usual.contains("info"), "{usual}");
        let named = filtered("info,ruma_state_res=debug").unwrap();
        assert!(named.contains("ruma_state_res=debug") && !named.contains("ruma_state_res=warn"), "{named}");
    }

    #[test]
    fn what_is_no_level_is_refused() {
        assert!(filtered("info,=nonsense=").is_err());
    }
}
