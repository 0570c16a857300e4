//! What is remembered of a room agrees at every moment with what the storage says of that moment.

use std::sync::Barrier;

use ruma::events::StateEventType;
use serde_json::json;

use super::*;
use crate::{
    rooms::{
        Intent,
        tests::scene::{Scene, user},
    },
    storage::{KeyRange, Order},
};

/// What the room's memory says at the newest moment, and what the storage does.
async fn compare(scene: &Scene) {
    let snapshot = scene.rooms.shared.store.snapshot();
    let now = Order::Live(snapshot.position());
    let stored = Changes::load(&snapshot, &scene.id, &user("bob")).await.unwrap();
    let viewer = scene.rooms.viewer(&snapshot, &scene.id, &user("bob")).await.unwrap();
    assert_eq!(viewer.changes(), &stored, "at {:?}", snapshot.position());

    let room = scene.rooms.room(&scene.id).await.unwrap();
    let state = scene.rooms.state_at(&room, now).await.unwrap();
    assert_eq!(state.membership(&user("bob")), stored.membership(), "at {:?}", snapshot.position());

    let newest = scene.rooms.events_in(&snapshot, &room, KeyRange::prefix((&scene.id,)), usize::MAX).await.unwrap();
    let newest = newest.last().map(|event| event.order).unwrap();
    if let (Order::Live(newest), Order::Live(now)) = (newest, now) {
        let before = Position::from(newest.get() - 1);
        assert!(!room.is_quiet_between(before, now), "something was said at {newest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moment_between_visible_and_current_is_seen_as_it_is() {
    let scene = Scene::private().await;
    for membership in ["join", "leave"] {
        let room = scene.rooms.room(&scene.id).await.unwrap();
        if membership == "join" {
            scene.rooms.invite(&scene.id, &user("alice"), &user("bob"), None).await.unwrap();
        }
        compare(&scene).await;
        let mut writer = scene.rooms.write(&room).await.unwrap();
        let content = json!({ "membership": membership });
        let bob = user("bob");
        writer.add(Intent::state(&bob, StateEventType::RoomMember, bob.as_str(), &content).unwrap()).unwrap();
        // Before the writer makes the new state the current one: it waits until somebody has looked.
        let (visible, looked) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (is_visible, has_looked) = (visible.clone(), looked.clone());
        writer.batch().on_visible(move |_| {
            is_visible.wait();
            has_looked.wait();
        });
        let commit = tokio::spawn(writer.commit());
        tokio::task::spawn_blocking(move || visible.wait()).await.unwrap();
        compare(&scene).await;
        tokio::task::spawn_blocking(move || looked.wait()).await.unwrap();
        commit.await.unwrap().unwrap();
        compare(&scene).await;
    }
}

#[tokio::test]
async fn who_forgets_a_room_is_a_stranger_to_it_at_once() {
    let scene = Scene::new(ruma::RoomVersionId::V12, "shared").await;
    scene.join("bob").await;
    let earlier = scene.rooms.shared.store.snapshot();
    compare(&scene).await;
    scene.leave("bob").await;
    compare(&scene).await;
    scene.rooms.forget(&scene.id, &user("bob")).await.unwrap();
    compare(&scene).await;
    let then = scene.rooms.viewer(&earlier, &scene.id, &user("bob")).await.unwrap();
    assert_eq!(then.membership(), MembershipState::Join, "the moment before stays as it was");
}

#[tokio::test]
async fn a_room_that_is_loaded_anew_knows_when_it_changed() {
    let scene = Scene::private().await;
    scene.join("bob").await;
    scene.say("bob", "here").await;
    let before = scene.rooms.room(&scene.id).await.unwrap().current();
    let restarted = scene.after_restart();
    let after = restarted.rooms.room(&scene.id).await.unwrap().current();
    assert_eq!((after.position, after.changed), (before.position, before.changed));
    assert!(after.changed < after.position);
    compare(&restarted).await;
}
