//! Overrides from the environment: `COMMONROOM_REGISTRATION__MODE=open` stands for `mode = "open"` in `[registration]`.

use toml::{Table, Value};

use super::known_keys;

const PREFIX: &str = "COMMONROOM_";

/// Writes the overrides among `variables` into `table` and returns what is wrong with them.
pub(super) fn apply(table: &mut Table, variables: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let mut problems = Vec::new();
    for (variable, text) in variables {
        let Some(path) = path_of(&variable) else { continue };
        match known_keys::example_value(&path) {
            Some(example) => match parse(&text, example) {
                Ok(value) => put(table, &path, value),
                Err(wanted) => problems.push(format!("environment variable {variable}: \"{text}\" is not {wanted}")),
            },
            None if path.len() > 1 => {
                let nearest = known_keys::nearest(&path.join("."));
                problems.push(format!(
                    "environment variable {variable}: there is no key {}: did you mean {}?",
                    path.join("."),
                    variable_of(nearest)
                ));
            }
            // Container platforms and scripts set variables of their own with the program's name in front.
            None => {}
        }
    }
    problems
}

fn path_of(variable: &str) -> Option<Vec<String>> {
    let name = variable.strip_prefix(PREFIX)?;
    Some(name.split("__").map(str::to_ascii_lowercase).collect())
}

fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

/// Text as it stands where the example has a string, TOML otherwise.
fn parse(text: &str, example: &Value) -> Result<Value, &'static str> {
    if example.is_str() {
        return Ok(Value::String(text.to_owned()));
    }
    let wanted = match example {
        Value::Boolean(_) => "true or false",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Array(_) => "a list in TOML, such as [\"a\", \"b\"]",
        _ => "a table in TOML, such as { key = \"value\" }",
    };
    let value = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    let is_number = |value: &Value| value.is_integer() || value.is_float();
    value.filter(|value| value.same_type(example) || is_number(value) && is_number(example)).ok_or(wanted)
}

fn put(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [section, rest @ ..] => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            // The environment has the last word, even over a value of the wrong type.
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}
