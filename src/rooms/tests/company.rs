//! Who shares a room with whom, whatever happens in between.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use ruma::{
    OwnedRoomId, OwnedUserId,
    api::client::room::create_room::v3::{Request, RoomPreset},
};

use super::scene::{Scene, user};
use crate::{rooms::*, storage::Position};

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// Who is joined to which of the rooms.
type Joined = BTreeMap<usize, BTreeSet<OwnedUserId>>;

/// The people who share a room with Alice.
fn company(joined: &Joined) -> BTreeSet<OwnedUserId> {
    let shared = joined.values().filter(|members| members.contains(&user("alice"))).flatten();
    shared.filter(|member| **member != user("alice")).cloned().collect()
}

/// Rooms that everybody may join; for now only Alice is in them, who made them.
async fn three_rooms() -> (Rooms, Vec<OwnedRoomId>) {
    let (rooms, mut ids) = (super::rooms(), Vec::new());
    for _ in 0..3 {
        let mut request = Request::new();
        request.preset = Some(RoomPreset::PublicChat);
        ids.push(rooms.create(&user("alice"), request).await.unwrap());
    }
    (rooms, ids)
}

async fn walk(steps: Vec<(usize, usize, bool)>) {
    let (rooms, ids) = three_rooms().await;
    let snapshot = || rooms.shared.store.snapshot();
    let mut joined: Joined = (0..3).map(|room| (room, BTreeSet::from([user("alice")]))).collect();
    let mut past: Vec<(Position, Joined)> = vec![(snapshot().position(), joined.clone())];
    for (room, person, joins) in steps {
        let (members, person) = (joined.get_mut(&room).unwrap(), user(PEOPLE[person]));
        match (members.contains(&person), joins) {
            (false, true) => {
                rooms.join(&ids[room], &person, None).await.unwrap();
                members.insert(person);
            }
            (true, false) => {
                rooms.leave(&ids[room], &person, None).await.unwrap();
                members.remove(&person);
            }
            _ => {}
        }
        past.push((snapshot().position(), joined.clone()));
    }
    let (all, now) = (ids.into_iter().collect(), snapshot());
    for (first, (since, before)) in past.iter().enumerate() {
        for (until, after) in &past[first..] {
            let (before, after) = (company(before), company(after));
            let found = rooms.company_between(&now, &user("alice"), (*since, *until), &all).await.unwrap();
            assert_eq!(found, Company { met: &after - &before, parted: &before - &after });
            let others = PEOPLE[1..].iter().map(|name| user(name));
            let shared = rooms.in_company(&now, &user("alice"), *until, others).await.unwrap();
            assert_eq!(shared, after);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn company_is_what_it_was_at_both_ends(
        steps in proptest::collection::vec((0..3usize, 0..3usize, any::<bool>()), 1..12)
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(walk(steps));
    }
}

#[tokio::test]
async fn one_is_in_ones_own_company() {
    let scene = Scene::private().await;
    let now = scene.rooms.shared.store.snapshot();
    let found = scene.rooms.in_company(&now, &user("alice"), now.position(), [user("alice"), user("bob")]).await;
    assert_eq!(found.unwrap(), BTreeSet::from([user("alice")]));
}
