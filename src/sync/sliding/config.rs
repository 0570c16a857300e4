//! How much a client wants to know of a room, all rules that pick it taken together.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::{UInt, UserId, events::StateEventType};

use crate::{matrix::event::Event, rooms::RoomState, sync::timeline};

/// What stands for every type or every state key.
const EVERY: &str = "*";

/// The state key that stands for the reader's own id.
const ME: &str = "$ME";

/// The state key that stands for the members of whom the timeline speaks.
const LAZY: &str = "$LAZY";

const MEMBER: &str = "m.room.member";

/// How much a client wants to know of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RoomConfig {
    /// The most events of the timeline.
    pub limit: usize,
    /// The state.
    pub required: Required,
}

/// Which pieces of a room's state a client wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Required {
    /// State keys by type; either may stand for all.
    pairs: BTreeMap<String, BTreeSet<String>>,
    /// Whether members are told when the timeline speaks of them, and a type that stands for all does not stand for theirs.
    pub lazy: bool,
}

impl RoomConfig {
    /// The config of one rule for `reader`.
    pub fn new(limit: UInt, required_state: &[(String, String)], reader: &UserId) -> Self {
        let limit = usize::try_from(u64::from(limit)).unwrap_or(usize::MAX).min(timeline::HIGHEST_LIMIT);
        let mut required = Required::default();
        for (kind, state_key) in required_state {
            match state_key.as_str() {
                LAZY if kind == MEMBER => required.lazy = true,
                ME => required.insert(kind, reader.as_str()),
                _ => required.insert(kind, state_key),
            }
        }
        if !required.lazy && required.has(EVERY, EVERY) {
            // So that a rule with lazy members, joined with this one, does not take anything away from it.
            required.insert(MEMBER, EVERY);
        }
        required.settle();
        Self { limit, required }
    }

    /// Takes in what another rule wants.
    pub fn join(&mut self, other: &Self) {
        self.limit = self.limit.max(other.limit);
        for (kind, keys) in &other.required.pairs {
            self.required.pairs.entry(kind.clone()).or_default().extend(keys.iter().cloned());
        }
        self.required.lazy |= other.required.lazy;
        self.required.settle();
    }
}

impl Required {
    /// Whether the client wants this piece of state whenever it changes.
    pub fn wants(&self, event: &Event) -> bool {
        event.state_key.as_deref().is_some_and(|state_key| self.matches(&event.kind.to_string(), state_key))
    }

    /// The events of `state` that the client wants.
    pub fn select(&self, state: &RoomState) -> Vec<Arc<Event>> {
        if self.pairs.contains_key(EVERY) {
            return state.events().filter(|event| self.wants(event)).cloned().collect();
        }
        let mut selected = Vec::new();
        for (kind, keys) in &self.pairs {
            let kind = StateEventType::from(kind.as_str());
            match keys.contains(EVERY) {
                true => selected.extend(state.of_kind(&kind).map(|(_, event)| event.clone())),
                false => selected.extend(keys.iter().filter_map(|key| state.get(&kind, key)).cloned()),
            }
        }
        selected
    }

    fn matches(&self, kind: &str, state_key: &str) -> bool {
        let of = |kind: &str| self.has(kind, state_key) || self.has(kind, EVERY);
        of(kind) || (!(self.lazy && kind == MEMBER) && of(EVERY))
    }

    fn has(&self, kind: &str, state_key: &str) -> bool {
        self.pairs.get(kind).is_some_and(|keys| keys.contains(state_key))
    }

    fn insert(&mut self, kind: &str, state_key: &str) {
        self.pairs.entry(kind.to_owned()).or_default().insert(state_key.to_owned());
    }

    /// Who wants all members wants none lazily.
    fn settle(&mut self) {
        self.lazy &= !self.has(MEMBER, EVERY);
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    /// Patterns, a type, a state key, and whether they match.
    type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str, bool);

    fn config(pairs: &[(&str, &str)]) -> RoomConfig {
        let pairs: Vec<_> = pairs.iter().map(|(kind, key)| ((*kind).to_owned(), (*key).to_owned())).collect();
        RoomConfig::new(UInt::from(1u8), &pairs, user_id!("@me:b.c"))
    }

    fn matches(config: &RoomConfig, kind: &str, key: &str) -> bool {
        config.required.matches(kind, key)
    }

    #[test]
    fn patterns_match_what_they_say() {
        let cases: &[Case] = &[
            (&[], "a", "", false),
            (&[("a", "")], "a", "", true),
            (&[("a", "")], "a", "b", false),
            (&[("a", "*")], "a", "b", true),
            (&[("*", "b")], "a", "b", true),
            (&[("*", "b")], "a", "c", false),
            (&[("*", "*")], "m.room.member", "@a:b.c", true),
            (&[("m.room.member", "$ME")], "m.room.member", "@me:b.c", true),
            (&[("m.room.member", "$ME")], "m.room.member", "@you:b.c", false),
            (&[("m.room.member", "$LAZY")], "m.room.member", "@me:b.c", false),
            (&[("*", "*"), ("m.room.member", "$LAZY")], "m.room.member", "@me:b.c", false),
            (&[("*", "*"), ("m.room.member", "$LAZY")], "m.room.topic", "", true),
            (&[("*", "*"), ("m.room.member", "$LAZY"), ("m.room.member", "$ME")], "m.room.member", "@me:b.c", true),
        ];
        for (pairs, kind, key, expected) in cases {
            assert_eq!(matches(&config(pairs), kind, key), *expected, "{pairs:?} and {kind} {key:?}");
        }
    }

    #[test]
    fn rules_that_pick_the_same_room_give_what_each_of_them_would() {
        let lazy = config(&[("*", "*"), ("m.room.member", "$LAZY")]);
        let (everything, topic) = (config(&[("*", "*")]), config(&[("m.room.topic", "")]));
        for (one, other) in [(&lazy, &everything), (&everything, &lazy)] {
            let mut joined = one.clone();
            joined.join(other);
            assert!(matches(&joined, "m.room.member", "@you:b.c") && !joined.required.lazy);
        }
        let mut joined = topic;
        joined.join(&lazy);
        assert!(joined.required.lazy && !matches(&joined, "m.room.member", "@you:b.c"));
    }
}
