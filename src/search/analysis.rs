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

/// What stands in front of a stem among the terms of a text, where no word has it.
const STEM: char = '\u{1}';

/// The shortest beginning of a word that is looked for, in characters: shorter ones would find nearly everything.
const SHORTEST_BEGINNING: usize = 3;

/// One of the things that a text has to have to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// At least one of these terms, of which the first is the word as it was typed, or, if it `goes_on`, a word that begins so.
    Word {
        /// The terms.
        terms: Vec<String>,
        /// Whether somebody may still be typing it.
        goes_on: bool,
    },
    /// All of these terms, as far from each other as their numbers say.
    Phrase(Vec<(usize, String)>),
}

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

    /// Every term by which `text` can be found, with its place among the words: those of one word share one, and characters of
    /// scripts without spaces count as words.
    pub fn terms(&mut self, text: &str) -> Vec<(usize, String)> {
        let (mut terms, mut place) = (Vec::new(), 0);
        for part in parts(text) {
            match part {
                Part::Word(word) => terms.extend(self.forms(word).into_iter().map(|form| (place, form))),
                Part::Run(run) => {
                    let run = composed(run);
                    terms.extend((place..).zip(run.chars().map(String::from)));
                    terms.extend((place..).zip(pairs(&run)));
                    // The last character has its place below.
                    place += run.chars().count().saturating_sub(1);
                }
                Part::Emoji(emoji) => terms.push((place, emoji.to_owned())),
            }
            place += 1;
        }
        terms
    }

    /// What a text has to have to be found by `query`. Words in quotation marks stand one after the other, as they are typed;
    /// the last word of all may be the beginning of one.
    pub fn wanted(&mut self, query: &str) -> Vec<Sought> {
        let pieces: Vec<&str> = query.split(is_quotation_mark).collect();
        let (mut wanted, last) = (Vec::new(), pieces.len() - 1);
        for (number, piece) in pieces.into_iter().enumerate() {
            // A quotation that does not end yet is none.
            match number % 2 == 1 && number < last {
                true => wanted.extend(self.phrase(piece)),
                false => wanted.extend(parts(piece).filter_map(|part| self.sought(part))),
            }
            if number == last
                && let Some(Part::Word(word)) = parts(piece).last()
                && piece.ends_with(word)
                && word.len() <= LONGEST_WORD
                && word.chars().nth(SHORTEST_BEGINNING - 1).is_some()
                && let Some(Sought::Word { goes_on, .. }) = wanted.last_mut()
            {
                *goes_on = true;
            }
        }
        wanted
    }

    /// What a part of a query that is in no quotation marks asks for.
    fn sought(&mut self, part: Part<'_>) -> Option<Sought> {
        let terms = match part {
            Part::Word(word) => self.sought_forms(word),
            Part::Emoji(emoji) => vec![emoji.to_owned()],
            Part::Run(run) => return self.phrase(run),
        };
        (!terms.is_empty()).then_some(Sought::Word { terms, goes_on: false })
    }

    /// What the words of a quotation ask for.
    fn phrase(&mut self, quoted: &str) -> Option<Sought> {
        let (mut terms, mut place) = (Vec::new(), 0);
        for part in parts(quoted) {
            match part {
                Part::Word(word) => terms.extend(self.forms(word).into_iter().next().map(|word| (place, word))),
                Part::Emoji(emoji) => terms.push((place, emoji.to_owned())),
                Part::Run(run) => {
                    let run = composed(run);
                    let length = run.chars().count();
                    match length {
                        1 => terms.push((place, run.clone().into_owned())),
                        _ => terms.extend((place..).zip(pairs(&run))),
                    }
                    place += length.saturating_sub(1);
                }
            }
            place += 1;
        }
        match terms.len() {
            0 => None,
            1 => Some(Sought::Word { terms: terms.into_iter().map(|(_, term)| term).collect(), goes_on: false }),
            _ => Some(Sought::Phrase(terms)),
        }
    }

    /// The pieces of `text`, as they are written there, for which a query that `wanted` came from finds it.
    pub fn matching<'t>(&mut self, wanted: &[Sought], text: &'t str) -> Vec<&'t str> {
        let is_wanted = |term: &String| wanted.iter().any(|sought| sought.names(term));
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

    /// A word as it is found: itself, and its stems where they differ from it, which are marked so that they are not taken for words.
    fn forms(&mut self, word: &str) -> Vec<String> {
        let mut forms = self.stems(word);
        for stem in forms.iter_mut().skip(1) {
            stem.insert(0, STEM);
        }
        forms
    }

    /// A word as it is looked for: itself, and words with the same stems.
    fn sought_forms(&mut self, word: &str) -> Vec<String> {
        let mut forms = self.stems(word);
        let marked = forms.iter().map(|stem| format!("{STEM}{stem}")).collect::<Vec<_>>();
        forms.extend(marked);
        forms
    }

    /// A word in lower case and without accents, and those of its stems that differ from it. None of a word that is too long.
    fn stems(&mut self, word: &str) -> Vec<String> {
        if word.len() > LONGEST_WORD {
            return Vec::new();
        }
        let folded = self.folded(word);
        let mut stems = vec![folded];
        for stemmer in &mut self.stemmers {
            // Stems are those of the word as it is spelled.
            let stem = single(stemmer, &word.to_lowercase());
            let stem = match stem.is_ascii() {
                true => stem,
                false => single(&mut self.folding, &stem),
            };
            if !stems.contains(&stem) {
                stems.push(stem);
            }
        }
        stems
    }
}

impl Sought {
    /// Whether it asks for a term.
    fn names(&self, term: &str) -> bool {
        match self {
            Self::Word { terms, goes_on } => {
                let begins = terms.first().is_some_and(|word| term.starts_with(word.as_str()));
                terms.iter().any(|own| own == term) || (*goes_on && begins)
            }
            Self::Phrase(terms) => terms.iter().any(|(_, own)| own == term),
        }
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

/// Whether a character begins or ends a quotation.
fn is_quotation_mark(character: char) -> bool {
    matches!(character, '"' | '\u{201C}' | '\u{201D}' | '\u{201E}' | '«' | '»')
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
mod tests;
