//! Values that must not be shown, and the files they may be kept in.

use std::{fmt, fs, path::Path};

use serde::{Deserialize, Deserializer, de::Error as _};
use toml::{Table, Value};

use super::known_keys;

/// Text that neither the log nor an error message shows.
#[derive(Clone, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(D::Error::custom("a secret cannot be empty: leave the key out to go without"));
        }
        Ok(Self(text))
    }
}

const SUFFIX: &str = "_file";

/// Replaces every `<key>_file` of a known `<key>` by that key with what the file holds; returns what is wrong.
pub(super) fn read_files(table: &mut Table, folder: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for (section, value) in table.iter_mut() {
        let Value::Table(section_table) = value else { continue };
        let is_file = |key: &str| {
            let secret = key.strip_suffix(SUFFIX)?;
            known_keys::example_value(&[section.clone(), secret.to_owned()]).map(|_| secret.to_owned())
        };
        let found: Vec<_> = section_table.keys().filter_map(|key| Some((key.clone(), is_file(key)?))).collect();
        for (file_key, key) in found {
            let path = section_table.remove(&file_key);
            if section_table.contains_key(&key) {
                problems.push(format!("{section}.{key} and {section}.{file_key} are both set: keep one of them"));
                continue;
            }
            match read(path.as_ref().and_then(Value::as_str), folder) {
                Ok(text) => drop(section_table.insert(key, Value::String(text))),
                Err(problem) => problems.push(format!("{section}.{file_key}: {problem}")),
            }
        }
    }
    problems
}

fn read(path: Option<&str>, folder: &Path) -> Result<String, String> {
    let path = folder.join(path.ok_or("this is not the name of a file")?);
    let text = fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    // Editors and `echo` end a file with a newline that is not part of the secret.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
