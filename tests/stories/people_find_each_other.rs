//! People look for others by their names, and find those of whom they may know.

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

/// Who is found by `typed`, best first.
async fn find(user: &User, typed: &str) -> Vec<String> {
    let found = user.post("user_directory/search", json!({ "search_term": typed })).await.expect_ok();
    found["results"].as_array().unwrap().iter().map(|found| found["user_id"].as_str().unwrap().to_owned()).collect()
}

async fn show_name(user: &User, name: &str) {
    user.put(&format!("profile/{}/displayname", encode(&user.id)), json!({ "displayname": name })).await.expect_ok();
}

#[tokio::test]
async fn those_one_shares_a_room_with_come_first_and_strangers_in_public_rooms_after() {
    let server = Server::start().await;
    let [alice, bob, carol, dan] = [
        server.register("alice").await,
        server.register("bob").await,
        server.register("carol").await,
        server.register("dan").await,
    ];
    for (user, name) in [(&bob, "Müller Bob"), (&carol, "Carol Muller"), (&dan, "Dan Mueller-Muller")] {
        show_name(user, name).await;
    }
    assert_eq!(find(&alice, "muller").await, [""; 0], "nobody is known yet");
    let public = carol.create_room_with(json!({ "preset": "public_chat" })).await;
    assert_eq!(find(&alice, "muller").await, [carol.id.as_str()]);
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    assert_eq!(find(&alice, "muller").await, [bob.id.clone(), carol.id.clone()]);
    assert_eq!(find(&alice, "bob mul").await, [bob.id.as_str()]);
    assert_eq!(find(&alice, "ülle").await, [bob.id.clone(), carol.id.clone()]);
    assert_eq!(find(&alice, &bob.id).await, [bob.id.as_str()]);
    assert_eq!(find(&dan, "dan").await, [""; 0], "nobody looks for themselves");

    // A new name counts at once, and an old one no more.
    show_name(&bob, "Robert").await;
    assert_eq!(find(&alice, "muller").await, [carol.id.as_str()]);
    assert_eq!(find(&alice, "rob").await, [bob.id.as_str()]);
    // So does who leaves.
    carol.leave(&public).await;
    assert_eq!(find(&alice, "muller").await, [""; 0]);
    bob.leave(&room).await;
    assert_eq!(find(&alice, "rob").await, [""; 0]);
}

#[tokio::test]
async fn a_name_in_one_room_is_not_found_elsewhere() {
    let server = Server::start().await;
    let [alice, bob] = [server.register("alice").await, server.register("bob").await];
    let room = alice.create_room_with(json!({ "preset": "public_chat" })).await;
    bob.join(&room).await;
    let member = json!({ "membership": "join", "displayname": "Captain" });
    alice.set_state(&room, "m.room.member", &alice.id, member).await;
    assert_eq!(find(&bob, "captain").await, [""; 0]);
    let found = bob.post("user_directory/search", json!({ "search_term": "alice" })).await.expect_ok();
    assert_eq!(found, json!({ "limited": false, "results": [{ "user_id": alice.id, "display_name": "alice" }] }));
}

#[tokio::test]
async fn an_operator_may_let_everybody_find_everybody() {
    let server = Server::start_with("[user_directory]\nshow_all_users = true").await;
    let alice = server.register("alice").await;
    let names: Vec<String> = (0..12).map(|number| format!("guest{number:02}")).collect();
    let mut people = Vec::new();
    for name in &names {
        people.push(server.register(name).await);
    }
    let found = alice.post("user_directory/search", json!({ "search_term": "guest", "limit": 5 })).await.expect_ok();
    assert_eq!((found["results"].as_array().unwrap().len(), &found["limited"]), (5, &Value::Bool(true)));
    assert_eq!(find(&alice, "guest").await.len(), 10, "ten if the client does not say");
    assert_eq!(find(&alice, "guest03").await, [people[3].id.clone()]);
    let gone = people.pop().unwrap();
    let auth = json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": gone.id }, "password": gone.password });
    gone.post("account/deactivate", json!({ "auth": auth })).await.expect_ok();
    assert_eq!(find(&alice, "guest11").await, [""; 0]);
    assert_eq!(find(&alice, "_server").await, [""; 0], "the server is nobody");
    alice
        .post("user_directory/search", json!({ "search_term": "a".repeat(600) }))
        .await
        .expect_error(400, "M_INVALID_PARAM");
}
