//! The names of everybody on the server, as they are looked for.
//!
//! Names are found by the pieces of one, two or three letters that they are made of, so that only those are looked at who have
//! the rarest piece of what somebody types, and never everybody.

use std::collections::HashMap;

use ruma::{OwnedUserId, UserId};

use super::analysis::Analysis;
use crate::streams::Position;

/// How long a piece is at most, in characters.
const PIECE: usize = 3;

/// How many outdated entries are kept at least before the index is made anew without them.
const OUTDATED: usize = 1_000;

/// Everybody's names as of a position.
#[derive(Default)]
pub struct Names {
    /// The position.
    pub position: Position,
    /// Everybody by a number that is given once; an entry that is outdated has no user any more.
    people: Vec<(Option<OwnedUserId>, Name)>,
    numbers: HashMap<OwnedUserId, u32>,
    /// The numbers of those whose names have a piece, in order.
    pieces: HashMap<Piece, Vec<u32>>,
}

/// Up to three characters of a name, each in 21 bits. A single one stands for the beginning of a word, unless it is of a script
/// whose single characters mean something.
type Piece = u64;

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
        if let Some(number) = self.numbers.get(&user) {
            let known = &mut self.people[*number as usize];
            if known.1.text == name.text {
                return;
            }
            known.0 = None;
        }
        self.add(user, name);
        if self.people.len() > 2 * self.numbers.len() + OUTDATED {
            self.drop_outdated();
        }
    }

    /// Those whose name or id has all these words in it, and whether there may be more: at most `most` names that have the rarest
    /// piece of the words are looked at.
    pub fn having(&self, words: &[String], most: usize) -> (Vec<(Fit, &UserId)>, bool) {
        let pieces = words.iter().flat_map(|word| pieces_of_word(word));
        let people = pieces.map(|piece| self.pieces.get(&piece).map_or(&[][..], Vec::as_slice));
        let rarest = people.min_by_key(|people| people.len()).unwrap_or_default();
        let entries = rarest.iter().map(|number| &self.people[*number as usize]);
        // What is outdated must not take the place of what counts.
        let mut current = entries.filter_map(|(user, name)| Some((user.as_deref()?, name)));
        let found = current.by_ref().take(most).filter_map(|(user, name)| Some((name.fit(words)?, user))).collect();
        (found, current.next().is_some())
    }

    /// How well the name of somebody matches, if it does.
    pub fn fit(&self, user: &UserId, words: &[String]) -> Option<Fit> {
        self.people[*self.numbers.get(user)? as usize].1.fit(words)
    }

    fn add(&mut self, user: OwnedUserId, name: Name) {
        let Ok(number) = u32::try_from(self.people.len()) else { return };
        for piece in name.pieces() {
            let people = self.pieces.entry(piece).or_default();
            // A name may have the same piece more than once.
            if people.last() != Some(&number) {
                people.push(number);
            }
        }
        self.numbers.insert(user.clone(), number);
        self.people.push((Some(user), name));
    }

    fn drop_outdated(&mut self) {
        let old = std::mem::replace(self, Self { position: self.position, ..Self::default() });
        for (user, name) in old.people {
            if let Some(user) = user {
                self.add(user, name);
            }
        }
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

    /// The pieces by which it is found. The name of the server in the id is none, since nearly everybody has the same.
    fn pieces(&self) -> Vec<Piece> {
        let end = self.text.rfind(' ').map_or(0, |id| self.text[id..].find(':').map_or(self.text.len(), |at| id + at));
        let (mut pieces, mut before) = (Vec::new(), ' ');
        for (at, first) in self.text[..end].char_indices() {
            if !first.is_whitespace() {
                if !before.is_alphanumeric() || !first.is_ascii() {
                    pieces.push(piece(&[first]));
                }
                let rest = self.text[at..end].chars().take(PIECE).take_while(|next| !next.is_whitespace());
                let window: Vec<char> = rest.collect();
                pieces.extend((2..=window.len()).map(|length| piece(&window[..length])));
            }
            before = first;
        }
        pieces
    }
}

/// The pieces that a name has in which this word stands.
fn pieces_of_word(word: &str) -> Vec<Piece> {
    let local = word.split(':').next().unwrap_or_default();
    let characters: Vec<char> = local.chars().collect();
    match characters.len() {
        // Everything in an id before the name of its server is found.
        0 => vec![piece(&[])],
        1 | 2 => vec![piece(&characters)],
        _ => characters.windows(PIECE).map(piece).collect(),
    }
}

fn piece(characters: &[char]) -> Piece {
    characters.iter().fold(0, |piece, character| piece << 21 | u64::from(u32::from(*character)))
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_ids_are_found_by_their_parts() {
        let mut analysis = Analysis::without_stems();
        let user = UserId::parse("@jdoe.dev:example.org").unwrap();
        let mut names = Names::default();
        names.put(user.clone(), Name::new(&mut analysis, &user, Some("José  O'Neill (Ops) 山田")));
        let table = [
            ("jose", Some(Fit::Beginnings)),
            ("j", Some(Fit::Beginnings)),
            ("jo", Some(Fit::Beginnings)),
            ("JOSÉ", Some(Fit::Beginnings)),
            ("neill jos", Some(Fit::Beginnings)),
            ("eill", Some(Fit::Parts)),
            ("ll", Some(Fit::Parts)),
            ("ops", Some(Fit::Beginnings)),
            ("山", Some(Fit::Beginnings)),
            ("田", Some(Fit::Parts)),
            ("jdoe", Some(Fit::Beginnings)),
            ("@jdoe", Some(Fit::Beginnings)),
            ("dev", Some(Fit::Beginnings)),
            ("doe", Some(Fit::Parts)),
            ("@jdoe.dev:example.org", Some(Fit::Beginnings)),
            ("jose jdoe", Some(Fit::Beginnings)),
            ("jose maria", None),
            ("joseo", None),
            ("example", None),
            (":example.org", None),
        ];
        for (typed, expected) in table {
            let found = names.having(&words(&mut analysis, typed), 9).0;
            assert_eq!(found.first().map(|(fit, _)| *fit), expected, "{typed}");
        }
        assert!(words(&mut analysis, "  ").is_empty());
    }

    #[test]
    fn a_new_name_takes_the_place_of_the_old_one_however_often() {
        let mut analysis = Analysis::without_stems();
        let (alice, mut names) = (UserId::parse("@alice:example.org").unwrap(), Names::default());
        for number in 0..2 * OUTDATED {
            let name = Name::new(&mut analysis, &alice, Some(&format!("name{number:05}")));
            names.put(alice.clone(), name);
        }
        let find = |word: &str| names.having(&[word.to_owned()], 9).0.len();
        assert_eq!((find("alice"), find("name00007"), find(&format!("name{:05}", 2 * OUTDATED - 1))), (1, 0, 1));
        assert!(names.people.len() < 2 * OUTDATED, "the old ones are dropped now and then");
    }

    #[test]
    fn so_many_names_are_looked_at_and_no_more() {
        let (mut analysis, mut names) = (Analysis::without_stems(), Names::default());
        for number in 0..5 {
            let user = UserId::parse(format!("@guest{number}:example.org")).unwrap();
            names.put(user.clone(), Name::new(&mut analysis, &user, None));
        }
        let find = |word: &str, most| {
            let (found, more) = names.having(&words(&mut Analysis::without_stems(), word), most);
            (found.len(), more)
        };
        assert_eq!((find("guest", 5), find("guest", 3)), ((5, false), (3, true)));
        assert_eq!(find("guest4", 3), (1, false), "its rarest piece is rare");
        assert_eq!(
            names.fit(&UserId::parse("@guest4:example.org").unwrap(), &["guest".to_owned()]),
            Some(Fit::Beginnings)
        );
    }

    proptest! {
        #[test]
        fn whoever_has_a_word_is_among_those_who_have_its_pieces(name in "[a-cé山 .]{0,12}", from in 0..12usize, length in 2..5usize) {
            let mut analysis = Analysis::without_stems();
            let user = UserId::parse("@x:example.org").unwrap();
            let name = Name::new(&mut analysis, &user, Some(&name));
            let word: String = name.text.chars().skip(from).take(length).collect();
            prop_assume!(!word.contains([' ', ':']) && word.chars().count() == length);
            let server = name.text.chars().position(|character| character == ':').unwrap();
            let mut names = Names::default();
            names.put(user, name);
            prop_assert_eq!(names.having(&[word], 9).0.len(), usize::from(from < server));
        }
    }
}
