//! A room gives way to one of a newer version, and everything that leads to it leads to the new one.

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

async fn upgrade(user: &User, room: &str, body: Value) -> String {
    let answer = user.act(room, "upgrade", body).await.expect_ok();
    answer["replacement_room"].as_str().unwrap().to_owned()
}

async fn state(user: &User, room: &str, kind: &str) -> Value {
    user.get(&format!("rooms/{}/state/{kind}", encode(room))).await.expect_ok()
}

#[tokio::test]
async fn what_makes_up_the_room_moves_and_the_old_one_is_closed() {
    let server = Server::start().await;
    let (alice, bob, carol) =
        (server.register("alice").await, server.register("bob").await, server.register("carol").await);
    let old = alice
        .create_room_with(json!({
            "room_version": "10", "preset": "public_chat", "visibility": "public", "room_alias_name": "tea",
            "name": "Tea", "topic": "All about it", "creation_content": {"type": "org.example.kitchen"},
        }))
        .await;
    bob.join(&old).await;
    alice.set_state(&old, "m.room.server_acl", "", json!({"allow": ["*"], "deny": ["evil.example"]})).await;
    let levels = json!({"users": {alice.id.as_str(): 100, bob.id.as_str(): 40}, "events": {"org.example.x": 7}});
    alice.set_state(&old, "m.room.power_levels", "", levels).await;
    alice.act(&old, "ban", json!({"user_id": carol.id, "reason": "spam"})).await.expect_ok();

    bob.act(&old, "upgrade", json!({"new_version": "12"})).await.expect_error(403, "M_FORBIDDEN");
    carol.act(&old, "upgrade", json!({"new_version": "12"})).await.expect_error(403, "M_FORBIDDEN");
    alice.act(&old, "upgrade", json!({"new_version": "99"})).await.expect_error(400, "M_UNSUPPORTED_ROOM_VERSION");
    alice.act(&old, "upgrade", json!({})).await.expect_error(400, "M_BAD_JSON");

    let new = upgrade(&alice, &old, json!({"new_version": "12"})).await;
    assert_eq!(state(&bob, &old, "m.room.tombstone").await["replacement_room"], new.as_str());
    let create = state(&alice, &new, "m.room.create").await;
    assert_eq!(create["predecessor"], json!({"room_id": old}));
    assert_eq!((&create["type"], &create["room_version"]), (&json!("org.example.kitchen"), &json!("12")));
    assert_eq!(state(&alice, &new, "m.room.name").await["name"], "Tea");
    assert_eq!(state(&alice, &new, "m.room.topic").await["topic"], "All about it");
    assert_eq!(state(&alice, &new, "m.room.server_acl").await["deny"], json!(["evil.example"]));
    assert_eq!(state(&alice, &new, "m.room.canonical_alias").await, json!({"alias": "#tea:story.example"}));
    assert_eq!(state(&alice, &old, "m.room.canonical_alias").await, json!({}));
    let levels = state(&alice, &new, "m.room.power_levels").await;
    assert_eq!(levels["users"], json!({bob.id.as_str(): 40}));
    assert_eq!(levels["events"], json!({"org.example.x": 7, "m.room.tombstone": 150}));

    // The alias and the directory lead to the new room, which those who are banned cannot enter either.
    assert_eq!(bob.join("#tea:story.example").await, new);
    carol.post(&format!("join/{}", encode(&new)), json!({})).await.expect_error(403, "M_FORBIDDEN");
    let listed = server.stranger().get("publicRooms").await.expect_ok();
    assert_eq!(listed["chunk"].as_array().unwrap().len(), 1);
    assert_eq!(listed["chunk"][0]["room_id"], new.as_str());
    let quiet = bob.put(&format!("rooms/{}/send/m.room.message/1", encode(&old)), json!({"body": "still here"})).await;
    quiet.expect_error(403, "M_FORBIDDEN");
    let levels = state(&alice, &old, "m.room.power_levels").await;
    assert_eq!((&levels["events_default"], &levels["invite"]), (&json!(50), &json!(50)));
}

#[tokio::test]
async fn people_keep_what_they_set_for_the_room() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let old = alice.create_room_with(json!({"preset": "public_chat", "room_version": "11"})).await;
    bob.join(&old).await;
    for user in [&alice, &bob] {
        let rule = format!("pushrules/global/room/{}", encode(&old));
        user.put(&rule, json!({"actions": ["dont_notify"]})).await.expect_ok();
        let tag = format!("user/{}/rooms/{}/tags/m.favourite", encode(&user.id), encode(&old));
        user.put(&tag, json!({"order": 0.5})).await.expect_ok();
        let direct = format!("user/{}/account_data/m.direct", encode(&user.id));
        user.put(&direct, json!({"@friend:story.example": [old]})).await.expect_ok();
    }
    let before = bob.sync().await;
    let new = upgrade(&alice, &old, json!({"new_version": "12"})).await;
    bob.join(&new).await;
    for user in [&alice, &bob] {
        let rule = user.get(&format!("pushrules/global/room/{}", encode(&new))).await.expect_ok();
        assert_eq!(rule["enabled"], true);
        let tags = user.get(&format!("user/{}/rooms/{}/tags", encode(&user.id), encode(&new))).await.expect_ok();
        assert_eq!(tags, json!({"tags": {"m.favourite": {"order": 0.5}}}));
        let direct = user.get(&format!("user/{}/account_data/m.direct", encode(&user.id))).await.expect_ok();
        assert_eq!(direct, json!({"@friend:story.example": [old, new]}));
    }
    let sync = bob.sync_since(before.next_batch()).await;
    let told = sync.0["account_data"]["events"].as_array().unwrap().iter();
    let mut told: Vec<_> = told.map(|event| event["type"].as_str().unwrap()).collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told, ["m.direct", "m.push_rules"]);
}

#[tokio::test]
async fn creators_are_named_anew_and_fit_in_again_where_nobody_stands_above_all() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let first = alice.create_room_with(json!({"preset": "public_chat", "room_version": "11"})).await;
    let second = upgrade(&alice, &first, json!({"new_version": "12", "additional_creators": [bob.id]})).await;
    assert_eq!(state(&alice, &second, "m.room.create").await["additional_creators"], json!([bob.id]));
    assert_eq!(state(&alice, &second, "m.room.power_levels").await["users"], json!({}));
    bob.join(&second).await;
    // Bob, who is a creator, upgrades without naming Alice.
    let third = upgrade(&bob, &second, json!({"new_version": "12"})).await;
    assert_eq!(state(&bob, &third, "m.room.create").await.get("additional_creators"), None);
    alice.join(&third).await;
    alice.act(&third, "upgrade", json!({"new_version": "12"})).await.expect_error(403, "M_FORBIDDEN");
    // In version 11 both creators of the second room have the highest level.
    let fourth = upgrade(&alice, &second, json!({"new_version": "11", "additional_creators": [bob.id]})).await;
    let levels = state(&alice, &fourth, "m.room.power_levels").await;
    assert_eq!(levels["users"], json!({alice.id.as_str(): 150, bob.id.as_str(): 150}));
    let create = state(&alice, &fourth, "m.room.create").await;
    assert!(create["predecessor"]["event_id"].as_str().unwrap().starts_with('$'), "{create}");
    assert_eq!(create.get("additional_creators"), None);
}

#[tokio::test]
async fn a_space_keeps_its_rooms_and_a_room_its_way_in() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let space = alice.create_room_with(json!({"creation_content": {"type": "m.space"}, "room_version": "9"})).await;
    let room = alice.create_room().await;
    alice.set_state(&space, "m.space.child", &room, json!({"via": ["story.example"], "order": "a"})).await;
    alice.set_state(&space, "m.space.child", "!gone:story.example", json!({})).await;
    let rules = json!({"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": room}]});
    alice.set_state(&space, "m.room.join_rules", "", rules.clone()).await;
    let newer = upgrade(&alice, &space, json!({"new_version": "11"})).await;
    assert_eq!(state(&alice, &newer, "m.room.join_rules").await, rules);
    let child = state(&alice, &newer, &format!("m.space.child/{}", encode(&room))).await;
    assert_eq!(child["order"], "a");
    let gone = format!("rooms/{}/state/m.space.child/{}", encode(&newer), encode("!gone:story.example"));
    alice.get(&gone).await.expect_error(404, "M_NOT_FOUND");
    // Version 7 knows no restricted rooms: it lets in fewer people rather than more.
    let older = upgrade(&alice, &newer, json!({"new_version": "7"})).await;
    assert_eq!(state(&alice, &older, "m.room.join_rules").await["join_rule"], "invite");
}

#[tokio::test]
async fn asking_again_after_a_lost_answer_leads_to_the_same_room() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let old = alice.create_room_with(json!({"room_version": "10"})).await;
    let new = upgrade(&alice, &old, json!({"new_version": "11"})).await;
    assert_eq!(upgrade(&alice, &old, json!({"new_version": "11"})).await, new);
    let path = format!("rooms/{}/state/m.room.tombstone/?format=event", encode(&old));
    let tombstone = alice.get(&path).await.expect_ok();
    assert_eq!(tombstone["content"]["replacement_room"], new.as_str());
    let create = state(&alice, &new, "m.room.create").await;
    assert_eq!(create["predecessor"], json!({"room_id": old, "event_id": tombstone["event_id"]}));
    let other = upgrade(&alice, &old, json!({"new_version": "12"})).await;
    assert_ne!(other, new);
    // People may speak in it as they did before the old room was closed.
    let levels = state(&alice, &other, "m.room.power_levels").await;
    assert_eq!((&levels["events_default"], &levels["invite"]), (&json!(0), &json!(0)));
}
