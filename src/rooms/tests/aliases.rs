//! The life of an alias.

use ruma::{OwnedRoomId, RoomAliasId, UserId, room_alias_id, user_id};
use serde_json::{Value, json};

use super::{super::*, alice, create::request, rooms};
use crate::error::{Kind, Result};

fn bob() -> &'static UserId {
    user_id!("@bob:example.org")
}

fn tea() -> &'static RoomAliasId {
    room_alias_id!("#tea:example.org")
}

/// A public room of Alice's in which Bob is.
async fn scene() -> (Rooms, OwnedRoomId) {
    let rooms = rooms();
    let id = rooms.create(&alice(), request(json!({ "preset": "public_chat" }))).await.unwrap();
    rooms.join(&id, bob(), None).await.unwrap();
    (rooms, id)
}

async fn advertise(rooms: &Rooms, id: &OwnedRoomId, content: Value) {
    let intent = Intent::state(&alice(), "m.room.canonical_alias".into(), "", &content).unwrap();
    rooms.append(id, intent).await.unwrap();
}

async fn advertised(rooms: &Rooms, id: &OwnedRoomId) -> Value {
    rooms.room(id).await.unwrap().current().content(&"m.room.canonical_alias".into(), "").unwrap()
}

fn refused<T: std::fmt::Debug>(outcome: Result<T>) -> Kind {
    outcome.unwrap_err().kind
}

#[tokio::test]
async fn members_make_aliases_and_take_their_own_away() {
    let (rooms, id) = scene().await;
    assert_eq!(refused(rooms.create_alias(tea(), &id, user_id!("@eve:example.org")).await), Kind::Forbidden);
    rooms.create_alias(tea(), &id, bob()).await.unwrap();
    assert_eq!(refused(rooms.create_alias(tea(), &id, bob()).await), Kind::Conflict);
    assert_eq!(rooms.resolve_alias(tea()).await.unwrap(), id);
    assert_eq!(rooms.aliases(&id, &alice()).await.unwrap(), [tea()]);
    rooms.delete_alias(tea(), bob()).await.unwrap();
    assert_eq!(refused(rooms.resolve_alias(tea()).await), Kind::NotFound);
    assert_eq!(refused(rooms.delete_alias(tea(), bob()).await), Kind::NotFound);
    assert_eq!(rooms.aliases(&id, &alice()).await.unwrap(), [] as [ruma::OwnedRoomAliasId; 0]);
}

#[tokio::test]
async fn others_aliases_are_for_those_with_the_power() {
    let (rooms, id) = scene().await;
    rooms.create_alias(tea(), &id, &alice()).await.unwrap();
    assert_eq!(refused(rooms.delete_alias(tea(), bob()).await), Kind::Forbidden);
    let levels = json!({ "users": { bob().as_str(): 50 } });
    rooms.append(&id, Intent::state(&alice(), "m.room.power_levels".into(), "", &levels).unwrap()).await.unwrap();
    rooms.delete_alias(tea(), bob()).await.unwrap();
}

#[tokio::test]
async fn a_room_no_longer_advertises_an_alias_that_is_gone() {
    let (rooms, id) = scene().await;
    let coffee = room_alias_id!("#coffee:example.org");
    rooms.create_alias(tea(), &id, &alice()).await.unwrap();
    rooms.create_alias(coffee, &id, &alice()).await.unwrap();
    advertise(&rooms, &id, json!({ "alias": tea(), "alt_aliases": [tea(), coffee], "org.example": 1 })).await;
    rooms.delete_alias(tea(), &alice()).await.unwrap();
    assert_eq!(advertised(&rooms, &id).await, json!({ "alt_aliases": [coffee], "org.example": 1 }));
    rooms.delete_alias(coffee, &alice()).await.unwrap();
    assert_eq!(advertised(&rooms, &id).await, json!({ "org.example": 1 }));
}

#[tokio::test]
async fn who_may_not_change_the_canonical_alias_takes_their_own_away_all_the_same() {
    let (rooms, id) = scene().await;
    rooms.create_alias(tea(), &id, bob()).await.unwrap();
    advertise(&rooms, &id, json!({ "alias": tea() })).await;
    rooms.delete_alias(tea(), bob()).await.unwrap();
    assert_eq!(refused(rooms.resolve_alias(tea()).await), Kind::NotFound);
    assert_eq!(advertised(&rooms, &id).await, json!({ "alias": tea() }));
}

#[tokio::test]
async fn only_what_can_be_an_alias_here_becomes_one() {
    let (rooms, id) = scene().await;
    for alias in ["#tea:elsewhere.example", "#two words:example.org", "#:example.org"] {
        let alias = <&RoomAliasId>::try_from(alias).unwrap();
        assert_eq!(refused(rooms.create_alias(alias, &id, bob()).await), Kind::InvalidParam, "{alias}");
    }
    rooms.create_alias(room_alias_id!("#老虎🤨:example.org"), &id, bob()).await.unwrap();
}

#[tokio::test]
async fn strangers_list_the_aliases_of_world_readable_rooms_alone() {
    let (rooms, id) = scene().await;
    let eve = user_id!("@eve:example.org");
    assert_eq!(refused(rooms.aliases(&id, eve).await), Kind::Forbidden);
    assert_eq!(refused(rooms.aliases(ruma::room_id!("!unknown:example.org"), eve).await), Kind::Forbidden);
    let open = json!({ "history_visibility": "world_readable" });
    rooms.append(&id, Intent::state(&alice(), "m.room.history_visibility".into(), "", &open).unwrap()).await.unwrap();
    rooms.aliases(&id, eve).await.unwrap();
}
