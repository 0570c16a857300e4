//! Collects the rooms in which something is found, without looking at every place.

use std::collections::{BTreeSet, HashSet};

use ruma::OwnedRoomId;
use tantivy::{
    DocId, Score, SegmentReader,
    collector::{Collector, SegmentCollector},
    columnar::StrColumn,
};

/// The rooms of everything that is found.
pub struct RoomsFound;

/// The rooms of one segment, by their numbers there.
pub struct RoomsOfSegment {
    rooms: Option<StrColumn>,
    found: HashSet<u64>,
}

impl Collector for RoomsFound {
    type Fruit = BTreeSet<OwnedRoomId>;
    type Child = RoomsOfSegment;

    fn for_segment(&self, _: u32, segment: &SegmentReader) -> tantivy::Result<RoomsOfSegment> {
        Ok(RoomsOfSegment { rooms: segment.fast_fields().str("room")?, found: HashSet::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<BTreeSet<OwnedRoomId>>) -> tantivy::Result<BTreeSet<OwnedRoomId>> {
        Ok(fruits.into_iter().flatten().collect())
    }
}

impl SegmentCollector for RoomsOfSegment {
    type Fruit = BTreeSet<OwnedRoomId>;

    fn collect(&mut self, document: DocId, _: Score) {
        if let Some(rooms) = &self.rooms {
            self.found.extend(rooms.term_ords(document));
        }
    }

    fn harvest(self) -> BTreeSet<OwnedRoomId> {
        let Some(rooms) = self.rooms else { return BTreeSet::new() };
        let name = |number: u64| {
            let mut name = String::new();
            rooms.ord_to_str(number, &mut name).ok().filter(|found| *found)?;
            name.try_into().ok()
        };
        self.found.into_iter().filter_map(name).collect()
    }
}
