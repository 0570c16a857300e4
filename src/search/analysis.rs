//! Takes texts apart into the terms that they are found by, in whatever languages people write.
//!
//! A *word* is a run of letters and digits. It is found in upper and lower case, with and without accents, and by its stem in
//! each language that the operator names, besides itself, so that a stem of the wrong language never hides a word. Scripts
//! that put no spaces between words are cut into single characters and pairs of neighbours; emoji stand for themselves.

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use tantivy::tokenizer::{AsciiFoldingFilter, Language, LowerCaser, RawTokenizer, Stemmer, TextAnalyzer};

/// The longest word that is indexed, in bytes; what is longer is no word that somebody would type.
const LONGEST_WORD: usize = 128;

/// How texts are taken apart.
#[derive(Clone)]
pub struct Analysis {
    folding: TextAnalyzer,
    stemmers: Vec<TextAnalyzer>,
}

/// A part of a text by which it can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'t> {
    /// Letters and digits between other characters.
    Word(&'t str),
    /// Characters of a script that does not part words.
    Run(&'t str),
    /// One character that stands for itself.
    Emoji(&'t str),
}

/// What kind of part a character belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Unspaced,
    Emoji,
    Between,
}

impl Analysis {
    /// Without stems, for names.
    pub fn without_stems() -> Self {
        let folding =
            TextAnalyzer::builder(RawTokenizer::default()).filter(LowerCaser).filter(AsciiFoldingFilter).build();
        Self { folding, stemmers: Vec::new() }
    }

    /// With stems of these languages (`en`, `de`, …); `None` if one of them is not known.
    pub fn new(languages: &[String]) -> Option<Self> {
        let stemmer = |language| TextAnalyzer::builder(RawTokenizer::default()).filter(Stemmer::new(language)).build();
        let stemmers = languages.iter().map(|code| language(code).map(stemmer)).collect::<Option<_>>()?;
        Some(Self { stemmers, ..Self::without_stems() })
    }

    /// Every term by which `text` can be found.
    pub fn terms(&mut self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        for part in parts(text) {
            match part {
                Part::Word(word) => terms.extend(self.forms(word)),
                Part::Run(run) => {
                    let run = composed(run);
                    terms.extend(run.chars().map(String::from));
                    terms.extend(pairs(&run));
                }
                Part::Emoji(emoji) => terms.push(emoji.to_owned()),
            }
        }
        terms
    }

    /// What a text has to have to be found by `query`: of each of these lists at least one term, the first being the best.
    pub fn wanted(&mut self, query: &str) -> Vec<Vec<String>> {
        let mut wanted = Vec::new();
        for part in parts(query) {
            match part {
                Part::Word(word) => wanted.push(self.forms(word)),
                Part::Run(run) => {
                    let run = composed(run);
                    match run.chars().nth(1) {
                        None => wanted.push(vec![run.into_owned()]),
                        Some(_) => wanted.extend(pairs(&run).map(|pair| vec![pair])),
                    }
                }
                Part::Emoji(emoji) => wanted.push(vec![emoji.to_owned()]),
            }
        }
        wanted
    }

    /// The pieces of `text`, as they are written there, for which a query that `wanted` came from finds it.
    pub fn matching<'t>(&mut self, wanted: &[Vec<String>], text: &'t str) -> Vec<&'t str> {
        let is_wanted = |term: &String| wanted.iter().any(|terms| terms.contains(term));
        let found = parts(text).filter(|part| match part {
            Part::Word(word) => self.forms(word).iter().any(is_wanted),
            Part::Run(run) => {
                let run = composed(run);
                run.chars().map(String::from).chain(pairs(&run)).any(|term| is_wanted(&term))
            }
            Part::Emoji(emoji) => is_wanted(&(*emoji).to_owned()),
        });
        found.map(Part::text).collect()
    }

    /// A word in lower case and without accents.
    pub fn folded(&mut self, word: &str) -> String {
        if word.is_ascii() {
            return word.to_ascii_lowercase();
        }
        let plain = single(&mut self.folding, word);
        let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(&plain);
        decomposed.chars().filter(|character| !is_accent(*character)).flat_map(char::to_lowercase).collect()
    }

    /// A word as it is looked up: itself and its stems.
    fn forms(&mut self, word: &str) -> Vec<String> {
        if word.len() > LONGEST_WORD {
            return Vec::new();
        }
        let folded = self.folded(word);
        let mut forms = vec![folded];
        for stemmer in &mut self.stemmers {
            // Stems are those of the word as it is spelled.
            let stem = single(stemmer, &word.to_lowercase());
            let stem = match stem.is_ascii() {
                true => stem,
                false => single(&mut self.folding, &stem),
            };
            if !forms.contains(&stem) {
                forms.push(stem);
            }
        }
        forms
    }
}

impl<'t> Part<'t> {
    fn text(self) -> &'t str {
        match self {
            Self::Word(text) | Self::Run(text) | Self::Emoji(text) => text,
        }
    }
}

fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let first = rest.chars().next()?;
            let kind = kind(first);
            let end = match kind {
                Kind::Emoji => first.len_utf8(),
                _ => rest.find(|character| self::kind(character) != kind).unwrap_or(rest.len()),
            };
            let part;
            (part, rest) = rest.split_at(end);
            match kind {
                Kind::Letter => return Some(Part::Word(part)),
                Kind::Unspaced => return Some(Part::Run(part)),
                Kind::Emoji => return Some(Part::Emoji(part)),
                Kind::Between => {}
            }
        }
    })
}

/// A run in one spelling, however its characters were put together: half as wide, or in parts, as in the names of some files.
fn composed(run: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfkc().normalize(run)
}

fn pairs(run: &str) -> impl Iterator<Item = String> {
    run.chars().zip(run.chars().skip(1)).map(|(one, two)| String::from_iter([one, two]))
}

fn kind(character: char) -> Kind {
    match u32::from(character) {
        // Thai, Lao, Myanmar, Khmer; Kana, Bopomofo, Han and Hangul with their extensions.
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x1100..=0x11FF => Kind::Unspaced,
        0x3040..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xA960..=0xA97F | 0xAC00..=0xD7FF => Kind::Unspaced,
        // Flags are pairs of letters of their own.
        0x3005..=0x3007 | 0x1F1E6..=0x1F1FF | 0xF900..=0xFAFF | 0xFF66..=0xFFDC | 0x20000..=0x3FFFF => Kind::Unspaced,
        // Shades of skin only vary what stands before them.
        0x1F3FB..=0x1F3FF => Kind::Between,
        0x2600..=0x27BF | 0x1F300..=0x1FAFF => Kind::Emoji,
        // Vowel signs and other marks of Indic scripts, and accents that stand by themselves, belong to their word.
        0x0900..=0x0DFF | 0x0300..=0x036F => Kind::Letter,
        _ if character.is_alphanumeric() || is_accent(character) => Kind::Letter,
        _ => Kind::Between,
    }
}

/// Accents, points and vowel marks without which words are written as well.
fn is_accent(character: char) -> bool {
    matches!(u32::from(character), 0x0300..=0x036F | 0x0591..=0x05C7 | 0x0610..=0x061A | 0x064B..=0x065F | 0x0670)
}

/// What an analyser makes of one word.
fn single(analyser: &mut TextAnalyzer, word: &str) -> String {
    let mut stream = analyser.token_stream(word);
    stream.next().map_or_else(String::new, |token| token.text.clone())
}

/// The languages whose stems are known, by their codes (ISO 639-1).
fn language(code: &str) -> Option<Language> {
    Some(match code {
        "ar" => Language::Arabic,
        "da" => Language::Danish,
        "nl" => Language::Dutch,
        "en" => Language::English,
        "fi" => Language::Finnish,
        "fr" => Language::French,
        "de" => Language::German,
        "el" => Language::Greek,
        "hu" => Language::Hungarian,
        "it" => Language::Italian,
        "no" => Language::Norwegian,
        "pt" => Language::Portuguese,
        "ro" => Language::Romanian,
        "ru" => Language::Russian,
        "es" => Language::Spanish,
        "sv" => Language::Swedish,
        "ta" => Language::Tamil,
        "tr" => Language::Turkish,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn analysis() -> Analysis {
        Analysis::new(&["en".to_owned(), "de".to_owned()]).unwrap()
    }

    /// Whether `query` finds `text`.
    fn finds(query: &str, text: &str) -> bool {
        let mut analysis = analysis();
        let (wanted, terms) = (analysis.wanted(query), analysis.terms(text));
        !wanted.is_empty() && wanted.iter().all(|any| any.iter().any(|term| terms.contains(term)))
    }

    #[test]
    fn texts_are_found_in_many_languages() {
        let table = [
            ("hello", "Hello, world!", true),
            ("WORLD hello", "hello world", true),
            ("hello moon", "hello world", false),
            ("hell", "hello world", false),
            ("Maus", "das Haus", false),
            // Stems of two languages, and the word itself.
            ("meeting", "we met; the meetings went well", true),
            ("running", "runs every day", true),
            ("Häuser", "das Haus", true),
            ("hauser", "viele Häuser", true),
            ("Straße", "die strasse", true),
            ("cafe", "au café", true),
            ("café", "CAFE", true),
            ("Ёлка", "елка", true),
            ("αθηνα", "Αθήνα", true),
            ("שלום", "שָׁלוֹם עולם", true),
            ("مرحبا", "مَرْحَبًا بالعالم", true),
            ("हिन्दी", "यह हिन्दी है", true),
            // No spaces between words.
            ("日本", "私は日本語を話します", true),
            ("東京", "京東", false),
            ("語", "私は日本語を話します", true),
            ("안녕", "안녕하세요", true),
            ("สวัสดี", "สวัสดีครับ", true),
            ("ガイド", "\u{30AB}\u{3099}イト\u{3099}", true),
            ("ガイド", "ｶﾞｲﾄﾞ", true),
            ("한글", "\u{1112}\u{1161}\u{11AB}\u{1100}\u{1173}\u{11AF}", true),
            ("cafe", "ＣＡＦＥ", true),
            ("🇫🇷", "in 🇫🇷🇩🇪", true),
            ("🇫🇷", "in 🇩🇪", false),
            ("release v2", "Release: v2.0", true),
            ("👍", "done 👍🏽", true),
            ("🎉", "done 👍", false),
            ("4", "Message number 4", true),
            ("foo_bar", "see foo-bar", true),
        ];
        for (query, text, expected) in table {
            assert_eq!(finds(query, text), expected, "{query} in {text}");
        }
    }

    #[test]
    fn what_matches_is_given_as_it_is_written() {
        let mut analysis = analysis();
        let wanted = analysis.wanted("meeting cafe");
        assert_eq!(analysis.matching(&wanted, "Meetings in the Café, meetings!"), ["Meetings", "Café", "meetings"]);
        assert!(analysis.matching(&wanted, "nothing here").is_empty());
    }

    #[test]
    fn unknown_languages_are_refused() {
        assert!(Analysis::new(&["en".to_owned(), "tlh".to_owned()]).is_none());
    }

    proptest! {
        #[test]
        fn whatever_is_indexed_is_found_by_its_own_words(text in "\\PC{0,40}") {
            let mut analysis = analysis();
            let terms = analysis.terms(&text);
            for part in parts(&text) {
                let wanted = analysis.wanted(part.text());
                prop_assert!(wanted.iter().all(|any| any.iter().any(|term| terms.contains(term))), "{:?}", part);
            }
        }

        #[test]
        fn parts_are_pieces_of_the_text_in_order(text in "\\PC{0,40}") {
            let mut rest = &*text;
            for part in parts(&text) {
                let at = rest.find(part.text()).unwrap();
                rest = &rest[at + part.text().len()..];
            }
        }
    }
}
