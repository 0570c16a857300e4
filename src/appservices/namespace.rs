//! A pattern of user ids, aliases or room ids that an application service is about.

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::error::{Error, Result};

/// How large a compiled pattern may be, in bytes, so that one in a file cannot fill the memory.
const MAXIMUM_SIZE: usize = 1 << 20;

/// A pattern as it stands in a registration.
#[derive(Deserialize)]
pub(super) struct NamespaceFile {
    #[serde(default)]
    exclusive: bool,
    regex: String,
}

/// A pattern that identifiers can be held against.
#[derive(Debug)]
pub(super) struct Namespace {
    /// Whether nobody else may have what matches.
    pub exclusive: bool,
    regex: Regex,
}

impl Namespace {
    /// Compiles a pattern of the list called `name`.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if it is no regular expression, or one that would be too large.
    pub fn new(file: NamespaceFile, name: &str) -> Result<Self> {
        // Bridges count on it that a pattern holds from the first character on and may leave the end open.
        let pattern = format!("^(?:{})", file.regex);
        let regex = RegexBuilder::new(&pattern).size_limit(MAXIMUM_SIZE).build().map_err(|cause| {
            // The library's text draws the pattern over several lines; the last one says what is wrong.
            let cause = cause.to_string();
            let cause = cause.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Error::invalid(format!(
                "namespaces.{name}: \"{}\" is no regular expression that can be used: {cause}. Python's look-around, \
                 back-references and \\Z are not to be had; list what is meant in several patterns.",
                file.regex
            ))
        })?;
        Ok(Self { exclusive: file.exclusive, regex })
    }

    /// Whether an identifier matches.
    pub fn contains(&self, id: &str) -> bool {
        self.regex.is_match(id)
    }
}
