//! An upgrade happens as a whole, and once.

use std::collections::BTreeSet;

use ruma::{
    OwnedUserId,
    events::{StateEventType, room::member::MembershipState},
};
use serde_json::{Value, json};

use super::{
    super::*,
    scene::{Scene, user},
};
use crate::storage::{
    Direction, KeyRange, Snapshot,
    schema::rooms::{ROOMS, STATE},
};

/// The number of rooms, and whether the scene's one is closed.
async fn what_is_there(scene: &Scene, snapshot: &Snapshot) -> (usize, bool) {
    let rooms = ROOMS.scan(snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
    (rooms.len(), STATE.exists(snapshot, (&scene.id, "m.room.tombstone", "")).await.unwrap())
}

#[tokio::test]
async fn nobody_ever_sees_half_an_upgrade() {
    for version in [RoomVersionId::V11, RoomVersionId::V12] {
        let scene = Scene::new(version.clone(), "shared").await;
        let alice = user("alice");
        for number in 0..450 {
            scene.rooms.ban(&scene.id, &alice, &user(&format!("spammer{number}")), None).await.unwrap();
        }
        let mut growth = scene.rooms.shared.notifier.growth();
        let mut seen = BTreeSet::from([what_is_there(&scene, &scene.rooms.shared.store.snapshot()).await]);
        let mut upgrading = Box::pin(scene.rooms.upgrade(&scene.id, &alice, version, Vec::new()));
        let new = loop {
            tokio::select! {
                biased;
                grown = growth.changed() => {
                    grown.unwrap();
                    seen.insert(what_is_there(&scene, &scene.rooms.shared.store.snapshot()).await);
                }
                done = &mut upgrading => break done.unwrap(),
            }
        };
        seen.insert(what_is_there(&scene, &scene.rooms.shared.store.snapshot()).await);
        assert_eq!(Vec::from_iter(seen), [(1, false), (2, true)]);
        let state = scene.rooms.room(&new).await.unwrap().current();
        assert_eq!(state.membership(&user("spammer449")), MembershipState::Ban);
        // What is in memory is what a restart finds.
        let again = scene.after_restart();
        let [before, after] = [&scene.rooms, &again.rooms].map(async |rooms| {
            let mut heads = Vec::new();
            for id in [&scene.id, &new] {
                let state = rooms.room(id).await.unwrap().current();
                heads.push((state.heads.clone(), state.depth));
            }
            heads
        });
        assert_eq!(before.await, after.await);
    }
}

#[tokio::test]
async fn a_repeated_request_makes_no_second_room_and_a_later_one_does() {
    let scene = Scene::new(RoomVersionId::V10, "shared").await;
    let (alice, bob) = (user("alice"), user("bob"));
    let upgrade = |version: RoomVersionId, creators: &[&OwnedUserId]| {
        let creators = creators.iter().map(|user| (*user).clone()).collect();
        scene.rooms.upgrade(&scene.id, &alice, version, creators)
    };
    let (one, two) = tokio::join!(upgrade(RoomVersionId::V12, &[]), upgrade(RoomVersionId::V12, &[]));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one, two);
    assert_eq!(upgrade(RoomVersionId::V12, &[&alice]).await.unwrap(), one);
    // Who wants another room gets one.
    let with_bob = upgrade(RoomVersionId::V12, &[&bob]).await.unwrap();
    assert_ne!(with_bob, one);
    let older = upgrade(RoomVersionId::V11, &[]).await.unwrap();
    assert_eq!(upgrade(RoomVersionId::V11, &[&bob]).await.unwrap(), older, "version 11 has no additional creators");
    scene.rooms.leave(&older, &alice, None).await.unwrap();
    let another = upgrade(RoomVersionId::V11, &[]).await.unwrap();
    assert_ne!(another, older);
    scene.rooms.shared.clock.advance(std::time::Duration::from_secs(301));
    assert_ne!(upgrade(RoomVersionId::V11, &[]).await.unwrap(), another);
}

#[tokio::test]
async fn the_predecessor_is_named_with_its_last_event() {
    let scene = Scene::new(RoomVersionId::V11, "shared").await;
    let new = scene.rooms.upgrade(&scene.id, &user("alice"), RoomVersionId::V11, Vec::new()).await.unwrap();
    let create = scene.rooms.room(&new).await.unwrap().current();
    let create: Value = create.content(&StateEventType::RoomCreate, "").unwrap();
    let old = scene.rooms.room(&scene.id).await.unwrap().current();
    let tombstone = old.get(&StateEventType::RoomTombstone, "").unwrap();
    assert_eq!(create["predecessor"], json!({ "room_id": scene.id, "event_id": tombstone.id }));
}
