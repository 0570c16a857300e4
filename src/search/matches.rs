//! Collects what is found of what the searcher may see: each message once, by the text that it shows to them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ruma::OwnedRoomId;
use tantivy::{
    DocAddress, DocId, Score, SegmentReader,
    collector::{Collector, SegmentCollector},
    columnar::{Column, StrColumn},
};

use crate::{
    rooms::Stretch,
    storage::{Order, Position},
};

/// The rooms that may be looked at, and the stretches of their timelines.
pub type Scopes = BTreeMap<OwnedRoomId, Vec<Stretch>>;

/// All that is found within these stretches.
pub struct Matches(pub Arc<Scopes>);

/// A message that is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The place of the event to show.
    pub shown: u64,
    /// The place of the event that has the text.
    pub order: u64,
    /// How well it matches; more is better.
    pub rank: u32,
    /// Where the index has it.
    pub address: DocAddress,
}

/// What is found in one segment.
pub struct MatchesOfSegment {
    segment: u32,
    scopes: Arc<Scopes>,
    rooms: Option<StrColumn>,
    order: Column<u64>,
    shown: Column<u64>,
    until: Column<u64>,
    /// The names of the rooms by their numbers here; `None` for those that may not be looked at.
    known: HashMap<u64, Option<OwnedRoomId>>,
    found: Vec<Match>,
}

impl Collector for Matches {
    type Fruit = Vec<Match>;
    type Child = MatchesOfSegment;

    fn for_segment(&self, segment: u32, reader: &SegmentReader) -> tantivy::Result<MatchesOfSegment> {
        let columns = reader.fast_fields();
        Ok(MatchesOfSegment {
            segment,
            scopes: self.0.clone(),
            rooms: columns.str("room")?,
            order: columns.u64("order")?,
            shown: columns.u64("shown")?,
            until: columns.u64("until")?,
            known: HashMap::new(),
            found: Vec::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, fruits: Vec<Vec<Match>>) -> tantivy::Result<Vec<Match>> {
        let mut found = fruits.concat();
        // The best of each message first, which stays.
        found.sort_unstable_by_key(|one| (one.shown, u32::MAX - one.rank));
        found.dedup_by_key(|one| one.shown);
        Ok(found)
    }
}

impl SegmentCollector for MatchesOfSegment {
    type Fruit = Vec<Match>;

    fn collect(&mut self, document: DocId, score: Score) {
        let (Some(order), Some(shown)) = (self.order.first(document), self.shown.first(document)) else { return };
        let until = self.until.first(document);
        let Some(stretches) = self.stretches(document) else { return };
        // Of an edit both have to be open to the reader, itself and the message. A text that was edited away is one only for those
        // who may not see the edit.
        let is_open = |place: u64| stretches.iter().any(|stretch| stretch.contains(Order::Live(Position::from(place))));
        if is_open(order) && (shown == order || is_open(shown)) && !until.is_some_and(is_open) {
            // Scores are sums of small whole numbers.
            let (rank, address) = (score as u32, DocAddress::new(self.segment, document));
            self.found.push(Match { shown, order, rank, address });
        }
    }

    fn harvest(self) -> Vec<Match> {
        self.found
    }
}

impl MatchesOfSegment {
    /// The stretches of the document's room that may be looked at.
    fn stretches(&mut self, document: DocId) -> Option<&Vec<Stretch>> {
        let rooms = self.rooms.as_ref()?;
        let number = rooms.term_ords(document).next()?;
        let scopes = &self.scopes;
        let room = self.known.entry(number).or_insert_with(|| {
            let mut name = String::new();
            rooms.ord_to_str(number, &mut name).ok().filter(|found| *found)?;
            OwnedRoomId::try_from(name).ok().filter(|room| scopes.contains_key(room))
        });
        scopes.get(room.as_ref()?)
    }
}
