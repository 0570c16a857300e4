//! Which keys there are, and which of them somebody meant who wrote another.
//!
//! The example file is the list: a key cannot exist without being explained there, and a test holds the structs to it.

use std::sync::LazyLock;

use toml::{Table, Value};

/// Takes every key out of `table` that the example does not know and says, for each, which one is nearest.
pub(super) fn remove_unknown(table: &mut Table) -> Vec<String> {
    let mut problems = Vec::new();
    visit(table, &KNOWN, "", &mut problems);
    problems
}

/// The example's value for the key at `path`, which shows its type; `None` for an unknown key.
pub(super) fn example_value(path: &[String]) -> Option<&'static Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(KNOWN.get(first)?, |value, key| value.as_table()?.get(key))
}

/// The full path of the known key that resembles `path` most.
pub(super) fn nearest(path: &str) -> &'static str {
    let similarity = |known: &&String| {
        let (known_section, known_key) = split(known);
        let (section, key) = split(path);
        // The key's own name counts more, so that a good key in the wrong section still finds its place.
        let score = 0.7 * strsim::normalized_damerau_levenshtein(key, known_key)
            + 0.3 * strsim::normalized_damerau_levenshtein(section, known_section);
        (score * 1e6) as u64
    };
    PATHS.iter().max_by_key(similarity).map_or("server_name", String::as_str)
}

/// The example with every commented-out key put in force and a list of tables reduced to one that has all their keys.
static KNOWN: LazyLock<Table> = LazyLock::new(|| {
    let table: Table = uncommented(super::EXAMPLE).parse().expect("the example is valid TOML");
    table.into_iter().map(|(key, value)| (key, merged(value))).collect()
});

static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut paths = Vec::new();
    collect_paths(&KNOWN, "", &mut paths);
    paths
});

/// A `#` that touches what follows comments out a key; one followed by a space begins a sentence.
pub(super) fn uncommented(example: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    example.lines().map(line).collect()
}

fn merged(value: Value) -> Value {
    match value {
        Value::Table(table) => Value::Table(table.into_iter().map(|(key, value)| (key, merged(value))).collect()),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_table) => {
            let tables = items.into_iter().filter_map(|item| item.try_into::<Table>().ok());
            Value::Array(vec![merged(Value::Table(tables.flatten().collect()))])
        }
        other => other,
    }
}

fn visit(found: &mut Table, known: &Table, prefix: &str, problems: &mut Vec<String>) {
    found.retain(|key, value| {
        let path = join(prefix, key);
        let Some(expected) = known.get(key) else {
            problems.push(format!("there is no key {path}: did you mean {}?", nearest(&path)));
            return false;
        };
        match (value, expected) {
            (Value::Table(found), Value::Table(known)) => visit(found, known, &path, problems),
            (Value::Array(found), Value::Array(known)) => {
                let Some(Value::Table(known)) = known.first() else { return true };
                found.iter_mut().filter_map(Value::as_table_mut).for_each(|t| visit(t, known, &path, problems));
            }
            // A value of another type is the section's own to complain about.
            _ => {}
        }
        true
    });
}

fn collect_paths(table: &Table, prefix: &str, paths: &mut Vec<String>) {
    for (key, value) in table {
        let path = join(prefix, key);
        let inner = value.as_table().or_else(|| value.as_array()?.first()?.as_table());
        if let Some(inner) = inner {
            collect_paths(inner, &path, paths);
        }
        paths.push(path);
    }
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}
