//! People look around in a space before they enter its rooms.

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

async fn space(user: &User, name: &str) -> String {
    user.create_room_with(json!({"name": name, "preset": "public_chat", "creation_content": {"type": "m.space"}})).await
}

async fn room(user: &User, name: &str, preset: &str) -> String {
    user.create_room_with(json!({"name": name, "preset": preset})).await
}

async fn link(user: &User, parent: &str, child: &str, more: Value) {
    let mut content = json!({"via": ["story.example"]});
    content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    user.set_state(parent, "m.space.child", child, content).await;
}

async fn look(user: &User, root: &str, query: &str) -> Value {
    user.get(&format!("/_matrix/client/v1/rooms/{}/hierarchy{query}", encode(root))).await.expect_ok()
}

fn names(page: &Value) -> Vec<&str> {
    page["rooms"].as_array().unwrap().iter().map(|room| room["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn spaces_are_walked_through_in_their_own_order() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let root = space(&alice, "root").await;
    let inner = space(&alice, "inner").await;
    let (tea, coffee) = (room(&alice, "tea", "public_chat").await, room(&alice, "coffee", "public_chat").await);
    let secret = room(&alice, "secret", "private_chat").await;
    link(&alice, &root, &coffee, json!({})).await;
    link(&alice, &root, &inner, json!({"order": "b", "suggested": true})).await;
    link(&alice, &root, &secret, json!({"order": "a"})).await;
    link(&alice, &inner, &tea, json!({})).await;
    // A space that is in itself, and a room that nobody knows.
    link(&alice, &inner, &root, json!({})).await;
    link(&alice, &inner, "!nowhere:story.example", json!({})).await;

    assert_eq!(names(&look(&alice, &root, "").await), ["root", "secret", "inner", "tea", "coffee"]);
    let whole = look(&bob, &root, "").await;
    assert_eq!(names(&whole), ["root", "inner", "tea", "coffee"]);
    assert_eq!(whole.get("next_batch"), None);
    let links = whole["rooms"][0]["children_state"].as_array().unwrap();
    let keys: Vec<_> = links.iter().map(|link| link["state_key"].as_str().unwrap()).collect();
    assert_eq!(keys, [secret.as_str(), &inner, &coffee]);
    assert!(links[0]["origin_server_ts"].is_u64() && links[0].get("event_id").is_none(), "{}", links[0]);
    assert_eq!(whole["rooms"][2]["children_state"], json!([]));
    assert_eq!(names(&look(&bob, &root, "?max_depth=1").await), ["root", "inner", "coffee"]);
    assert_eq!(names(&look(&bob, &root, "?max_depth=0").await), ["root"]);
    assert_eq!(names(&look(&bob, &root, "?suggested_only=true").await), ["root", "inner"]);
    assert_eq!(names(&look(&bob, &tea, "").await), ["tea"]);

    // Page by page it is the same.
    let (mut seen, mut query) = (Vec::new(), "?limit=1".to_owned());
    loop {
        let page = look(&bob, &root, &query).await;
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next_batch"].as_str() else { break };
        query = format!("?limit=1&from={next}");
    }
    assert_eq!(seen, ["root", "inner", "tea", "coffee"]);
}

#[tokio::test]
async fn closed_spaces_and_wrong_tokens_are_refused() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let root = space(&alice, "root").await;
    let tea = room(&alice, "tea", "public_chat").await;
    link(&alice, &root, &tea, json!({})).await;
    let closed = room(&alice, "closed", "private_chat").await;
    let path = |room: &str, query: &str| format!("/_matrix/client/v1/rooms/{}/hierarchy{query}", encode(room));
    bob.get(&path(&closed, "")).await.expect_error(403, "M_FORBIDDEN");
    bob.get(&path("!nowhere:story.example", "")).await.expect_error(403, "M_FORBIDDEN");
    let token = look(&bob, &root, "?limit=1").await["next_batch"].as_str().unwrap().to_owned();
    bob.get(&path(&root, &format!("?from={token}"))).await.expect_ok();
    for query in [
        format!("?from={token}&max_depth=3"),
        format!("?from={token}&suggested_only=true"),
        format!("?from={}", &token[1..]),
        "?from=%00".to_owned(),
        "?from=bm90aGluZw".to_owned(),
        "?limit=0".to_owned(),
        "?limit=-1".to_owned(),
    ] {
        bob.get(&path(&root, &query)).await.expect_error(400, "M_INVALID_PARAM");
    }
    bob.get(&path(&tea, &format!("?from={token}"))).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn members_of_a_space_see_the_rooms_that_they_may_enter() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let root = space(&alice, "root").await;
    let restricted = json!({"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": root}]});
    let rules = |content: Value| json!([{"type": "m.room.join_rules", "state_key": "", "content": content}]);
    let club = alice.create_room_with(json!({"name": "club", "initial_state": rules(restricted)})).await;
    let door =
        alice.create_room_with(json!({"name": "door", "initial_state": rules(json!({"join_rule": "knock"}))})).await;
    link(&alice, &root, &club, json!({"order": "1"})).await;
    link(&alice, &root, &door, json!({"order": "2"})).await;
    assert_eq!(names(&look(&bob, &root, "").await), ["root", "door"]);
    bob.join(&root).await;
    let page = look(&bob, &root, "").await;
    assert_eq!(names(&page), ["root", "club", "door"]);
    assert_eq!(
        (&page["rooms"][1]["join_rule"], &page["rooms"][1]["allowed_room_ids"]),
        (&json!("restricted"), &json!([root]))
    );
    assert_eq!(page["rooms"][2]["join_rule"], "knock");
}
