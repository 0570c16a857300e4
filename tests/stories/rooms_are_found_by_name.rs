//! Rooms are found: by an alias that somebody tells, or in the directory that everybody can read.

use serde_json::{Value, json};

use crate::support::{Answer, Connection, Server, User, encode};

const TEA: &str = "#tea:story.example";

async fn make_alias(user: &User, alias: &str, room: &str) -> Answer {
    user.put(&format!("directory/room/{}", encode(alias)), json!({"room_id": room})).await
}

async fn resolve(anyone: &Connection, alias: &str) -> Answer {
    anyone.get(&format!("directory/room/{}", encode(alias))).await
}

async fn delete_alias(user: &User, alias: &str) -> Answer {
    user.delete(&format!("directory/room/{}", encode(alias))).await
}

fn names(page: &Value) -> Vec<&str> {
    page["chunk"].as_array().unwrap().iter().map(|room| room["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_alias_leads_to_its_room_for_as_long_as_it_exists() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
    resolve(server.stranger(), TEA).await.expect_error(404, "M_NOT_FOUND");
    make_alias(&bob, TEA, &room).await.expect_error(403, "M_FORBIDDEN");
    make_alias(&alice, TEA, &room).await.expect_ok();
    make_alias(&alice, TEA, &room).await.expect_error(409, "M_UNKNOWN");
    let found = resolve(server.stranger(), TEA).await.expect_ok();
    assert_eq!(found, json!({"room_id": room, "servers": ["story.example"]}));
    assert_eq!(bob.join(TEA).await, room);
    let of_room = format!("rooms/{}/aliases", encode(&room));
    assert_eq!(bob.get(&of_room).await.expect_ok(), json!({"aliases": [TEA]}));
    delete_alias(&bob, TEA).await.expect_error(403, "M_FORBIDDEN");
    delete_alias(&alice, TEA).await.expect_ok();
    delete_alias(&alice, TEA).await.expect_error(404, "M_NOT_FOUND");
    resolve(server.stranger(), TEA).await.expect_error(404, "M_NOT_FOUND");
    bob.post(&format!("join/{}", encode(TEA)), json!({})).await.expect_error(404, "M_NOT_FOUND");
    bob.leave(&room).await;
    bob.get(&of_room).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_deleted_alias_is_no_longer_advertised() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room_with(json!({"room_alias_name": "tea"})).await;
    let sync = alice.sync().await;
    assert_eq!(sync.state(&room, "m.room.canonical_alias", "").unwrap(), &json!({"alias": TEA}));
    delete_alias(&alice, TEA).await.expect_ok();
    let sync = alice.sync_since(sync.next_batch()).await;
    assert_eq!(sync.state(&room, "m.room.canonical_alias", "").unwrap(), &json!({}));
}

#[tokio::test]
async fn what_is_no_alias_of_this_server_is_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    for alias in ["#tea:elsewhere.example", "#two words:story.example", "tea", "#tea"] {
        make_alias(&alice, alias, &room).await.expect_error(400, "M_INVALID_PARAM");
    }
    make_alias(&alice, "#茶🍵:story.example", &room).await.expect_ok();
    assert_eq!(resolve(&alice, "#茶🍵:story.example").await.expect_ok()["room_id"], room.as_str());
}

#[tokio::test]
async fn published_rooms_are_listed_and_searched() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    for (name, kind, published) in [
        ("Tea", None, "public"),
        ("Coffee", None, "public"),
        ("Club", Some("m.space"), "public"),
        ("Secret", None, "private"),
    ] {
        let content = kind.map_or(json!({}), |kind| json!({"type": kind}));
        let parameters = json!({"visibility": published, "preset": "public_chat", "name": name, "topic": "drinks", "creation_content": content});
        let room = alice.create_room_with(parameters).await;
        if name == "Coffee" {
            bob.join(&room).await;
        }
    }
    let all = server.stranger().get("publicRooms").await.expect_ok();
    assert_eq!(all["total_room_count_estimate"], 3);
    assert_eq!((names(&all)[0], all["chunk"][0]["num_joined_members"].as_u64()), ("Coffee", Some(2)));
    assert_eq!(all["chunk"][0]["join_rule"], "public");

    let search = async |body: Value| bob.post("publicRooms", body).await.expect_ok();
    assert_eq!(names(&search(json!({"filter": {"generic_search_term": "TEA"}})).await), ["Tea"]);
    assert_eq!(names(&search(json!({"filter": {"room_types": ["m.space"]}})).await), ["Club"]);
    assert_eq!(search(json!({"filter": {"room_types": [null]}})).await["chunk"].as_array().unwrap().len(), 2);
    assert_eq!(search(json!({"filter": {"generic_search_term": "secret"}})).await["chunk"], json!([]));

    let (mut seen, mut page) = (Vec::new(), search(json!({"limit": 1})).await);
    loop {
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next_batch"].as_str() else { break };
        page = search(json!({"limit": 1, "since": next})).await;
    }
    seen.sort();
    assert_eq!(seen, ["Club", "Coffee", "Tea"]);
    bob.post("publicRooms", json!({"since": "nonsense"})).await.expect_error(400, "M_INVALID_PARAM");
    server.stranger().post("publicRooms", json!({})).await.expect_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_room_is_summed_up_for_those_who_could_get_in() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let open = alice
        .create_room_with(json!({"preset": "public_chat", "name": "Tea", "topic": "Hot", "room_alias_name": "tea"}))
        .await;
    let rule = json!([{"type": "m.room.join_rules", "content": {
        "join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": open}],
    }}]);
    let restricted = alice.create_room_with(json!({"name": "Back room", "initial_state": rule})).await;
    let private = alice.create_room().await;
    let of = |room: &str| format!("/_matrix/client/v1/room_summary/{}", encode(room));

    let summary = server.stranger().get(&of(TEA)).await.expect_ok();
    let expected = json!({
        "room_id": open, "name": "Tea", "topic": "Hot", "canonical_alias": TEA, "num_joined_members": 1,
        "join_rule": "public", "world_readable": false, "guest_can_join": false, "room_version": "12",
    });
    let mut told = summary.clone();
    told.as_object_mut().unwrap().entry("join_rule").or_insert("public".into());
    assert_eq!(told, expected);
    assert_eq!(alice.get(&of(&open)).await.expect_ok()["membership"], "join");
    for room in [&restricted, &private] {
        bob.get(&of(room)).await.expect_error(404, "M_NOT_FOUND");
        server.stranger().get(&of(room)).await.expect_error(404, "M_NOT_FOUND");
    }
    bob.join(&open).await;
    let summary = bob.get(&of(&restricted)).await.expect_ok();
    assert_eq!((&summary["join_rule"], &summary["allowed_room_ids"]), (&json!("restricted"), &json!([open])));
    alice.invite(&private, &bob).await;
    assert_eq!(bob.get(&of(&private)).await.expect_ok()["membership"], "invite");
}

#[tokio::test]
async fn who_runs_a_room_decides_whether_it_is_published() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room_with(json!({"preset": "public_chat", "name": "Tea"})).await;
    bob.join(&room).await;
    let path = format!("directory/list/room/{}", encode(&room));
    let visibility = async || server.stranger().get(&path).await.expect_ok()["visibility"].take();
    assert_eq!(visibility().await, "private");
    bob.put(&path, json!({"visibility": "public"})).await.expect_error(403, "M_FORBIDDEN");
    alice.put(&path, json!({})).await.expect_ok();
    assert_eq!(visibility().await, "public");
    assert_eq!(names(&bob.get("publicRooms").await.expect_ok()), ["Tea"]);
    alice.put(&path, json!({"visibility": "private"})).await.expect_ok();
    assert_eq!(visibility().await, "private");
    assert_eq!(bob.get("publicRooms").await.expect_ok()["chunk"], json!([]));
    let unknown = "directory/list/room/!nowhere:story.example";
    server.stranger().get(unknown).await.expect_error(404, "M_NOT_FOUND");
}
