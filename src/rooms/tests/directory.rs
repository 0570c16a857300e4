//! Which rooms the public directory shows, and to whom it listens.

use std::slice;

use ruma::{OwnedRoomId, api::client::room::Visibility, directory::Filter, room::JoinRuleKind, room_id, user_id};
use serde_json::{Value, json};

use super::{super::*, alice, create::request, rooms};
use crate::error::Kind;

async fn create(rooms: &Rooms, body: Value) -> OwnedRoomId {
    rooms.create(&alice(), request(body)).await.unwrap()
}

async fn listed(rooms: &Rooms, request: DirectoryRequest) -> Vec<OwnedRoomId> {
    rooms.directory(&request).await.unwrap().rooms.into_iter().map(|room| room.room_id).collect()
}

#[tokio::test]
async fn published_rooms_are_shown_with_what_one_may_know_of_them() {
    let rooms = rooms();
    create(&rooms, json!({})).await;
    let body = json!({
        "visibility": "public", "name": "Tea", "topic": "Hot", "room_alias_name": "tea", "creation_content": { "type": "m.space" },
        "initial_state": [{ "type": "m.room.avatar", "content": { "url": "mxc://example.org/tea" } }],
    });
    let id = create(&rooms, body).await;
    let page = rooms.directory(&DirectoryRequest::default()).await.unwrap();
    assert_eq!((page.total, page.rooms.len()), (1, 1));
    let expected = json!({
        "room_id": id, "name": "Tea", "topic": "Hot", "canonical_alias": "#tea:example.org", "num_joined_members": 1,
        "world_readable": false, "guest_can_join": false, "avatar_url": "mxc://example.org/tea", "room_type": "m.space",
    });
    let mut shown = serde_json::to_value(&page.rooms[0]).unwrap();
    assert_eq!(page.rooms[0].join_rule, JoinRuleKind::Public);
    shown.as_object_mut().unwrap().remove("join_rule");
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn the_largest_rooms_come_first_and_empty_ones_not_at_all() {
    let rooms = rooms();
    let small = create(&rooms, json!({ "visibility": "public", "name": "small" })).await;
    let large = create(&rooms, json!({ "visibility": "public", "name": "large" })).await;
    let empty = create(&rooms, json!({ "visibility": "public", "name": "empty" })).await;
    rooms.join(&large, user_id!("@bob:example.org"), None).await.unwrap();
    rooms.leave(&empty, &alice(), None).await.unwrap();
    assert_eq!(listed(&rooms, DirectoryRequest::default()).await, [large.clone(), small.clone()]);
    let mut filter = Filter::new();
    filter.generic_search_term = Some("SMALL".to_owned());
    assert_eq!(
        listed(&rooms, DirectoryRequest { filter, ..DirectoryRequest::default() }).await,
        slice::from_ref(&small)
    );
    let first = rooms.directory(&DirectoryRequest { limit: Some(1), ..DirectoryRequest::default() }).await.unwrap();
    assert_eq!(first.rooms[0].room_id, large);
    assert_eq!(listed(&rooms, DirectoryRequest { batch: first.next, ..DirectoryRequest::default() }).await, [small]);
}

#[tokio::test]
async fn those_with_the_power_decide_over_a_rooms_place() {
    let rooms = rooms();
    let id = create(&rooms, json!({ "preset": "public_chat" })).await;
    let bob = user_id!("@bob:example.org");
    rooms.join(&id, bob, None).await.unwrap();
    for outsider in [bob, user_id!("@eve:example.org")] {
        let refused = rooms.set_visibility(&id, outsider, &Visibility::Public).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Forbidden);
    }
    assert_eq!(rooms.visibility(&id).await.unwrap(), Visibility::Private);
    rooms.set_visibility(&id, &alice(), &Visibility::Public).await.unwrap();
    assert_eq!(rooms.visibility(&id).await.unwrap(), Visibility::Public);
    assert_eq!(listed(&rooms, DirectoryRequest::default()).await, slice::from_ref(&id));
    rooms.set_visibility(&id, &alice(), &Visibility::Private).await.unwrap();
    assert!(listed(&rooms, DirectoryRequest::default()).await.is_empty());
    let hidden = rooms.set_visibility(&id, &alice(), &Visibility::from("hidden")).await.unwrap_err();
    assert_eq!(hidden.kind, Kind::InvalidParam);
    assert_eq!(rooms.visibility(room_id!("!unknown:example.org")).await.unwrap_err().kind, Kind::NotFound);
}
