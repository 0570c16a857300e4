//! Durations and sizes as people write them: a whole number and a unit, such as `"10 s"` or `"64 MiB"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

const DURATIONS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads a duration above zero; the units are ms, s, min, h and d.
///
/// # Errors
///
/// Says how to write one.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match parse(text, DURATIONS) {
        Some(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
        _ => {
            Err(format!("\"{text}\" is not a duration: write a number and a unit (ms, s, min, h, d), such as \"10 s\""))
        }
    }
}

/// Reads a duration as [`parse_duration`] does.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Reads a size in bytes; the units are B, KiB, MiB and GiB.
pub(super) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    match parse(&text, SIZES) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(D::Error::custom(format!(
            "\"{text}\" is not a size: write a number and a unit (B, KiB, MiB, GiB), such as \"64 MiB\""
        ))),
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}
