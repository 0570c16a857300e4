//! Paging through a room's history, and looking around one event.

use ruma::{RoomVersionId, api::client::filter::RoomEventFilter};
use serde_json::{Value, json};

use super::scene::{Scene, reader, summary, user};
use crate::{
    error::Kind,
    rooms::{Context, MessagesRequest, PageToken},
    storage::Direction::{Forward, Reverse},
};

fn parsed<T>(event: &ruma::serde::Raw<T>) -> Value {
    serde_json::from_str(event.json().get()).unwrap()
}

#[tokio::test]
async fn both_ways_lead_through_everything_whatever_the_size_of_the_pages() {
    let scene = Scene::private().await;
    for number in 0..40 {
        scene.say("alice", &number.to_string()).await;
    }
    let (all, pages) = scene.walk("alice", Forward, 1_000, json!({})).await;
    assert_eq!((all.len(), pages, all[0].as_str(), all.last().unwrap().as_str()), (46, 1, "m.room.create", "39"));
    let backwards: Vec<_> = all.iter().rev().cloned().collect();
    for limit in [1, 2, 7, 45, 46, 47] {
        assert_eq!(scene.walk("alice", Forward, limit, json!({})).await.0, all, "by {limit}");
        let (seen, pages) = scene.walk("alice", Reverse, limit, json!({})).await;
        assert_eq!(seen, backwards, "by {limit}");
        assert_eq!(pages as u64, 46_u64.div_ceil(limit), "no page is empty and none is missing by {limit}");
    }
}

#[tokio::test]
async fn a_page_ends_where_it_is_told_to_and_where_the_next_begins() {
    let scene = Scene::private().await;
    for number in 0..10 {
        scene.say("alice", &number.to_string()).await;
    }
    let newest = scene.page("alice", None, Reverse, 3, json!({})).await.unwrap();
    assert_eq!(newest.chunk.iter().map(summary).collect::<Vec<_>>(), ["9", "8", "7"]);
    let back_again = scene.page("alice", newest.end, Forward, 10, json!({})).await.unwrap();
    assert_eq!(back_again.chunk.iter().map(summary).collect::<Vec<_>>(), ["7", "8", "9"]);
    assert_eq!((Some(back_again.start), back_again.end), (newest.end, None));

    let older = scene.page("alice", newest.end, Reverse, 3, json!({})).await.unwrap();
    let alice = user("alice");
    let filter = RoomEventFilter::default();
    let relations = Default::default();
    for (from, to, direction, expected) in [
        (newest.start, older.end, Reverse, ["9", "8", "7", "6", "5", "4"]),
        (older.end.unwrap(), Some(newest.start), Forward, ["4", "5", "6", "7", "8", "9"]),
    ] {
        let request =
            MessagesRequest { from: Some(from), to, direction, limit: 100, filter: &filter, relations: &relations };
        let between = scene.rooms.messages(&scene.id, reader(&alice), request).await.unwrap();
        assert_eq!(between.chunk.iter().map(summary).collect::<Vec<_>>(), expected);
        assert_eq!(between.end, None);
    }
}

#[tokio::test]
async fn a_page_of_nothing_and_a_page_beyond_the_limit() {
    let scene = Scene::private().await;
    let from = Some(PageToken::at(3.into()));
    let page = scene.page("alice", from, Reverse, 0, json!({})).await.unwrap();
    assert!(page.chunk.is_empty());
    assert_eq!((Some(page.start), page.end), (from, from), "who wants nothing is where they were");
    let page = scene.page("alice", None, Reverse, u64::MAX, json!({ "limit": 2 })).await.unwrap();
    assert_eq!(page.chunk.len(), 2);
    let page = scene.page("alice", Some(PageToken::at(1_000_000.into())), Forward, 5, json!({})).await.unwrap();
    assert!(page.chunk.is_empty() && page.end.is_none(), "nothing lies ahead");
}

#[tokio::test]
async fn filters_leave_out_and_do_not_shorten_pages() {
    let scene = Scene::private().await;
    scene.join("bob").await;
    for number in 0..10 {
        scene.say("alice", &format!("a{number}")).await;
        scene.say("bob", &format!("b{number}")).await;
    }
    let of_bob = json!({ "senders": ["@bob:example.org"], "types": ["m.room.message"] });
    let page = scene.page("alice", None, Reverse, 4, of_bob.clone()).await.unwrap();
    assert_eq!(page.chunk.iter().map(summary).collect::<Vec<_>>(), ["b9", "b8", "b7", "b6"]);
    let (all, _) = scene.walk("alice", Forward, 3, of_bob).await;
    assert_eq!(all.len(), 10);
}

#[tokio::test]
async fn lazy_loading_brings_those_who_speak_and_only_them() {
    let scene = Scene::private().await;
    scene.join("bob").await;
    scene.join("carol").await;
    scene.say("bob", "hello").await;
    let page = scene.page("alice", None, Reverse, 1, json!({ "lazy_load_members": true })).await.unwrap();
    let members: Vec<_> = page.state.iter().map(parsed).collect();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0]["state_key"], "@bob:example.org");
    assert_eq!(members[0]["content"]["membership"], "join");
    assert_eq!(members[0]["room_id"], scene.id.as_str());
    assert!(scene.page("alice", None, Reverse, 1, json!({})).await.unwrap().state.is_empty());

    scene.leave("bob").await;
    let message = json!({ "lazy_load_members": true, "types": ["m.room.message"] });
    let page = scene.page("alice", None, Reverse, 1, message).await.unwrap();
    let bob = parsed(&page.state[0]);
    assert_eq!(bob["content"]["membership"], "join", "as he was when he spoke");
}

#[tokio::test]
async fn what_one_may_not_see_costs_no_pages() {
    let scene = Scene::private().await;
    for number in 0..50 {
        scene.say("alice", &number.to_string()).await;
    }
    scene.join("bob").await;
    scene.say("bob", "hello").await;
    scene.leave("bob").await;
    scene.say("alice", "gone").await;
    let filter = json!({ "types": ["m.room.message", "m.room.member"] });
    // The first is the join of the room's creator, when its history was not private yet.
    let expected = ["m.room.member", "m.room.member", "hello", "m.room.member"].map(str::to_owned).to_vec();
    // The second page is the empty one that follows whatever a filter has thinned.
    assert_eq!(scene.walk("bob", Forward, 10, filter.clone()).await, (expected.clone(), 2));
    let backwards = expected.into_iter().rev().collect();
    assert_eq!(scene.walk("bob", Reverse, 10, filter).await, (backwards, 2));
    for stranger in ["eve", "mallory"] {
        let refusal = scene.page(stranger, None, Reverse, 10, json!({})).await.unwrap_err();
        assert_eq!(refusal.kind, Kind::Forbidden);
    }
}

#[tokio::test]
async fn the_neighbours_of_an_event_and_the_state_at_the_last_of_them() {
    let scene = Scene::private().await;
    scene.set("alice", "m.room.name", "", json!({ "name": "before" })).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(scene.say("alice", &number.to_string()).await);
    }
    scene.set("alice", "m.room.name", "", json!({ "name": "after" })).await.unwrap();
    let context = |limit: u64, filter: Value| {
        let (scene, event_id) = (&scene, &ids[3]);
        async move {
            let filter = serde_json::from_value(filter).unwrap();
            scene
                .rooms
                .context(&scene.id, reader(&user("alice")), event_id, limit, (&filter, &Default::default()))
                .await
                .unwrap()
        }
    };
    let names = |found: &Context| -> Vec<String> {
        let names = found.state.iter().map(parsed).filter(|event| event["type"] == "m.room.name");
        names.map(|event| event["content"]["name"].as_str().unwrap().to_owned()).collect()
    };

    let found = context(4, json!({})).await;
    assert_eq!(summary(&found.event), "3");
    assert_eq!(found.before.iter().map(summary).collect::<Vec<_>>(), ["2", "1"]);
    assert_eq!(found.after.iter().map(summary).collect::<Vec<_>>(), ["4", "5"]);
    assert_eq!(names(&found), ["before"]);
    let earlier = scene.page("alice", Some(found.start), Reverse, 1, json!({})).await.unwrap();
    assert_eq!(summary(&earlier.chunk[0]), "0");
    let later = scene.page("alice", Some(found.end), Forward, 1, json!({})).await.unwrap();
    assert_eq!(summary(&later.chunk[0]), "m.room.name");

    assert_eq!(names(&context(100, json!({})).await), ["after"]);
    let alone = context(0, json!({})).await;
    assert!(alone.before.is_empty() && alone.after.is_empty());
    let odd = context(5, json!({})).await;
    assert_eq!((odd.before.len(), odd.after.len()), (2, 3));
    let nothing = context(100, json!({ "types": ["none"] })).await;
    assert!(nothing.before.is_empty() && nothing.after.is_empty() && nothing.state.is_empty());
    assert_eq!(summary(&nothing.event), "3", "a filter does not hold for the event itself");
}

#[tokio::test]
async fn an_event_says_what_holds_for_its_reader() {
    let scene = Scene::new(RoomVersionId::V12, "shared").await;
    let first = scene.set("alice", "m.room.topic", "", json!({ "topic": "one" })).await.unwrap();
    let second = scene.set("alice", "m.room.topic", "", json!({ "topic": "two" })).await.unwrap();
    let message = scene.say("alice", "hello").await;
    scene.join("bob").await;

    let event = scene.event("alice", &message).await.unwrap();
    assert_eq!(event["unsigned"], json!({ "age": 0, "membership": "join", "transaction_id": "0" }));
    let event = scene.event("bob", &message).await.unwrap();
    assert_eq!(event["unsigned"], json!({ "age": 0, "membership": "leave" }));
    let event = scene.event("bob", &second).await.unwrap();
    assert_eq!(event["unsigned"]["prev_content"], json!({ "topic": "one" }));
    assert_eq!(event["unsigned"]["replaces_state"], first.as_str());
}

#[tokio::test]
async fn what_was_replaced_before_the_reader_came_stays_hidden() {
    let scene = Scene::private().await;
    let secret = scene.set("alice", "m.room.topic", "", json!({ "topic": "secret" })).await.unwrap();
    scene.join("bob").await;
    let public = scene.set("alice", "m.room.topic", "", json!({ "topic": "public" })).await.unwrap();
    let event = scene.event("bob", &public).await.unwrap();
    assert_eq!(event["unsigned"].get("prev_content"), None);
    assert_eq!(event["unsigned"]["replaces_state"], secret.as_str());
    assert_eq!(scene.event("alice", &public).await.unwrap()["unsigned"]["prev_content"]["topic"], "secret");
    assert_eq!(scene.event("bob", &secret).await.unwrap_err().kind, Kind::NotFound);
}
