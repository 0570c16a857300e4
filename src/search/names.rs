//! The names of everybody on the server, as they are looked for.

use imbl::OrdMap;
use ruma::{OwnedUserId, UserId};

use super::analysis::Analysis;
use crate::streams::Position;

/// Everybody's names as of a position. A persistent map, so that whoever reads keeps the version they took.
#[derive(Clone, Default)]
pub struct Names {
    /// The position.
    pub position: Position,
    people: OrdMap<OwnedUserId, Name>,
}

/// What one person is found by.
#[derive(Clone)]
pub struct Name {
    /// The name that they gave themselves, in lower case and without accents, a space in front of each word; then likewise
    /// their id.
    text: Box<str>,
}

/// How well a name matches; the smaller the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// Each word that was typed begins a word of the name.
    Beginnings,
    /// Each stands somewhere in it.
    Parts,
}

impl Names {
    /// Takes note of the name of somebody, for whom it is the first time or not.
    pub fn put(&mut self, user: OwnedUserId, name: Name) {
        self.people.insert(user, name);
    }

    /// Everybody whose name or id has all these words in it. Costs a glance at each name.
    pub fn having<'a>(&'a self, words: &'a [String]) -> impl Iterator<Item = (Fit, &'a UserId)> {
        self.people.iter().filter_map(|(user, name)| Some((name.fit(words)?, &**user)))
    }
}

impl Name {
    /// The name of `user`, who shows `display_name`.
    pub fn new(analysis: &mut Analysis, user: &UserId, display_name: Option<&str>) -> Self {
        let mut text = String::new();
        for word in display_name.unwrap_or_default().split_whitespace() {
            text.push(' ');
            text.push_str(&analysis.folded(word));
        }
        text.push(' ');
        text.push_str(&user.as_str()[1..]);
        Self { text: text.into() }
    }

    fn fit(&self, words: &[String]) -> Option<Fit> {
        let mut fit = Fit::Beginnings;
        for word in words {
            let mut found = self.text.match_indices(&**word).peekable();
            found.peek()?;
            if !found.any(|(at, _)| begins_word(&self.text[..at])) {
                fit = Fit::Parts;
            }
        }
        Some(fit)
    }
}

/// What somebody types, as words to look for.
pub fn words(analysis: &mut Analysis, typed: &str) -> Vec<String> {
    let typed = typed.trim();
    let typed = typed.strip_prefix('@').unwrap_or(typed);
    typed.split_whitespace().map(|word| analysis.folded(word)).filter(|word| !word.is_empty()).collect()
}

/// Whether a word begins after this text.
fn begins_word(before: &str) -> bool {
    before.chars().next_back().is_none_or(|character| !character.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_found_by_their_parts() {
        let mut analysis = Analysis::without_stems();
        let user = UserId::parse("@jdoe.dev:example.org").unwrap();
        let name = Name::new(&mut analysis, &user, Some("José  O'Neill (Ops)"));
        let table = [
            ("jose", Some(Fit::Beginnings)),
            ("JOSÉ", Some(Fit::Beginnings)),
            ("neill jos", Some(Fit::Beginnings)),
            ("eill", Some(Fit::Parts)),
            ("ops", Some(Fit::Beginnings)),
            ("jdoe", Some(Fit::Beginnings)),
            ("@jdoe", Some(Fit::Beginnings)),
            ("dev", Some(Fit::Beginnings)),
            ("doe", Some(Fit::Parts)),
            ("@jdoe.dev:example.org", Some(Fit::Beginnings)),
            ("jose jdoe", Some(Fit::Beginnings)),
            ("jose maria", None),
            ("joseo", None),
        ];
        for (typed, expected) in table {
            assert_eq!(name.fit(&words(&mut analysis, typed)), expected, "{typed}");
        }
        assert!(words(&mut analysis, "  ").is_empty());
    }
}
