//! Turns what is looked for into a query of the index.

use std::ops::Bound;

use ruma::OwnedUserId;
use tantivy::{
    Term,
    query::{BooleanQuery, ConstScoreQuery, Occur, PhraseQuery, Query, RangeQuery, TermQuery, TermSetQuery},
    schema::IndexRecordOption,
};

use super::{Index, Key, Wanted};
use crate::search::analysis::Sought;

/// How much a word counts as it was typed, as one of its stems, and as the beginning of one. Whole numbers, which add up alike wherever
/// they stand, and none that depend on what else there is, so that pages follow each other exactly.
const EXACT: f32 = 4.0;
const STEM: f32 = 2.0;
const BEGINNING: f32 = 1.0;

impl Index {
    /// The words, and what does not depend on the searcher.
    pub(super) fn matching(&self, wanted: &Wanted) -> Box<dyn Query> {
        let Wanted { terms, keys, senders, not_senders, ignored } = wanted;
        let mut parts: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        parts.extend(terms.iter().map(|sought| (Occur::Must, self.sought(sought))));
        let keys = keys.iter().map(|key| Term::from_field_text(self.fields.key, key.name()));
        parts.push((Occur::Must, without_rank(TermSetQuery::new(keys))));
        let sender = |user: &OwnedUserId| self.sender(user);
        if let Some(senders) = senders {
            parts.push((Occur::Must, without_rank(TermSetQuery::new(senders.iter().map(sender)))));
        }
        if !not_senders.is_empty() {
            parts.push((Occur::MustNot, Box::new(TermSetQuery::new(not_senders.iter().map(sender)))));
        }
        if !ignored.is_empty() {
            let messages = [Key::Body, Key::File].map(|key| Term::from_field_text(self.fields.key, key.name()));
            let theirs = BooleanQuery::intersection(vec![
                Box::new(TermSetQuery::new(messages)),
                Box::new(TermSetQuery::new(ignored.iter().map(sender))),
            ]);
            parts.push((Occur::MustNot, Box::new(theirs)));
        }
        Box::new(BooleanQuery::new(parts))
    }

    /// One of the things that a text has to have.
    fn sought(&self, sought: &Sought) -> Box<dyn Query> {
        match sought {
            Sought::Word { terms, goes_on } => {
                let mut ways: Vec<(Occur, Box<dyn Query>)> = Vec::new();
                for (place, term) in terms.iter().enumerate() {
                    let query = TermQuery::new(self.text(term), IndexRecordOption::Basic);
                    ways.push((Occur::Should, ranked(query, if place == 0 { EXACT } else { STEM })));
                }
                if let (Some(word), true) = (terms.first(), goes_on) {
                    ways.push((Occur::Should, ranked(self.beginning(word), BEGINNING)));
                }
                Box::new(BooleanQuery::new(ways))
            }
            Sought::Phrase(terms) => {
                let terms: Vec<_> = terms.iter().map(|(place, term)| (*place, self.text(term))).collect();
                let rank = EXACT * terms.len() as f32;
                ranked(PhraseQuery::new_with_offset(terms), rank)
            }
        }
    }

    /// Any term that begins so.
    fn beginning(&self, word: &str) -> impl Query {
        let end = format!("{word}{}", char::MAX);
        RangeQuery::new(Bound::Included(self.text(word)), Bound::Excluded(self.text(&end)))
    }

    fn text(&self, term: &str) -> Term {
        Term::from_field_text(self.fields.text, term)
    }
}

/// A condition that says nothing about how well something matches.
pub(super) fn without_rank(query: impl Query) -> Box<dyn Query> {
    ranked(query, 0.0)
}

fn ranked(query: impl Query, rank: f32) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(Box::new(query), rank))
}
