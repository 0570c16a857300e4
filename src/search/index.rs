//! The full-text index on the disk: which terms stand where. It holds no texts and can be made anew at any time.

mod query;

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    fs, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use tantivy::{
    Directory, Index as Tantivy, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, TantivyError, Term,
    collector::DocSetCollector,
    index::IndexSettings,
    indexer::IndexWriterOptions,
    query::{BooleanQuery, Occur, TermQuery, TermSetQuery},
    schema::{FAST, Field, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions},
    store::Compressor,
    tokenizer::{PreTokenizedString, Token},
};
use tracing::{debug, warn};

use self::query::without_rank;
use super::{
    analysis::{Analysis, Sought},
    matches::{Match, Matches, Scopes},
    rooms_found::RoomsFound,
};
use crate::{
    error::{Error, Result},
    streams::Position,
};

/// How the folder of the index within the search folder begins, before the languages. Another number for every change of what is
/// indexed or how, so that an older index is dropped and made anew.
const VERSION: &str = "v3";

/// How much of what is new may wait in memory before it becomes a file, in bytes: the least that the library takes.
const MEMORY: usize = 15_000_000;

/// What part of an event a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The body of a message.
    Body,
    /// The body of a message with a file, usually the file's name.
    File,
    /// A room's name.
    Name,
    /// A room's topic.
    Topic,
}

/// A text to be found.
#[derive(Clone, Debug)]
pub struct Text {
    /// The event that has it.
    pub event: OwnedEventId,
    /// The message of which that is an edit.
    pub edited: Option<OwnedEventId>,
    /// The room.
    pub room: OwnedRoomId,
    /// The place of the event that has it, which decides who may find it.
    pub order: Position,
    /// The place of the event that is shown when this is found: for an edit that of the message.
    pub shown: Position,
    /// The place of the edit that replaces it, for those who may see that.
    pub until: Option<Position>,
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
    /// All of these.
    pub terms: Vec<Sought>,
    /// In which parts of events.
    pub keys: Vec<Key>,
    /// By these people, if not by anybody.
    pub senders: Option<Vec<OwnedUserId>>,
    /// By none of these.
    pub not_senders: Vec<OwnedUserId>,
    /// No messages by any of these, whose names and topics for rooms count all the same.
    pub ignored: Vec<OwnedUserId>,
}

/// In which order, and where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the newest before this place.
    Before(u64),
    /// With the best behind this rank and place.
    Behind(u32, u64),
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
    /// The place of the event to show for it.
    pub shown: Position,
    /// The place of the event that has the text: the same one, or the edit of it that shows.
    pub order: Position,
    /// How well it matches; more is better.
    pub rank: u32,
}

/// The index, for one writer and many readers. Everything here may block.
pub struct Index {
    fields: Fields,
    index: Tantivy,
    reader: IndexReader,
    /// Made when there is something to write, since it takes some megabytes and threads of its own.
    writer: Mutex<Option<IndexWriter>>,
}

#[derive(Clone, Copy)]
struct Fields {
    event: Field,
    edited: Field,
    room: Field,
    order: Field,
    shown: Field,
    until: Field,
    sender: Field,
    key: Field,
    text: Field,
}

impl Index {
    /// Opens the index in `folder` of texts in these languages, and the position up to which it has everything. What cannot be
    /// read, is of another version or languages, or knows more than the `newest` position, is thrown away.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub fn open(folder: &Path, languages: &[String], newest: Position) -> Result<(Self, Position)> {
        let name = [&[VERSION.to_owned()], languages].concat().join("-");
        let place = folder.join(&name);
        remove_others(folder, &name).map_err(Error::internal)?;
        match Self::open_place(&place) {
            Ok((index, reached)) if reached <= newest => return Ok((index, reached)),
            // The database was put back to what it had been before.
            Ok(_) => warn!("the search index is ahead of the database; it is made anew"),
            Err(cause) => warn!(%cause, "the search index cannot be read; it is made anew"),
        }
        fs::remove_dir_all(&place).map_err(Error::internal)?;
        Self::open_place(&place).map_err(Error::internal)
    }

    fn open_place(place: &Path) -> tantivy::Result<(Self, Position)> {
        fs::create_dir_all(place)?;
        Self::in_directory(tantivy::directory::MmapDirectory::open(place)?)
    }

    fn in_directory(directory: impl Into<Box<dyn Directory>>) -> tantivy::Result<(Self, Position)> {
        let (schema, fields) = schema();
        // No texts are kept, so that there is nothing to compress.
        let settings = IndexSettings {
            docstore_compression: Compressor::None,
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let index = Tantivy::builder().schema(schema).settings(settings).open_or_create(directory)?;
        let payload = index.load_metas()?.payload;
        let reached = payload.and_then(|payload| payload.parse::<u64>().ok()).unwrap_or_default();
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok((Self { fields, index, reader, writer: Mutex::default() }, reached.into()))
    }

    /// Adds a text; it can be found after [`Index::commit`].
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn add(&self, analysis: &mut Analysis, text: Text) -> Result<()> {
        let fields = self.fields;
        let mut document = TantivyDocument::new();
        document.add_text(fields.event, &text.event);
        if let Some(edited) = &text.edited {
            document.add_text(fields.edited, edited);
        }
        document.add_text(fields.room, &text.room);
        document.add_u64(fields.order, text.order.get());
        document.add_u64(fields.shown, text.shown.get());
        if let Some(until) = text.until {
            document.add_u64(fields.until, until.get());
        }
        document.add_text(fields.sender, &text.sender);
        document.add_text(fields.key, text.key.name());
        let token = |(position, text)| Token { position, text, ..Token::default() };
        let tokens = analysis.terms(&text.text).into_iter().map(token).collect();
        document.add_pre_tokenized_text(fields.text, PreTokenizedString { text: String::new(), tokens });
        self.write(|writer| writer.add_document(document).map(drop)).map_err(Error::internal)
    }

    /// Adds a text in place of what there is of its event.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn replace(&self, analysis: &mut Analysis, text: Text) -> Result<()> {
        let event = Term::from_field_text(self.fields.event, text.event.as_str());
        self.write(|writer| Ok(writer.delete_term(event))).map_err(Error::internal)?;
        self.add(analysis, text)
    }

    /// Has an event and all its edits forgotten, after [`Index::commit`].
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn forget(&self, event: &EventId) -> Result<()> {
        let terms = [self.fields.event, self.fields.edited].map(|field| Term::from_field_text(field, event.as_str()));
        let forget = |writer: &mut IndexWriter| {
            for term in terms {
                writer.delete_term(term);
            }
            Ok(())
        };
        self.write(forget).map_err(Error::internal)
    }

    /// The place of the message of which an event is an edit, if the index knows it as one.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn edited_by(&self, event: &EventId) -> Result<Option<Position>> {
        let term = Term::from_field_text(self.fields.event, event.as_str());
        let query = TermQuery::new(term, IndexRecordOption::Basic);
        let look = || -> tantivy::Result<Option<Position>> {
            let searcher = self.reader.searcher();
            let Some(found) = searcher.search(&query, &DocSetCollector)?.into_iter().next() else { return Ok(None) };
            let columns = searcher.segment_reader(found.segment_ord).fast_fields();
            let value = |name| Ok::<_, TantivyError>(columns.u64(name)?.first(found.doc_id));
            let (order, shown) = (value("order")?, value("shown")?);
            Ok(shown.filter(|_| shown != order).map(Position::from))
        };
        look().map_err(Error::internal)
    }

    /// Keeps what was added and forgotten, which makes the index one of everything up to `reached`.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn commit(&self, reached: Position) -> Result<()> {
        let commit = |writer: &mut IndexWriter| {
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(&reached.to_string());
            commit.commit().map(drop)
        };
        self.write(commit).and_then(|()| self.reader.reload()).map_err(Error::internal)
    }

    /// Lets go of what is only there for writing. What was not committed is lost.
    ///
    /// # Errors
    ///
    /// If files could not be merged.
    pub fn rest(&self) -> Result<()> {
        let writer = self.lock().take();
        writer.map_or(Ok(()), IndexWriter::wait_merging_threads).map_err(Error::internal)
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

    /// At most `limit` messages that are found in these stretches of these rooms, and how many there are in all.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn find(&self, wanted: &Wanted, scopes: Arc<Scopes>, from: From, limit: usize) -> Result<Found> {
        let rooms = scopes.keys().map(|room| self.room(room));
        let query = BooleanQuery::new(vec![
            (Occur::Must, self.matching(wanted)),
            (Occur::Must, without_rank(TermSetQuery::new(rooms))),
        ]);
        let find = || -> tantivy::Result<Found> {
            let searcher = self.reader.searcher();
            let mut matches = searcher.search(&query, &Matches(scopes))?;
            let count = matches.len();
            keep_best(&mut matches, from, limit);
            let hits = matches.into_iter().map(|found| hit(&searcher, found)).collect::<tantivy::Result<_>>()?;
            Ok(Found { hits, count })
        };
        find().map_err(Error::internal)
    }

    /// Forgets what was added and forgotten since the last commit.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn rollback(&self) -> Result<()> {
        match &mut *self.lock() {
            Some(writer) => writer.rollback().map(drop).map_err(Error::internal),
            None => Ok(()),
        }
    }

    /// Whether all files are as they were written.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn is_whole(&self) -> Result<bool> {
        self.index.validate_checksum().map(|damaged| damaged.is_empty()).map_err(Error::internal)
    }

    /// Throws everything away.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn clear(&self) -> Result<()> {
        self.write(|writer| writer.delete_all_documents()).map_err(Error::internal)?;
        self.commit(Position::ZERO)
    }

    /// Writes the files anew that still have terms of what was forgotten, and removes the old ones.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn purge(&self) -> Result<()> {
        let purge = || -> tantivy::Result<()> {
            let mut stale = self.index.searchable_segment_metas()?;
            stale.retain(|segment| segment.num_deleted_docs() > 0);
            if stale.is_empty() {
                return Ok(());
            }
            for segment in stale {
                // Texts may be added meanwhile. A segment that is being merged already loses what was forgotten thereby.
                let merging = self.write(|writer| Ok(writer.merge(&[segment.id()])))?;
                if let Err(cause) = merging.wait() {
                    debug!(%cause, "a part of the search index is not written anew this time");
                }
            }
            self.reader.reload()?;
            let collecting = self.write(|writer| Ok(writer.garbage_collect_files()))?;
            collecting.wait().map(drop)
        };
        purge().map_err(Error::internal)
    }

    fn room(&self, room: &RoomId) -> Term {
        Term::from_field_text(self.fields.room, room.as_str())
    }

    fn sender(&self, user: &UserId) -> Term {
        Term::from_field_text(self.fields.sender, user.as_str())
    }

    /// Does something with the writer, which is made if there is none.
    fn write<T>(&self, work: impl FnOnce(&mut IndexWriter) -> tantivy::Result<T>) -> tantivy::Result<T> {
        let mut place = self.lock();
        if place.is_none() {
            let options = IndexWriterOptions::builder()
                .num_worker_threads(1)
                .memory_budget_per_thread(MEMORY)
                .num_merge_threads(1)
                .build();
            *place = Some(self.index.writer_with_options(options)?);
        }
        place.as_mut().map_or_else(|| Err(broken()), work)
    }

    /// The library keeps the index whole, so that a panic elsewhere has broken nothing.
    fn lock(&self) -> MutexGuard<'_, Option<IndexWriter>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::File => "file",
            Self::Name => "name",
            Self::Topic => "topic",
        }
    }
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    // The terms come ready-made, so that the name of an analyser is never looked up.
    let indexing = TextFieldIndexing::default().set_tokenizer("raw");
    // Places are there for what stands in quotation marks.
    let indexing = indexing.set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let indexing = indexing.set_fieldnorms(false);
    let fields = Fields {
        event: schema.add_text_field("event", STRING),
        edited: schema.add_text_field("edited", STRING),
        room: schema.add_text_field("room", STRING | FAST),
        order: schema.add_u64_field("order", FAST),
        shown: schema.add_u64_field("shown", FAST),
        until: schema.add_u64_field("until", FAST),
        sender: schema.add_text_field("sender", STRING),
        key: schema.add_text_field("key", STRING),
        text: schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing)),
    };
    (schema.build(), fields)
}

/// Keeps the first `limit` of those that are behind where one goes on, in order.
fn keep_best(matches: &mut Vec<Match>, from: From, limit: usize) {
    let key = |found: &Match| match from {
        From::Before(_) => (0, found.shown),
        From::Behind(..) => (found.rank, found.shown),
    };
    let end = match from {
        From::Before(place) => (0, place),
        From::Behind(rank, place) => (rank, place),
    };
    matches.retain(|found| key(found) < end);
    if matches.len() > limit {
        matches.select_nth_unstable_by_key(limit, |found| Reverse(key(found)));
        matches.truncate(limit);
    }
    matches.sort_unstable_by_key(|found| Reverse(key(found)));
}

fn hit(searcher: &Searcher, found: Match) -> tantivy::Result<Hit> {
    let rooms = searcher.segment_reader(found.address.segment_ord).fast_fields().str("room")?.ok_or_else(broken)?;
    let mut room = String::new();
    let number = rooms.term_ords(found.address.doc_id).next().ok_or_else(broken)?;
    rooms.ord_to_str(number, &mut room)?;
    let room = OwnedRoomId::try_from(room).map_err(|_| broken())?;
    Ok(Hit { room, shown: found.shown.into(), order: found.order.into(), rank: found.rank })
}

fn broken() -> TantivyError {
    TantivyError::SystemError("the search index lacks a value".to_owned())
}

/// Removes the indexes of other versions and languages.
fn remove_others(folder: &Path, own: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != own && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
