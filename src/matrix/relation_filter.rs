//! The parts of a client's filter that speak of relations and that ruma 0.17 does not know.

use ruma::{OwnedUserId, events::relation::RelationType};
use serde::Deserialize;

use super::event::Event;

/// Which events are wanted, by how they relate to others and others to them.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RelationFilter {
    /// Only events to which one of these people has related another one.
    pub related_by_senders: Option<Vec<OwnedUserId>>,
    /// Only events to which another one relates in one of these ways.
    pub related_by_rel_types: Option<Vec<String>>,
    /// Only events that relate to another one in one of these ways (MSC3874).
    #[serde(rename = "org.matrix.msc3874.rel_types")]
    pub rel_types: Option<Vec<String>>,
    /// No events that relate to another one in one of these ways (MSC3874).
    #[serde(rename = "org.matrix.msc3874.not_rel_types", default)]
    pub not_rel_types: Vec<String>,
}

impl RelationFilter {
    /// The part of a room event filter as JSON that speaks of relations.
    ///
    /// # Errors
    ///
    /// Fails for what is no such filter.
    pub fn of_room_events(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// The part of a whole filter as JSON that speaks of the relations of events in timelines.
    ///
    /// # Errors
    ///
    /// Fails for what is no such filter.
    pub fn of_timelines(json: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Filter {
            #[serde(default)]
            room: Room,
        }
        #[derive(Default, Deserialize)]
        struct Room {
            #[serde(default)]
            timeline: RelationFilter,
        }

        serde_json::from_str::<Filter>(json).map(|filter| filter.room.timeline)
    }

    /// Whether an event passes as far as it tells itself.
    pub fn passes(&self, event: &Event) -> bool {
        if self.rel_types.is_none() && self.not_rel_types.is_empty() {
            return true;
        }
        let kind = event.relation().map(|relation: super::event::Relation<'_>| relation.kind);
        let is = |name: &String| kind.as_ref().is_some_and(|kind| *kind == RelationType::from(name.as_str()));
        !self.not_rel_types.iter().any(is) && self.rel_types.as_ref().is_none_or(|wanted| wanted.iter().any(is))
    }

    /// Whether it depends on what relates to an event whether that passes.
    pub fn asks_for_children(&self) -> bool {
        self.related_by_senders.is_some() || self.related_by_rel_types.is_some()
    }
}
