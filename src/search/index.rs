//! The full-text index on the disk: which terms stand where. It holds no texts and can be made anew at any time.

use std::{
    collections::BTreeSet,
    fs, io,
    ops::Bound,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use tantivy::{
    DocAddress, Index as Tantivy, IndexReader, IndexWriter, Order as Sorting, ReloadPolicy, Searcher, TantivyDocument,
    TantivyError, Term,
    collector::{Count, TopDocs},
    indexer::IndexWriterOptions,
    query::{BooleanQuery, BoostQuery, ConstScoreQuery, Occur, Query, RangeQuery, TermQuery, TermSetQuery},
    schema::{FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions},
    tokenizer::{PreTokenizedString, Token},
};
use tracing::warn;

use super::{analysis::Analysis, rooms_found::RoomsFound};
use crate::{
    error::{Error, Result},
    rooms::Stretch,
    storage::Order,
    streams::Position,
};

/// The folder of the index within the search folder. Another number for every change of what is indexed or how, so that an
/// older index is dropped and made anew.
const VERSION: &str = "v1";

/// How much of what is new may wait in memory before it becomes a file, in bytes: the least that the library takes.
const MEMORY: usize = 15_000_000;

/// How much more a word counts as it was typed than as one of its stems.
const EXACT: f32 = 2.0;

/// What part of an event a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The body of a message.
    Body,
    /// A room's name.
    Name,
    /// A room's topic.
    Topic,
}

/// A text to be found.
#[derive(Clone, Debug)]
pub struct Text {
    /// The events with which it goes: the one that has it, and the message of which that is an edit.
    pub events: Vec<OwnedEventId>,
    /// The room.
    pub room: OwnedRoomId,
    /// The place of the event that has it, which decides who may find it.
    pub order: Position,
    /// The place of the event that is shown when this is found: for an edit that of the message.
    pub shown: Position,
    /// Who wrote it.
    pub sender: OwnedUserId,
    /// What it is.
    pub key: Key,
    /// The text itself, of which only the terms are kept.
    pub text: String,
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of each of these lists at least one term.
    pub terms: Vec<Vec<String>>,
    /// In which parts of events.
    pub keys: Vec<Key>,
    /// By these people, if not by anybody.
    pub senders: Option<Vec<OwnedUserId>>,
    /// By none of these.
    pub not_senders: Vec<OwnedUserId>,
}

/// A room and the stretches of its timeline that may be looked at.
pub type Scope = (OwnedRoomId, Vec<Stretch>);

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the newest before this place.
    Before(Position),
    /// With the best but these many, among those up to a place.
    Best(usize, Position),
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The best or newest, with their scores.
    pub hits: Vec<Hit>,
    /// How many there are in all.
    pub count: usize,
}

/// An event that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its room.
    pub room: OwnedRoomId,
    /// The place of what was found.
    pub order: Position,
    /// The place of the event to show for it.
    pub shown: Position,
    /// How well it matches; more is better.
    pub rank: f32,
}

/// The index, for one writer and many readers. Everything here may block.
pub struct Index {
    fields: Fields,
    reader: IndexReader,
    writer: Mutex<IndexWriter>,
}

#[derive(Clone, Copy)]
struct Fields {
    event: Field,
    room: Field,
    order: Field,
    shown: Field,
    sender: Field,
    key: Field,
    text: Field,
}

impl Index {
    /// Opens the index in `folder`, and the position up to which it has everything. What cannot be read, or is of another
    /// version, is thrown away.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub fn open(folder: &Path) -> Result<(Self, Position)> {
        let place = folder.join(VERSION);
        remove_others(folder).map_err(Error::internal)?;
        match Self::open_place(&place) {
            Ok(opened) => Ok(opened),
            Err(cause) => {
                warn!(%cause, "the search index cannot be read; it is made anew");
                fs::remove_dir_all(&place).map_err(Error::internal)?;
                Self::open_place(&place).map_err(Error::internal)
            }
        }
    }

    fn open_place(place: &Path) -> tantivy::Result<(Self, Position)> {
        fs::create_dir_all(place)?;
        let (schema, fields) = schema();
        let directory = tantivy::directory::MmapDirectory::open(place)?;
        let index = Tantivy::open_or_create(directory, schema)?;
        let payload = index.load_metas()?.payload;
        let reached = payload.and_then(|payload| payload.parse::<u64>().ok()).unwrap_or_default();
        let options = IndexWriterOptions::builder().memory_budget_per_thread(MEMORY).num_merge_threads(1).build();
        let writer = Mutex::new(index.writer_with_options(options)?);
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok((Self { fields, reader, writer }, reached.into()))
    }

    /// Adds a text; it can be found after [`Index::commit`].
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn add(&self, analysis: &mut Analysis, text: Text) -> Result<()> {
        let fields = self.fields;
        let mut document = TantivyDocument::new();
        text.events.iter().for_each(|event| document.add_text(fields.event, event));
        document.add_text(fields.room, &text.room);
        document.add_u64(fields.order, text.order.get());
        document.add_u64(fields.shown, text.shown.get());
        document.add_text(fields.sender, &text.sender);
        document.add_text(fields.key, text.key.name());
        let token = |(position, text)| Token { position, text, ..Token::default() };
        let tokens = analysis.terms(&text.text).into_iter().enumerate().map(token).collect();
        document.add_pre_tokenized_text(fields.text, PreTokenizedString { text: String::new(), tokens });
        self.lock().add_document(document).map(drop).map_err(Error::internal)
    }

    /// Has everything that goes with an event forgotten, after [`Index::commit`].
    pub fn forget(&self, event: &EventId) {
        self.lock().delete_term(Term::from_field_text(self.fields.event, event.as_str()));
    }

    /// Keeps what was added and forgotten, which makes the index one of everything up to `reached`.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn commit(&self, reached: Position) -> Result<()> {
        let commit = || -> tantivy::Result<()> {
            let mut writer = self.lock();
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(&reached.to_string());
            commit.commit()?;
            drop(writer);
            self.reader.reload()
        };
        commit().map_err(Error::internal)
    }

    /// Those of `rooms` in which something is found, wherever it stands.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn rooms_with(&self, wanted: &Wanted, rooms: &BTreeSet<OwnedRoomId>) -> Result<BTreeSet<OwnedRoomId>> {
        let terms = rooms.iter().map(|room| self.room(room));
        let query = BooleanQuery::new(vec![
            (Occur::Must, self.matching(wanted)),
            (Occur::Must, without_rank(TermSetQuery::new(terms))),
        ]);
        self.reader.searcher().search(&query, &RoomsFound).map_err(Error::internal)
    }

    /// At most `limit` texts that are found in these stretches of these rooms.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn find(&self, wanted: &Wanted, scopes: &[Scope], from: From, limit: usize) -> Result<Found> {
        let places = scopes.iter().map(|scope| (Occur::Should, self.within(scope))).collect();
        let everything = BooleanQuery::new(vec![
            (Occur::Must, self.matching(wanted)),
            (Occur::Must, without_rank(BooleanQuery::new(places))),
        ]);
        self.top(&everything, from, limit).map_err(Error::internal)
    }

    fn top(&self, everything: &BooleanQuery, from: From, limit: usize) -> tantivy::Result<Found> {
        let searcher = self.reader.searcher();
        let until = |last| Box::new(RangeQuery::new(Bound::Unbounded, last)) as Box<dyn Query>;
        let bounded = |last| {
            let part = vec![
                (Occur::Must, Box::new(everything.clone()) as Box<dyn Query>),
                (Occur::Must, without_rank(until(last))),
            ];
            BooleanQuery::new(part)
        };
        let (ranked, count): (Vec<(f32, DocAddress)>, _) = match from {
            From::Before(place) => {
                let query = bounded(Bound::Excluded(self.order(place.get())));
                let newest = TopDocs::with_limit(limit).order_by_fast_field::<u64>("order", Sorting::Desc);
                let addresses = searcher.search(&query, &newest)?;
                (
                    addresses.into_iter().map(|(_, address)| (1.0, address)).collect(),
                    searcher.search(everything, &Count)?,
                )
            }
            From::Best(skipped, last) => {
                let query = bounded(Bound::Included(self.order(last.get())));
                let best = TopDocs::with_limit(limit).and_offset(skipped).order_by_score();
                searcher.search(&query, &(best, Count))?
            }
        };
        let hits =
            ranked.into_iter().map(|(rank, address)| hit(&searcher, rank, address)).collect::<tantivy::Result<_>>()?;
        Ok(Found { hits, count })
    }

    /// The words, and what does not depend on the searcher.
    fn matching(&self, wanted: &Wanted) -> Box<dyn Query> {
        let Wanted { terms, keys, senders, not_senders } = wanted;
        let mut parts: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for any in terms {
            let term = |(place, text): (usize, &String)| {
                let term = Term::from_field_text(self.fields.text, text);
                let boost = if place == 0 { EXACT } else { 1.0 };
                let query = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
                (Occur::Should, Box::new(BoostQuery::new(query, boost)) as Box<dyn Query>)
            };
            parts.push((Occur::Must, Box::new(BooleanQuery::new(any.iter().enumerate().map(term).collect()))));
        }
        let keys = keys.iter().map(|key| Term::from_field_text(self.fields.key, key.name()));
        parts.push((Occur::Must, without_rank(TermSetQuery::new(keys))));
        let sender = |user: &OwnedUserId| self.sender(user);
        if let Some(senders) = senders {
            parts.push((Occur::Must, without_rank(TermSetQuery::new(senders.iter().map(sender)))));
        }
        if !not_senders.is_empty() {
            parts.push((Occur::MustNot, Box::new(TermSetQuery::new(not_senders.iter().map(sender)))));
        }
        Box::new(BooleanQuery::new(parts))
    }

    fn within(&self, (room, stretches): &Scope) -> Box<dyn Query> {
        let room = TermQuery::new(self.room(room), IndexRecordOption::Basic);
        let bound = |order: Option<Order>| match order {
            Some(Order::Live(position)) => Some(Bound::Included(self.order(position.get()))),
            // All that is indexed is live, and history is before that.
            Some(Order::Backfilled(_)) => Some(Bound::Excluded(self.order(0))),
            None => None,
        };
        let ranges = stretches.iter().filter_map(|stretch| {
            let from = match stretch.from {
                Some(Order::Live(position)) => Bound::Included(self.order(position.get())),
                _ => Bound::Included(self.order(0)),
            };
            let until = match stretch.until {
                Some(Order::Backfilled(_)) => return None,
                until => bound(until).unwrap_or(Bound::Included(self.order(u64::MAX))),
            };
            Some((Occur::Should, Box::new(RangeQuery::new(from, until)) as Box<dyn Query>))
        });
        let ranges = Box::new(BooleanQuery::new(ranges.collect()));
        Box::new(BooleanQuery::new(vec![(Occur::Must, Box::new(room)), (Occur::Must, ranges)]))
    }

    fn room(&self, room: &RoomId) -> Term {
        Term::from_field_text(self.fields.room, room.as_str())
    }

    fn sender(&self, user: &UserId) -> Term {
        Term::from_field_text(self.fields.sender, user.as_str())
    }

    fn order(&self, number: u64) -> Term {
        Term::from_field_u64(self.fields.order, number)
    }

    /// The library keeps the index whole, so that a panic elsewhere has broken nothing.
    fn lock(&self) -> MutexGuard<'_, IndexWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Name => "name",
            Self::Topic => "topic",
        }
    }
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    // The terms come ready-made, so that the name of an analyser is never looked up.
    let indexing = TextFieldIndexing::default().set_index_option(IndexRecordOption::WithFreqs).set_tokenizer("raw");
    let fields = Fields {
        event: schema.add_text_field("event", STRING),
        room: schema.add_text_field("room", STRING | FAST),
        order: schema.add_u64_field("order", FAST | INDEXED),
        shown: schema.add_u64_field("shown", FAST),
        sender: schema.add_text_field("sender", STRING),
        key: schema.add_text_field("key", STRING),
        text: schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing)),
    };
    (schema.build(), fields)
}

/// A condition that says nothing about how well something matches.
fn without_rank(query: impl Query) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(Box::new(query), 0.0))
}

fn hit(searcher: &Searcher, rank: f32, address: DocAddress) -> tantivy::Result<Hit> {
    let fields = searcher.segment_reader(address.segment_ord).fast_fields();
    let place = |field| fields.u64(field)?.first(address.doc_id).map(Position::from).ok_or_else(broken);
    let rooms = fields.str("room")?.ok_or_else(broken)?;
    let mut room = String::new();
    let number = rooms.term_ords(address.doc_id).next().ok_or_else(broken)?;
    rooms.ord_to_str(number, &mut room)?;
    let room = OwnedRoomId::try_from(room).map_err(|_| broken())?;
    Ok(Hit { room, order: place("order")?, shown: place("shown")?, rank })
}

fn broken() -> TantivyError {
    TantivyError::SystemError("the search index lacks a value".to_owned())
}

/// Removes the indexes of other versions.
fn remove_others(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != VERSION {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
