//! Members read and set the state of a room.

use serde_json::{Value, json};

use crate::support::{Server, encode};

#[tokio::test]
async fn state_is_set_and_read_back_in_every_form() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room_with(json!({"name": "one"})).await;
    let state = format!("rooms/{}/state", encode(&room));
    let first = alice.get(&format!("{state}/m.room.name?format=event")).await.expect_ok();
    let set = alice.put(&format!("{state}/m.room.name"), json!({"name": "two"})).await.expect_ok();
    for path in ["m.room.name", "m.room.name/", "m.room.name?format=content"] {
        assert_eq!(alice.get(&format!("{state}/{path}")).await.expect_ok(), json!({"name": "two"}), "{path}");
    }
    let event = alice.get(&format!("{state}/m.room.name?format=event")).await.expect_ok();
    assert_eq!((&event["event_id"], &event["sender"]), (&set["event_id"], &json!(alice.id)));
    assert_eq!((&event["room_id"], &event["state_key"]), (&json!(room), &json!("")));
    assert_ne!(event["event_id"], first["event_id"]);
    let path = format!("rooms/{}/event/{}", encode(&room), encode(set["event_id"].as_str().unwrap()));
    let unsigned = &alice.get(&path).await.expect_ok()["unsigned"];
    assert_eq!((&unsigned["prev_content"]["name"], &unsigned["replaces_state"]), (&json!("one"), &first["event_id"]));

    let member = format!("{state}/m.room.member/{}", encode(&alice.id));
    assert_eq!(alice.get(&member).await.expect_ok()["membership"], "join");
    let odd = format!("{state}/org.example.odd/{}", encode("a key/with ümläuts"));
    alice.put(&odd, json!({"a": [1, {"b": null}]})).await.expect_ok();
    assert_eq!(alice.get(&odd).await.expect_ok(), json!({"a": [1, {"b": null}]}));
    alice.get(&format!("{state}/m.room.topic")).await.expect_error(404, "M_NOT_FOUND");

    let all = alice.get(&state).await.expect_ok();
    let all = all.as_array().unwrap();
    let mut places: Vec<_> =
        all.iter().map(|event| (event["type"].to_string(), event["state_key"].to_string())).collect();
    let count = places.len();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), count, "each piece of state is there once");
    assert!(all.iter().all(|event| event["room_id"] == *room && event["event_id"].is_string()));
    for kind in ["m.room.create", "m.room.member", "m.room.power_levels", "m.room.name", "org.example.odd"] {
        assert!(all.iter().any(|event| event["type"] == kind), "{kind}");
    }
}

#[tokio::test]
async fn saying_the_same_again_says_nothing() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    let first = alice.set_state(&room, "org.example", "", json!({"a": 1, "b": 2})).await;
    assert_eq!(alice.set_state(&room, "org.example", "", json!({"b": 2, "a": 1})).await, first);
    let second = alice.set_state(&room, "org.example", "", json!({"a": 1})).await;
    assert_ne!(second, first);
    assert_ne!(alice.set_state(&room, "org.example", "", json!({"a": 1, "b": 2})).await, first);
}

#[tokio::test]
async fn power_levels_decide_who_may_change_what() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let name = format!("rooms/{}/state/m.room.name", encode(&room));
    bob.put(&name, json!({"name": "bob's"})).await.expect_error(403, "M_FORBIDDEN");
    let levels = format!("rooms/{}/state/m.room.power_levels", encode(&room));
    let mut content = alice.get(&levels).await.expect_ok();
    content["users"][&bob.id] = 50.into();
    alice.put(&levels, content.clone()).await.expect_ok();
    bob.put(&name, json!({"name": "bob's"})).await.expect_ok();
    content["users"][&bob.id] = 100.into();
    bob.put(&levels, content.clone()).await.expect_error(403, "M_FORBIDDEN");
    content["users"][&bob.id] = "a lot".into();
    let refused = alice.put(&levels, content).await;
    assert!(refused.status.is_client_error(), "{}", refused.body);
}

#[tokio::test]
async fn a_canonical_alias_leads_to_its_room() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room_with(json!({"room_alias_name": "here"})).await;
    let elsewhere = alice.create_room_with(json!({"room_alias_name": "there"})).await;
    assert_ne!(room, elsewhere);
    let path = format!("rooms/{}/state/m.room.canonical_alias", encode(&room));
    alice.put(&path, json!({"alias": "#here:story.example", "alt_aliases": ["#here:story.example"]})).await.expect_ok();
    for (content, errcode) in [
        (json!({"alias": "#there:story.example"}), "M_BAD_ALIAS"),
        (json!({"alias": "#nowhere:story.example"}), "M_BAD_ALIAS"),
        (json!({"alt_aliases": ["#nowhere:story.example"]}), "M_BAD_ALIAS"),
        (json!({"alias": "nonsense"}), "M_INVALID_PARAM"),
    ] {
        alice.put(&path, content).await.expect_error(400, errcode);
    }
    alice.put(&path, json!({})).await.expect_ok();
}

#[tokio::test]
async fn memberships_cannot_be_had_by_writing_them_down() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let room = alice.create_room().await;
    let member = |user: &str| format!("rooms/{}/state/m.room.member/{}", encode(&room), encode(user));
    let joins = json!({"membership": "join"});
    eve.put(&member(&eve.id), joins.clone()).await.expect_error(403, "M_FORBIDDEN");
    alice.put(&member(&bob.id), joins.clone()).await.expect_error(403, "M_FORBIDDEN");
    alice.put(&member(&eve.id), json!({"membership": "leave"})).await.expect_error(403, "M_FORBIDDEN");
    alice.put(&member(&bob.id), json!({"membership": "invite"})).await.expect_ok();
    assert!(bob.sync().await.invited(&room).is_object());
    bob.put(&member(&bob.id), json!({"membership": "join", "displayname": "Robert"})).await.expect_ok();
    let joined = alice.get(&format!("rooms/{}/joined_members", encode(&room))).await.expect_ok();
    assert_eq!(joined["joined"][&bob.id]["display_name"], "Robert");
    bob.put(&member(&alice.id), json!({"membership": "ban"})).await.expect_error(403, "M_FORBIDDEN");
    alice.put(&member(&bob.id), json!({"membership": "ban", "reason": "rude"})).await.expect_ok();
    assert_eq!(bob.sync().await.joined(&room), &Value::Null);
    bob.put(&member(&bob.id), joins).await.expect_error(403, "M_FORBIDDEN");
}
