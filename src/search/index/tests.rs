//! What the index finds and forgets, over one in memory.

use proptest::{collection::vec, prelude::*};
use ruma::{owned_event_id, owned_room_id, owned_user_id};
use tantivy::directory::RamDirectory;

use super::*;
use crate::{rooms::Stretch, storage::Order};

struct Scene {
    index: Index,
    analysis: Analysis,
}

impl Scene {
    fn new() -> Self {
        let (index, reached) = Index::in_directory(RamDirectory::create()).unwrap();
        assert_eq!(reached, Position::ZERO);
        Self { index, analysis: Analysis::new(&["en".to_owned()]).unwrap() }
    }

    /// A text at `order`, by which the event at `shown` is found.
    fn say(&mut self, text: &str, order: u64, shown: u64) {
        self.say_until(text, order, shown, None);
    }

    /// The same that an edit replaces.
    fn say_until(&mut self, text: &str, order: u64, shown: u64, until: Option<u64>) {
        let [event, edited] = [order, shown].map(|place| format!("$event{place}").try_into().unwrap());
        let text = Text {
            event,
            edited: (order != shown).then_some(edited),
            until: until.map(Position::from),
            room: owned_room_id!("!room:example.org"),
            order: order.into(),
            shown: shown.into(),
            sender: owned_user_id!("@alice:example.org"),
            key: Key::Body,
            text: text.to_owned(),
        };
        self.index.replace(&mut self.analysis, text).unwrap();
    }

    /// The places that are found, and their number in all, of what stands from one place to another.
    fn find(&mut self, query: &str, (first, last): (u64, u64), from: From, limit: usize) -> (Vec<u64>, usize) {
        let wanted = Wanted {
            terms: self.analysis.wanted(query),
            keys: vec![Key::Body],
            senders: None,
            not_senders: Vec::new(),
            ignored: Vec::new(),
        };
        let [from_place, until] = [first, last].map(|place| Some(Order::Live(place.into())));
        let stretch = Stretch { from: from_place, until };
        let scopes = Scopes::from([(owned_room_id!("!room:example.org"), vec![stretch])]);
        let found = self.index.find(&wanted, Arc::new(scopes), from, limit).unwrap();
        (found.hits.iter().map(|hit| hit.shown.get()).collect(), found.count)
    }

    fn newest(&mut self, query: &str) -> (Vec<u64>, usize) {
        self.find(query, (0, 1_000), From::Before(u64::MAX), 10)
    }

    /// Whether any file has the term.
    fn has_term(&self, term: &str) -> bool {
        let term = Term::from_field_text(self.index.fields.text, term);
        let searcher = self.index.reader.searcher();
        let mut segments = searcher.segment_readers().iter();
        segments.any(|segment| {
            let terms = segment.inverted_index(self.index.fields.text).unwrap();
            terms.get_term_info(&term).unwrap().is_some()
        })
    }
}

#[test]
fn a_message_is_found_by_the_text_that_the_searcher_sees() {
    let mut scene = Scene::new();
    scene.say("a plum", 5, 5);
    scene.index.commit(5.into()).unwrap();
    scene.say_until("a plum", 5, 5, Some(7));
    scene.say("two plums, a plum", 7, 5);
    scene.say("plum too", 6, 6);
    scene.index.commit(7.into()).unwrap();
    assert_eq!(scene.newest("plum"), (vec![6, 5], 2));
    let best = From::Behind(u32::MAX, u64::MAX);
    assert_eq!(scene.find("plum", (6, 9), best, 10), (vec![6], 1), "the edit is of a message from before");
    assert_eq!(scene.find("two", (0, 6), best, 10), (vec![], 0), "the edit came after the end");
    assert_eq!(scene.find("plum", (0, 6), best, 10), (vec![6, 5], 2));
    assert_eq!([7, 5].map(|place| scene.index.edited_by(&event(place)).unwrap()), [Some(5.into()), None]);

    scene.say("a pear", 8, 5);
    scene.say_until("two plums, a plum", 7, 5, Some(8));
    scene.index.commit(8.into()).unwrap();
    assert_eq!(scene.newest("plum"), (vec![6], 1));
    assert_eq!(scene.newest("pear"), (vec![5], 1));
    assert_eq!(scene.find("plum", (0, 7), best, 10), (vec![5, 6], 2));
}

fn event(place: u64) -> OwnedEventId {
    format!("$event{place}").try_into().unwrap()
}

#[test]
fn phrases_and_beginnings_are_found_in_their_order() {
    let mut scene = Scene::new();
    for (place, text) in
        [(1, "plum cake"), (2, "cake of plums"), (3, "a cake, plum"), (4, "日本語"), (5, "日本と本語"), (6, "plumber")]
    {
        scene.say(text, place, place);
    }
    scene.index.commit(6.into()).unwrap();
    assert_eq!(scene.newest("\"plum cake\""), (vec![1], 1));
    assert_eq!(scene.newest("\"cake plum\""), (vec![3], 1));
    assert_eq!(scene.newest("plu"), (vec![6, 3, 2, 1], 4));
    assert_eq!(scene.newest("cake plu"), (vec![3, 2, 1], 3));
    assert_eq!(scene.newest("plu cake"), (vec![], 0));
    assert_eq!(scene.newest("日本語"), (vec![4], 1));
    // Better the word as it was typed than another form of it, and that than one that only begins so.
    assert_eq!(scene.find("plum", (0, 9), From::Behind(u32::MAX, u64::MAX), 10), (vec![3, 1, 2, 6], 4));
}

#[test]
fn a_word_as_it_was_typed_is_better_than_its_stem_and_the_newer_of_equals_is_first() {
    let mut scene = Scene::new();
    for (place, text) in [(1, "meeting"), (2, "meet"), (3, "the meeting of all meetings"), (4, "we meet")] {
        scene.say(text, place, place);
    }
    scene.index.commit(4.into()).unwrap();
    assert_eq!(scene.find("meeting", (0, 9), From::Behind(u32::MAX, u64::MAX), 10), (vec![3, 1, 4, 2], 4));
}

#[test]
fn what_is_forgotten_leaves_no_terms_behind() {
    let mut scene = Scene::new();
    scene.say("harmless", 1, 1);
    scene.say("secretword", 2, 2);
    scene.say("editedsecret", 3, 2);
    scene.index.commit(3.into()).unwrap();
    assert!(scene.has_term("secretword"));
    scene.index.forget(&owned_event_id!("$event2")).unwrap();
    scene.index.commit(4.into()).unwrap();
    assert_eq!(scene.newest("secretword"), (vec![], 0));
    scene.index.purge().unwrap();
    assert!(!scene.has_term("secretword") && !scene.has_term("editedsecret"));
    assert_eq!(scene.newest("harmless"), (vec![1], 1));
    assert!(scene.index.is_whole().unwrap());
}

#[test]
fn what_is_set_back_or_cleared_is_not_found() {
    let mut scene = Scene::new();
    scene.say("kept", 1, 1);
    scene.index.commit(1.into()).unwrap();
    scene.say("undone", 2, 2);
    scene.index.rollback().unwrap();
    scene.say("plum", 3, 3);
    scene.index.commit(3.into()).unwrap();
    assert_eq!([scene.newest("kept").1, scene.newest("undone").1, scene.newest("plum").1], [1, 0, 1]);
    scene.index.clear().unwrap();
    assert_eq!([scene.newest("kept").1, scene.newest("plum").1], [0, 0]);
}

#[test]
fn an_index_that_rested_goes_on() {
    let mut scene = Scene::new();
    assert!(scene.index.lock().is_none(), "who has nothing to write needs no writer");
    scene.index.purge().unwrap();
    scene.index.rest().unwrap();
    assert!(scene.index.lock().is_none());
    scene.say("kept", 1, 1);
    scene.index.commit(1.into()).unwrap();
    scene.index.rest().unwrap();
    assert!(scene.index.lock().is_none());
    scene.say("plum", 2, 2);
    scene.index.commit(2.into()).unwrap();
    assert_eq!([scene.newest("kept").1, scene.newest("plum").1], [1, 1]);
}

#[test]
fn an_index_that_knows_more_than_the_database_or_other_languages_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let languages = ["en".to_owned()];
    let reached_by = |languages: &[String], newest: u64| {
        let (index, reached) = Index::open(folder.path(), languages, newest.into()).unwrap();
        index.commit(9.into()).unwrap();
        reached.get()
    };
    assert_eq!(reached_by(&languages, 9), 0);
    assert_eq!(reached_by(&languages, 9), 9);
    assert_eq!(reached_by(&languages, 8), 0, "the database is older");
    assert_eq!(reached_by(&["de".to_owned()], 9), 0);
    assert_eq!(reached_by(&languages, 9), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pages_have_each_message_once_whatever_is_said_meanwhile(
        texts in vec(prop_oneof!["meeting", "meet", "meets here"], 1..20),
        limit in 1..5usize,
        ranked: bool,
    ) {
        let mut scene = Scene::new();
        for (place, text) in (1..).zip(&texts) {
            scene.say(text, place, place);
        }
        scene.index.commit(100.into()).unwrap();
        let (mut from, mut seen, mut later) = (From::Before(u64::MAX), Vec::new(), 500);
        if ranked {
            from = From::Behind(u32::MAX, u64::MAX);
        }
        let wanted = Wanted {
            terms: scene.analysis.wanted("meeting"), keys: vec![Key::Body],
            senders: None, not_senders: Vec::new(), ignored: Vec::new(),
        };
        let stretch = Stretch { from: None, until: Some(Order::Live(100.into())) };
        let scopes = Arc::new(Scopes::from([(owned_room_id!("!room:example.org"), vec![stretch])]));
        loop {
            let found = scene.index.find(&wanted, scopes.clone(), from, limit).unwrap();
            prop_assert_eq!(found.count, texts.len());
            let Some(last) = found.hits.last() else { break };
            from = match from {
                From::Before(_) => From::Before(last.shown.get()),
                From::Behind(..) => From::Behind(last.rank, last.shown.get()),
            };
            seen.extend(found.hits.iter().map(|hit| hit.shown.get()));
            scene.say("meeting meet", later, later);
            scene.index.commit(later.into()).unwrap();
            later += 1;
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (1..=texts.len() as u64).collect::<Vec<_>>());
    }
}
