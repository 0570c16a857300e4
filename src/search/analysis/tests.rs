//! Which queries find which texts.

use proptest::prelude::*;

use super::*;

fn analysis() -> Analysis {
    Analysis::new(&["en".to_owned(), "de".to_owned()]).unwrap()
}

/// Whether `query` finds `text`.
fn finds(query: &str, text: &str) -> bool {
    let mut analysis = analysis();
    let (wanted, terms) = (analysis.wanted(query), analysis.terms(text));
    !wanted.is_empty() && wanted.iter().all(|sought| is_in(sought, &terms))
}

/// Whether a text with these terms has what is sought.
fn is_in(sought: &Sought, terms: &[(usize, String)]) -> bool {
    match sought {
        Sought::Word { .. } => terms.iter().any(|(_, term)| sought.names(term)),
        Sought::Phrase(phrase) => {
            let starts = 0..=terms.last().map_or(0, |(place, _)| *place);
            let is_at = |start: usize| phrase.iter().all(|(far, term)| terms.contains(&(start + far, term.clone())));
            starts.into_iter().any(is_at)
        }
    }
}

#[test]
fn texts_are_found_in_many_languages() {
    let table = [
        ("hello", "Hello, world!", true),
        ("WORLD hello", "hello world", true),
        ("hello moon", "hello world", false),
        // The last word may go on, if it is not too short to say anything.
        ("hell", "hello world", true),
        ("hell ", "hello world", false),
        ("hell world", "hello world", false),
        ("he", "hello world", false),
        ("world hel", "hello world", true),
        ("ello", "hello world", false),
        ("Straß", "die Strassen", true),
        // Quotations.
        ("\"hello world\"", "Hello, world!", true),
        ("\"world hello\"", "hello world", false),
        ("\"hello world\"", "hello wide world", false),
        ("\"meeting room\"", "meetings room", false),
        ("\"hell\"", "hello", false),
        ("\"the end\" hello", "hello, this is the end", true),
        ("„das Haus“", "in das Haus", true),
        ("«au cafe»", "au café", true),
        ("\"hello wor", "world, hello", true),
        ("15\" screen", "a screen of 15\"", true),
        ("\"日本語\"", "私は日本語を話します", true),
        ("\"v2 日本 done\"", "v2 日本 done", true),
        ("\"v2 日本 done\"", "v2 日本語 done", false),
        ("日本語", "日本と本語", false),
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
            prop_assert!(wanted.iter().all(|sought| is_in(sought, &terms)), "{:?}", part);
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
