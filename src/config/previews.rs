//! `[previews]`: what people are shown of the pages that links lead to.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// `[previews]`: what people are shown of the pages that links lead to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Previews {
    /// Whether the server looks at pages at all.
    pub enabled: bool,
    /// How long what was found is kept before it is looked at anew.
    #[serde(deserialize_with = "units::duration")]
    pub keep_for: Duration,
    /// The largest page or picture that is fetched, in bytes.
    #[serde(deserialize_with = "units::bytes")]
    pub max_size: u64,
    /// The languages that pages are asked for, best first, as in the header `Accept-Language`.
    pub languages: String,
}

impl Default for Previews {
    fn default() -> Self {
        let keep_for = Duration::from_secs(24 * 3600);
        Self { enabled: true, keep_for, max_size: 10 << 20, languages: "en, *;q=0.5".to_owned() }
    }
}
