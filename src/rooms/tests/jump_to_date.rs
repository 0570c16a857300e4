//! From a time to an event, whatever order the times have in the timeline.

use ruma::{MilliSecondsSinceUnixEpoch, UInt};

use super::{
    super::*,
    scene::{Scene, user},
    text,
};
use crate::{
    error::{Kind, Result},
    storage::Direction,
};

const BEGAN: u64 = 1_000_000;

/// Says something in `scene` that bears a time.
async fn say_at(scene: &Scene, name: &str, time: u64, body: &str) {
    let timestamp = Some(at(time));
    let intent = Intent { timestamp, ..Intent::message(&user(name), "m.room.message", text(body)) };
    scene.rooms.append(&scene.id, intent).await.unwrap();
}

fn at(time: u64) -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(UInt::new_saturating(time))
}

/// What this person finds at a time.
async fn found(scene: &Scene, name: &str, time: u64, direction: Direction) -> Result<String> {
    let (id, _) = scene.rooms.jump_to_date(&scene.id, &user(name), at(time), direction).await?;
    let event = scene.event(name, &id).await?;
    Ok(event["content"]["body"].as_str().or(event["type"].as_str()).unwrap().to_owned())
}

#[tokio::test]
async fn times_that_go_back_and_forth_are_found() {
    let scene = Scene::private().await;
    for (time, body) in [(30, "thirty"), (10, "ten"), (20, "first twenty"), (20, "second twenty"), (40, "forty")] {
        say_at(&scene, "alice", BEGAN + time, body).await;
    }
    for (time, forward, backward) in [
        (20, "first twenty", "second twenty"),
        (11, "first twenty", "ten"),
        (21, "thirty", "second twenty"),
        (40, "forty", "forty"),
    ] {
        assert_eq!(found(&scene, "alice", BEGAN + time, Direction::Forward).await.unwrap(), forward, "{time}");
        assert_eq!(found(&scene, "alice", BEGAN + time, Direction::Reverse).await.unwrap(), backward, "{time}");
    }
    let nothing = found(&scene, "alice", BEGAN + 41, Direction::Forward).await.unwrap_err();
    assert_eq!(nothing.kind, Kind::NotFound);
}

#[tokio::test]
async fn what_a_person_may_not_see_is_jumped_over_however_much_it_is() {
    let scene = Scene::new(RoomVersionId::V12, "joined").await;
    let room = scene.rooms.room(&scene.id).await.unwrap();
    // More closed events than one request reads of the index.
    for chunk in 0..9 {
        let mut writer = scene.rooms.write(&room).await.unwrap();
        for number in 0..500 {
            let timestamp = Some(at(BEGAN + chunk * 500 + number));
            writer
                .add(Intent { timestamp, ..Intent::message(&user("alice"), "m.room.message", text("closed")) })
                .unwrap();
        }
        writer.commit().await.unwrap();
    }
    scene.join("bob").await;
    say_at(&scene, "alice", BEGAN + 9_000, "open").await;
    say_at(&scene, "alice", BEGAN + 9_001, "open later").await;
    assert_eq!(found(&scene, "bob", BEGAN, Direction::Forward).await.unwrap(), "open");
    assert_eq!(found(&scene, "alice", BEGAN, Direction::Forward).await.unwrap(), "closed");
}

#[tokio::test]
async fn a_time_in_the_middle_of_what_is_open_is_found_behind_all_that_is_closed() {
    let scene = Scene::new(RoomVersionId::V12, "joined").await;
    let room = scene.rooms.room(&scene.id).await.unwrap();
    scene.join("bob").await;
    for number in 0..200 {
        say_at(&scene, "alice", BEGAN + number * 10, &format!("open {number}")).await;
    }
    scene.leave("bob").await;
    // What a bridge brings in from long ago, between the times of two open events.
    for _ in 0..9 {
        let mut writer = scene.rooms.write(&room).await.unwrap();
        for number in 0..500 {
            let timestamp = Some(at(BEGAN + 1_001 + number % 9));
            writer
                .add(Intent { timestamp, ..Intent::message(&user("alice"), "m.room.message", text("closed")) })
                .unwrap();
        }
        writer.commit().await.unwrap();
    }
    assert_eq!(found(&scene, "bob", BEGAN + 1_001, Direction::Forward).await.unwrap(), "open 101");
    assert_eq!(found(&scene, "bob", BEGAN + 1_009, Direction::Reverse).await.unwrap(), "open 100");
    scene.join("bob").await;
    say_at(&scene, "alice", BEGAN + 1_012, "open again").await;
    assert_eq!(found(&scene, "bob", BEGAN + 1_011, Direction::Forward).await.unwrap(), "open again");
    assert_eq!(found(&scene, "bob", BEGAN + 1_001, Direction::Forward).await.unwrap(), "open 101");
}
