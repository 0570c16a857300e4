//! The lists of a connection: the user's rooms that pass a filter, in order, and which places of them the client looks at.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use ruma::{OwnedRoomId, RoomId, UserId};

use super::{
    config::RoomConfig,
    overview::{Listed, Overview},
    request::{List, SlidingBody},
    told::Told,
};
use crate::{error::Result, rooms::children_of_spaces, storage::Position, sync::Sync};

/// What rooms are ordered by.
type Rank = (Reverse<Position>, OwnedRoomId);

/// A list as the client knows it.
#[derive(Clone)]
pub(super) struct ToldList {
    /// What the client asked for.
    definition: Arc<List>,
    /// The config of its rooms.
    pub config: Arc<RoomConfig>,
    ranges: Arc<Vec<(usize, usize)>>,
    /// The rooms that its spaces name, if it asks for spaces.
    children: Option<Arc<BTreeSet<OwnedRoomId>>>,
    /// The rooms that pass, in order.
    rooms: imbl::Vector<Rank>,
    /// How many rooms may have come into the places that the client looks at, or nothing if all of them have.
    moved: Option<usize>,
}

/// The lists of a request, each carried forward from the answer before if it is the same, else made anew.
pub(super) async fn current(
    sync: &Sync,
    user: &UserId,
    body: &SlidingBody,
    told: &Told,
    overview: &Overview,
    touched: &BTreeSet<OwnedRoomId>,
) -> Result<Vec<(String, ToldList)>> {
    let mut lists = Vec::with_capacity(body.lists.len());
    for (name, definition) in &body.lists {
        let children = match &definition.filters.spaces {
            Some(spaces) => Some(Arc::new(children_of_spaces(&sync.rooms, spaces, user).await?)),
            None => None,
        };
        let before = told
            .lists
            .get(name)
            .filter(|list| list.definition.filters == definition.filters && list.children == children);
        let list = match (before, &told.overview) {
            (Some(before), Some(old)) => before.carried(definition, user, (old, overview), told, touched),
            _ => ToldList::anew(definition, children, user, overview, told),
        };
        lists.push((name.clone(), list));
    }
    Ok(lists)
}

impl ToldList {
    fn anew(
        definition: &List,
        children: Option<Arc<BTreeSet<OwnedRoomId>>>,
        user: &UserId,
        overview: &Overview,
        told: &Told,
    ) -> Self {
        let mut list = Self {
            config: Arc::new(definition.details().config(user)),
            ranges: Arc::new(definition.ranges()),
            definition: Arc::new(definition.clone()),
            children,
            rooms: imbl::Vector::new(),
            moved: None,
        };
        let passing = overview.rooms.iter().filter(|(room_id, listed)| list.takes(room_id, listed, overview, told));
        let mut ranks: Vec<_> = passing.map(|(room_id, listed)| rank(room_id, listed)).collect();
        ranks.sort_unstable();
        list.rooms = ranks.into();
        list
    }

    /// The list after what happened to the `touched` rooms.
    fn carried(
        &self,
        definition: &List,
        user: &UserId,
        (old, new): (&Overview, &Overview),
        told: &Told,
        touched: &BTreeSet<OwnedRoomId>,
    ) -> Self {
        let mut list = self.clone();
        let same = *self.definition == *definition;
        if !same {
            list.definition = Arc::new(definition.clone());
            list.config = Arc::new(definition.details().config(user));
            list.ranges = Arc::new(definition.ranges());
        }
        let mut moved = 0;
        for room_id in touched {
            let old = old.rooms.get(room_id).map(|listed| rank(room_id, listed));
            let new_rank = new.rooms.get(room_id).filter(|listed| list.takes(room_id, listed, new, told));
            let new_rank = new_rank.map(|listed| rank(room_id, listed));
            if let Some(Ok(place)) = old.map(|old| list.rooms.binary_search(&old)) {
                list.rooms.remove(place);
                moved += 1;
            }
            if let Some(rank) = new_rank {
                let (Ok(place) | Err(place)) = list.rooms.binary_search(&rank);
                list.rooms.insert(place, rank);
                moved += 1;
            }
        }
        list.moved = same.then_some(moved);
        list
    }

    fn takes(&self, room_id: &RoomId, listed: &Listed, overview: &Overview, told: &Told) -> bool {
        self.children.as_ref().is_none_or(|children| children.contains(room_id))
            && listed.passes(room_id, &self.definition.filters, &overview.direct, told.rooms.contains_key(room_id))
    }

    /// How many rooms there are in all places.
    pub fn count(&self) -> usize {
        self.rooms.len()
    }

    /// Whether the client asks for the same as it did for this list before.
    pub fn is_unchanged(&self) -> bool {
        self.moved.is_some()
    }

    /// Whether the client looks at the place of this room.
    pub fn shows(&self, room_id: &RoomId, listed: &Listed) -> bool {
        let place = self.rooms.binary_search(&rank(room_id, listed));
        place.is_ok_and(|place| self.ranges.iter().any(|(start, end)| (start..=end).contains(&&place)))
    }

    /// Every room at whose place the client looks.
    pub fn shown(&self) -> impl Iterator<Item = &OwnedRoomId> {
        self.ranges.iter().flat_map(|(start, end)| self.stretch(*start, end.saturating_add(1)))
    }

    /// The rooms that may have come to a place at which the client looks, besides those that were touched: rooms that stayed in
    /// order moved by no more places than others left or came.
    pub fn arrived(&self) -> Vec<OwnedRoomId> {
        let Some(moved) = self.moved else { return self.shown().cloned().collect() };
        let mut arrived = Vec::new();
        for (start, end) in self.ranges.iter() {
            let end = end.saturating_add(1).min(self.rooms.len());
            arrived.extend(self.stretch(*start, start.saturating_add(moved).min(end)).cloned());
            arrived.extend(self.stretch(end.saturating_sub(moved).max(*start), end).cloned());
        }
        arrived
    }

    /// The rooms from one place on, up to another.
    fn stretch(&self, start: usize, end: usize) -> impl Iterator<Item = &OwnedRoomId> {
        let end = end.min(self.rooms.len());
        (start.min(end)..end).filter_map(|place| self.rooms.get(place)).map(|(_, room_id)| room_id)
    }
}

fn rank(room_id: &RoomId, listed: &Listed) -> Rank {
    (Reverse(listed.activity), room_id.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use ruma::user_id;
    use serde_json::json;

    use super::*;

    const ROOMS: u64 = 12;

    fn room(number: u64) -> OwnedRoomId {
        RoomId::parse(format!("!{number}:example.org")).unwrap()
    }

    fn overview(activities: &[Option<u64>]) -> Overview {
        let mut overview = Overview::default();
        for (number, activity) in (0..).zip(activities) {
            overview.rooms.extend(activity.map(|at| (room(number), Listed::active_at(at.into()))));
        }
        overview
    }

    fn activities() -> impl Strategy<Value = Vec<Option<u64>>> {
        vec(prop::option::weighted(0.8, 1..50_u64), ROOMS as usize)
    }

    proptest! {
        #[test]
        fn a_list_that_is_carried_forward_is_that_which_is_made_anew(
            before in activities(),
            changes in vec((0..ROOMS, prop::option::weighted(0.8, 50..99_u64)), 0..4),
            ranges in vec((0..8_u64, 0..6_u64), 1..3),
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(start, length)| (start, start + length)).collect();
            let definition = json!({ "ranges": ranges, "timeline_limit": 1 });
            let definition: List = serde_json::from_value(definition).unwrap();
            let mut after = before.clone();
            for (number, activity) in &changes {
                after[*number as usize] = *activity;
            }
            let touched = changes.iter().map(|(number, _)| room(*number)).collect::<BTreeSet<_>>();
            let (told, reader) = (Told::default(), user_id!("@a:example.org"));
            let (old, new) = (overview(&before), overview(&after));
            let list = ToldList::anew(&definition, None, reader, &old, &told);
            let carried = list.carried(&definition, reader, (&old, &new), &told, &touched);
            let anew = ToldList::anew(&definition, None, reader, &new, &told);
            prop_assert_eq!(&carried.rooms, &anew.rooms);
            let shown = |list: &ToldList| list.shown().cloned().collect::<BTreeSet<_>>();
            let arrived = carried.arrived();
            for room_id in shown(&carried).difference(&shown(&list)) {
                prop_assert!(arrived.contains(room_id) || touched.contains(room_id), "{room_id} came into sight");
            }
            // What has to be looked at grows with what changed, and not with the list.
            prop_assert!(arrived.len() <= 2 * ranges.len() * 2 * touched.len());
            for (room_id, listed) in &new.rooms {
                prop_assert_eq!(carried.shows(room_id, listed), shown(&carried).contains(room_id));
            }
        }
    }
}
