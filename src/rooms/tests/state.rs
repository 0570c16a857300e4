//! The state of a room at any place, for any reader, and how it is set.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, RoomVersionId, events::room::member::MembershipState};
use serde_json::{Value, json};

use super::scene::{Scene, reader, user};
use crate::{
    error::Kind,
    rooms::{MemberFilter, PageToken, RoomState},
    storage::{
        Batch, Order, Position,
        schema::rooms::{ALIASES, Alias},
    },
};

type Map = BTreeMap<(String, String), OwnedEventId>;

fn map(state: &RoomState) -> Map {
    let place = |kind: &str, key: &str| (kind.to_owned(), key.to_owned());
    let entry = |event: &std::sync::Arc<crate::matrix::event::Event>| {
        (place(&event.kind.to_string(), event.state_key.as_deref().unwrap()), event.id.clone())
    };
    state.events().map(entry).collect()
}

#[tokio::test]
async fn the_state_at_every_place_is_what_it_was_while_the_room_goes_on() {
    let scene = Scene::private().await;
    let mut history: Vec<(Position, Map)> = Vec::new();
    let room = scene.rooms.room(&scene.id).await.unwrap();
    for number in 0..30 {
        scene.set("alice", "org.example", &(number % 4).to_string(), json!({ "n": number })).await.unwrap();
        match number % 5 {
            0 => scene.join("bob").await,
            3 => scene.leave("bob").await,
            _ => drop(scene.say("alice", "hello").await),
        }
        history.push((room.current().position, map(&room.current())));
    }
    let before_all = scene.rooms.state_at(&room, Order::Live(Position::ZERO)).await.unwrap();
    assert!(map(&before_all).is_empty() && before_all.joined.is_empty());
    let writing = async {
        for number in 0..100 {
            scene.set("alice", "org.example", &(number % 4).to_string(), json!({ "more": number })).await.unwrap();
        }
    };
    let reading = async {
        for _ in 0..10 {
            for (position, expected) in &history {
                let state = scene.rooms.state_at(&room, Order::Live(*position)).await.unwrap();
                assert_eq!(map(&state), *expected);
                let bob = expected.contains_key(&("m.room.member".to_owned(), "@bob:example.org".to_owned()));
                assert_eq!(state.member(&user("bob")).is_some(), bob);
                assert_eq!(state.is_joined(&user("bob")), state.membership(&user("bob")) == MembershipState::Join);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(writing, reading);
}

async fn members(scene: &Scene, name: &str, at: Option<PageToken>, filter: MemberFilter) -> Vec<(String, String)> {
    let user = user(name);
    let members = scene.rooms.members(&scene.id, reader(&user), at, &filter).await.unwrap();
    let member = |event: Value| {
        let field = |value: &Value| value.as_str().unwrap().trim_end_matches(":example.org").to_owned();
        (field(&event["state_key"]), field(&event["content"]["membership"]))
    };
    members.iter().map(|raw| member(serde_json::from_str(raw.json().get()).unwrap())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, membership)| ((*name).to_owned(), (*membership).to_owned())).collect()
}

#[tokio::test]
async fn members_now_then_and_by_their_membership() {
    let scene = Scene::private().await;
    let start = PageToken::at(scene.rooms.shared.store.position());
    scene.join("bob").await;
    let with_bob = PageToken::at(scene.rooms.shared.store.position());
    scene.leave("bob").await;
    scene.join("carol").await;
    let all = MemberFilter::default;
    let now = pairs(&[("@alice", "join"), ("@bob", "leave"), ("@carol", "join")]);
    assert_eq!(members(&scene, "alice", None, all()).await, now);
    assert_eq!(members(&scene, "alice", Some(PageToken::at(1_000_000.into())), all()).await, now);
    assert_eq!(members(&scene, "alice", Some(start), all()).await, pairs(&[("@alice", "join")]));
    assert_eq!(members(&scene, "alice", Some(with_bob), all()).await, pairs(&[("@alice", "join"), ("@bob", "join")]));
    let left = pairs(&[("@alice", "join"), ("@bob", "leave")]);
    assert_eq!(members(&scene, "bob", None, all()).await, left, "carol came after bob had left");

    let (join, leave) = (Some(MembershipState::Join), Some(MembershipState::Leave));
    let joined = MemberFilter { membership: join.clone(), not_membership: None };
    assert_eq!(members(&scene, "alice", None, joined).await, pairs(&[("@alice", "join"), ("@carol", "join")]));
    let not_left = MemberFilter { membership: None, not_membership: leave.clone() };
    assert_eq!(members(&scene, "alice", None, not_left).await, pairs(&[("@alice", "join"), ("@carol", "join")]));
    let either = MemberFilter { membership: leave, not_membership: join };
    assert_eq!(members(&scene, "alice", None, either).await, pairs(&[("@bob", "leave")]));

    let carol = user("carol");
    let refusal = scene.rooms.members(&scene.id, reader(&carol), Some(with_bob), &all()).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Forbidden, "carol was not there then");
}

#[tokio::test]
async fn who_may_read_the_state() {
    let scene = Scene::private().await;
    scene.join("bob").await;
    scene.set("alice", "m.room.name", "", json!({ "name": "before" })).await.unwrap();
    scene.rooms.invite(&scene.id, &user("alice"), &user("ivan"), None).await.unwrap();
    scene.rooms.ban(&scene.id, &user("alice"), &user("mallory"), None).await.unwrap();
    scene.leave("bob").await;
    scene.set("alice", "m.room.name", "", json!({ "name": "after" })).await.unwrap();
    assert_eq!(scene.state("alice", "m.room.name").await.unwrap()["content"]["name"], "after");
    assert_eq!(scene.state("bob", "m.room.name").await.unwrap()["content"]["name"], "before");
    assert_eq!(scene.state("alice", "m.room.topic").await.unwrap_err().kind, Kind::NotFound);
    for stranger in ["eve", "ivan", "mallory"] {
        assert_eq!(scene.state(stranger, "m.room.name").await.unwrap_err().kind, Kind::Forbidden, "{stranger}");
    }
    scene.rooms.forget(&scene.id, &user("bob")).await.unwrap();
    assert_eq!(scene.state("bob", "m.room.name").await.unwrap_err().kind, Kind::Forbidden);

    let everyone = json!({ "history_visibility": "world_readable" });
    scene.set("alice", "m.room.history_visibility", "", everyone).await.unwrap();
    for stranger in ["eve", "ivan", "mallory", "bob"] {
        assert_eq!(scene.state(stranger, "m.room.name").await.unwrap()["content"]["name"], "after", "{stranger}");
    }
}

#[tokio::test]
async fn setting_the_same_again_changes_nothing() {
    let scene = Scene::private().await;
    scene.join("bob").await;
    let first = scene.set("alice", "m.room.name", "", json!({ "name": "n", "a": 1 })).await.unwrap();
    assert_eq!(scene.set("alice", "m.room.name", "", json!({ "a": 1, "name": "n" })).await.unwrap(), first);
    assert_ne!(scene.set("alice", "m.room.name", "", json!({ "name": "n" })).await.unwrap(), first);
    assert_eq!(scene.set("bob", "m.room.name", "", json!({ "name": "n" })).await.unwrap_err().kind, Kind::Forbidden);
    assert_eq!(scene.set("eve", "m.room.name", "", json!({ "name": "n" })).await.unwrap_err().kind, Kind::Forbidden);
}

#[tokio::test]
async fn membership_set_as_state_goes_by_the_same_rules() {
    let scene = Scene::private().await;
    let set = |name: &'static str, target: &'static str, content: Value| {
        let scene = &scene;
        async move { scene.set(name, "m.room.member", &format!("@{target}:example.org"), content).await }
    };
    let join = json!({ "membership": "join", "displayname": "Bob", "org.example.own": 1 });
    assert_eq!(set("bob", "bob", join.clone()).await.unwrap_err().kind, Kind::Forbidden);
    set("alice", "bob", json!({ "membership": "invite" })).await.unwrap();
    let joined = set("bob", "bob", join.clone()).await.unwrap();
    assert_eq!(scene.event("bob", &joined).await.unwrap()["content"], join);
    assert_eq!(set("bob", "alice", json!({ "membership": "leave" })).await.unwrap_err().kind, Kind::Forbidden);
    for nobody in ["carol", "mallory"] {
        let kick = set("alice", nobody, json!({ "membership": "leave" })).await.unwrap_err();
        assert_eq!(kick.kind, Kind::Forbidden, "{nobody} is not there");
    }
    assert_eq!(set("alice", "bob", json!({})).await.unwrap_err().kind, Kind::BadJson);
    set("alice", "bob", json!({ "membership": "leave", "reason": "bye" })).await.unwrap();
    assert_eq!(scene.rooms.room(&scene.id).await.unwrap().current().membership(&user("bob")), MembershipState::Leave);
}

#[tokio::test]
async fn nobody_vouches_for_themselves() {
    let club = Scene::private().await;
    let scene = Scene::new(RoomVersionId::V12, "shared").await;
    let rules = json!({
        "join_rule": "restricted",
        "allow": [{ "type": "m.room_membership", "room_id": club.id }],
    });
    scene.set("alice", "m.room.join_rules", "", rules).await.unwrap();
    let forged = json!({ "membership": "join", "join_authorised_via_users_server": "@alice:example.org" });
    let refusal = scene.set("eve", "m.room.member", "@eve:example.org", forged).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Forbidden);
}

#[tokio::test]
async fn a_canonical_alias_must_lead_to_the_room() {
    let scene = Scene::private().await;
    let store = &scene.rooms.shared.store;
    let mut batch = Batch::new();
    for (alias, room_id) in [("#here:example.org", &*scene.id), ("#there:example.org", ruma::room_id!("!other"))] {
        let alias = ruma::RoomAliasId::parse(alias).unwrap();
        ALIASES.put(&mut batch, (&alias,), &Alias { room_id: room_id.to_owned(), creator: user("alice") });
    }
    store.commit(batch).await.unwrap();
    let set = |content: Value| scene.set("alice", "m.room.canonical_alias", "", content);
    let here = json!({ "alias": "#here:example.org", "alt_aliases": ["#here:example.org"] });
    set(here.clone()).await.unwrap();
    for (content, kind) in [
        (json!({ "alias": "#there:example.org" }), Kind::BadAlias),
        (json!({ "alias": "#nowhere:example.org" }), Kind::BadAlias),
        (json!({ "alt_aliases": ["#nowhere:example.org"] }), Kind::BadAlias),
        (json!({ "alias": "nonsense" }), Kind::InvalidParam),
        (json!({ "alt_aliases": ["nonsense"] }), Kind::InvalidParam),
        (json!({ "alt_aliases": "#here:example.org" }), Kind::BadJson),
    ] {
        assert_eq!(set(content.clone()).await.unwrap_err().kind, kind, "{content}");
    }
    let mut batch = Batch::new();
    ALIASES.delete(&mut batch, (ruma::RoomAliasId::parse("#here:example.org").unwrap(),));
    store.commit(batch).await.unwrap();
    set(json!({ "alias": "#here:example.org" })).await.unwrap();
    set(json!({ "alias": "" })).await.unwrap();
    assert_eq!(set(here).await.unwrap_err().kind, Kind::BadAlias, "it was taken out, and does not lead here any more");
}

#[tokio::test]
async fn power_levels_that_name_a_creator_are_a_mistake() {
    let scene = Scene::private().await;
    let levels = json!({ "users": { user("alice").as_str(): 100 } });
    let refused = async |name: &str| scene.set(name, "m.room.power_levels", "", levels.clone()).await.unwrap_err().kind;
    assert_eq!(refused("alice").await, Kind::BadJson);
    assert_eq!(refused("eve").await, Kind::Forbidden, "strangers do not learn who created the room");
    let older = Scene::new(RoomVersionId::V11, "joined").await;
    older.set("alice", "m.room.power_levels", "", levels.clone()).await.unwrap();
}
