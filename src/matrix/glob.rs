//! Glob patterns as Matrix writes them: `*` for any characters, and in push rules `?` for exactly one.

/// A pattern longer than this many bytes matches nothing, so that a hostile one costs no more than a scan.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// What a `?` in a pattern stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionMark {
    /// Any one character, as in push rules (appendices, "Glob-style matching").
    AnyCharacter,
    /// Itself, as in filters, which know `*` only.
    Literal,
}

/// Whether the pattern matches the whole text. Upper and lower case differ.
pub fn matches(pattern: &str, text: &str, question_mark: QuestionMark) -> bool {
    if pattern.len() > MAX_PATTERN_BYTES {
        return false;
    }
    let (first, rest) = split(pattern);
    match (length_at_start(first, text, question_mark), rest) {
        (None, _) => false,
        (Some(length), None) => length == text.len(),
        (Some(length), Some(rest)) => follows(rest, &text[length..], question_mark, |end| length + end == text.len()),
    }
}

/// Whether the pattern matches a part of the text that starts and ends at a word boundary. Upper and lower case differ.
///
/// Words are made of ASCII letters, digits and `_`. There is no boundary between two of these, and one everywhere else
/// (client-server API, "Conditions", the special case of `content.body`).
pub fn matches_words(pattern: &str, text: &str) -> bool {
    const MARK: QuestionMark = QuestionMark::AnyCharacter;

    if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES {
        return false;
    }
    let (first, rest) = split(pattern);
    let mut starts = places(first, text, MARK).filter(|(start, _)| is_boundary(text, *start));
    match rest {
        None => starts.any(|(_, end)| is_boundary(text, end)),
        // The first place leaves the most text for what follows, so no later place can match where it does not.
        Some(rest) => starts
            .next()
            .is_some_and(|(_, start)| follows(rest, &text[start..], MARK, |end| is_boundary(text, start + end))),
    }
}

/// Whether the words stand in the text between word boundaries, letter by letter; no words stand nowhere.
pub fn contains_words(words: &str, text: &str) -> bool {
    let mut places = places(words, text, QuestionMark::Literal);
    !words.is_empty() && places.any(|(start, end)| is_boundary(text, start) && is_boundary(text, end))
}

/// The pattern up to its first `*`, and what is behind that `*`.
fn split(pattern: &str) -> (&str, Option<&str>) {
    pattern.split_once('*').map_or((pattern, None), |(first, rest)| (first, Some(rest)))
}

/// Whether the text has what is behind a `*` in a pattern, with an end that `is_end` accepts.
fn follows(pattern: &str, text: &str, question_mark: QuestionMark, is_end: impl Fn(usize) -> bool) -> bool {
    let mut parts = pattern.split('*');
    let last = parts.next_back().unwrap_or_default();
    let mut from = 0;
    for part in parts {
        // A part between two stars may as well stand at its first place.
        match places(part, &text[from..], question_mark).next() {
            Some((_, end)) => from += end,
            None => return false,
        }
    }
    places(last, &text[from..], question_mark).any(|(_, end)| is_end(from + end))
}

/// Every place of a part without `*` in the text, as start and end.
fn places(part: &str, text: &str, question_mark: QuestionMark) -> impl Iterator<Item = (usize, usize)> {
    let starts = text.char_indices().map(|(index, _)| index).chain([text.len()]);
    starts.filter_map(move |start| {
        length_at_start(part, &text[start..], question_mark).map(|length| (start, start + length))
    })
}

/// The bytes that a part without `*` takes of a text that starts with it.
fn length_at_start(part: &str, text: &str, question_mark: QuestionMark) -> Option<usize> {
    if question_mark == QuestionMark::Literal || !part.contains('?') {
        return text.starts_with(part).then_some(part.len());
    }
    let mut characters = text.chars();
    let fits = part.chars().all(|wanted| characters.next().is_some_and(|found| wanted == '?' || wanted == found));
    fits.then(|| text.len() - characters.as_str().len())
}

fn is_boundary(text: &str, index: usize) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let before = index.checked_sub(1).and_then(|before| text.as_bytes().get(before));
    !(is_word(before) && is_word(text.as_bytes().get(index)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_texts() {
        let table = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("**", "x", true),
            ("lunc?*", "lunch plans", true),
            ("lunc?*", "lunch", true),
            ("lunc?*", " lunch", false),
            ("lunc?*", "lunc", false),
            ("m.room.*", "m.room.message", true),
            ("m.room.*", "m.roommessage", false),
            ("*.message", "m.room.message", true),
            ("*.message", "m.room.messages", false),
            ("m.*.message", "m.room.message", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("aba*aba", "aba", false),
            ("?", "é", true),
            ("?", "", false),
            ("??", "é", false),
            ("*aab", "aaaab", true),
            ("m.room.message", "m.room.messag", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches(pattern, text, QuestionMark::AnyCharacter), expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn filters_take_a_question_mark_at_its_word() {
        assert!(matches("what?", "what?", QuestionMark::Literal));
        assert!(!matches("what?", "whatx", QuestionMark::Literal));
        assert!(matches("*?", "what?", QuestionMark::Literal));
    }

    #[test]
    fn words() {
        let table = [
            ("ex*ple", "an example event.", true),
            ("ex*ple", "exple", true),
            ("ex*ple", "an exciting triple-whammy", true),
            ("ex*ple", "an exciting triples", false),
            ("cake", "i like cake", true),
            ("cake", "i like cake!", true),
            ("cake", "cakes", false),
            ("cake", "pancake", false),
            ("cake", "pancake cake", true),
            ("cake", "cake_", false),
            ("cake", "écake", true),
            ("@room", "hi @room!", true),
            ("@room", "hi@room", true),
            ("@room", "@rooms", false),
            ("c?ke", "coke", true),
            ("c?ke", "my coke.", true),
            ("c?ke", "cocke", false),
            ("*", "", true),
            ("*", "x", true),
            ("*ake", "pancake", true),
            ("cak*", "cakes", true),
            ("cak*", "pancakes", false),
            ("a b", "xa b", false),
            ("a b", "xa b a b", true),
            ("aa", "aaa aa", true),
            ("", "text", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches_words(pattern, text), expected, "{pattern:?} in {text:?}");
        }
    }

    #[test]
    fn words_at_their_letters() {
        let table = [
            ("*", "anything", false),
            ("*", "five * stars", true),
            ("a?", "ab", false),
            ("eve", "hi eve!", true),
            ("eve", "evening", false),
            ("eve", "never eve", true),
            ("", "text", false),
        ];
        for (words, text, expected) in table {
            assert_eq!(contains_words(words, text), expected, "{words:?} in {text:?}");
        }
    }

    #[test]
    fn an_endless_pattern_matches_nothing() {
        let pattern = "a".repeat(MAX_PATTERN_BYTES + 1);
        assert!(!matches(&pattern, &pattern, QuestionMark::AnyCharacter));
        assert!(!matches_words(&pattern, &pattern));
    }

    /// The definition of a glob, without any thought for speed.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                by_definition(rest, text) || !text.is_empty() && by_definition(pattern, &text[1..])
            }
            (Some((wanted, pattern)), Some((found, text))) => {
                (*wanted == '?' || wanted == found) && by_definition(pattern, text)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn whole_texts_match_as_defined(pattern in "[ab?*é]{0,7}", text in "[abé ]{0,8}") {
            let (p, t): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text, QuestionMark::AnyCharacter), by_definition(&p, &t));
        }

        #[test]
        fn words_match_as_defined(pattern in "[ab?*é]{1,6}", text in "[ab é-]{0,8}") {
            let p: Vec<_> = pattern.chars().collect();
            let bounds: Vec<_> = (0..=text.len())
                .filter(|index| text.is_char_boundary(*index) && is_boundary(&text, *index))
                .collect();
            let expected = bounds.iter().any(|start| {
                bounds.iter().filter(|end| *end >= start).any(|end| {
                    by_definition(&p, &text[*start..*end].chars().collect::<Vec<_>>())
                })
            });
            prop_assert_eq!(matches_words(&pattern, &text), expected);
        }
    }
}
