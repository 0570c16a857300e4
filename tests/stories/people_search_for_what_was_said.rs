//! People search for what was said, and find what they may see of it.

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::support::{Server, User, encode, eventually};

/// What a search for `text` gives, with more `criteria`.
async fn search(user: &User, text: &str, criteria: Value) -> Value {
    let mut events = json!({ "search_term": text });
    events.as_object_mut().unwrap().extend(criteria.as_object().unwrap().clone());
    let body = json!({ "search_categories": { "room_events": events } });
    user.post("search", body).await.expect_ok()["search_categories"]["room_events"].take()
}

fn bodies(found: &Value) -> Vec<&str> {
    let results = found["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    results.iter().map(|result| result["result"]["content"]["body"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn what_was_just_said_is_found_with_what_stands_around_it() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    for text in ["one", "two Cafés", "three", "four", "cafe again"] {
        alice.send_text(&room, text).await;
    }
    let found = search(&alice, "CAFE", json!({ "order_by": "recent" })).await;
    assert_eq!(bodies(&found), ["cafe again", "two Cafés"]);
    assert_eq!((&found["count"], &found["next_batch"]), (&json!(2), &Value::Null));
    assert_eq!(found["highlights"], json!(["cafe", "cafés"]));

    let context = json!({ "order_by": "recent", "event_context": { "before_limit": 1, "after_limit": 2, "include_profile": true } });
    let context = &search(&alice, "two", context).await["results"][0]["context"];
    let texts = |side: &str| -> Vec<Value> {
        context[side].as_array().unwrap().iter().map(|event| event["content"]["body"].clone()).collect()
    };
    assert_eq!(
        (texts("events_before"), texts("events_after")),
        (vec![json!("one")], vec![json!("three"), json!("four")])
    );
    assert_eq!(context["profile_info"][&alice.id]["displayname"], "alice");
    let page = format!("rooms/{}/messages?dir=b&from={}", encode(&room), encode(context["start"].as_str().unwrap()));
    assert_ne!(alice.get(&page).await.expect_ok()["chunk"], json!([]));

    let plain = search(&alice, "two", json!({})).await;
    assert_eq!(plain["results"][0]["context"]["events_before"], Value::Null, "who wants no context gets none");
    let nothing = search(&alice, "zebra", json!({})).await;
    assert_eq!(nothing, json!({ "count": 0, "results": [], "highlights": [] }));
}

#[tokio::test]
async fn one_finds_only_what_one_may_see() {
    let server = Server::start().await;
    let [alice, bob, eve] =
        [server.register("alice").await, server.register("bob").await, server.register("eve").await];
    let room = alice.create_room().await;
    alice.send_text(&room, "secret plan before").await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    alice.send_text(&room, "plan for all").await;
    bob.send_text(&room, "my plan").await;
    bob.leave(&room).await;
    alice.send_text(&room, "secret plan after").await;

    let ordered = || json!({ "order_by": "recent" });
    assert_eq!(bodies(&search(&bob, "plan", ordered()).await), ["my plan", "plan for all"]);
    assert_eq!(search(&bob, "plan", ordered()).await["count"], 2);
    assert_eq!(search(&bob, "secret", json!({})).await["count"], 0);
    assert_eq!(search(&eve, "plan", json!({})).await["count"], 0);
    assert_eq!(bodies(&search(&alice, "plan", ordered()).await).len(), 4);

    let ignored = json!({ "ignored_users": { &bob.id: {} } });
    alice.put(&format!("user/{}/account_data/m.ignored_user_list", encode(&alice.id)), ignored).await.expect_ok();
    assert_eq!(bodies(&search(&alice, "my plan", ordered()).await), [""; 0]);
}

#[tokio::test]
async fn what_is_taken_back_is_not_found_and_edits_are_found_as_the_message() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    let first = alice.send_text(&room, "the keyword of the day").await;
    let second = alice.send_text(&room, "another keyword").await;
    alice.redact(&room, &first).await;
    assert_eq!(bodies(&search(&alice, "keyword", json!({})).await), ["another keyword"]);
    let edit = edit(&alice, &room, &second, "a better word").await;
    assert_eq!(search(&alice, "keyword", json!({})).await["count"], 0);
    let found = search(&alice, "better", json!({})).await;
    assert_eq!(found["results"][0]["result"]["event_id"], json!(second));
    alice.redact(&room, &edit).await;
    assert_eq!(search(&alice, "better", json!({})).await["count"], 0);
    // What is encrypted is never read.
    alice
        .send_event(&room, "m.room.encrypted", json!({ "body": "keyword", "algorithm": "m.megolm.v1.aes-sha2" }))
        .await;
    assert_eq!(search(&alice, "keyword", json!({})).await["count"], 1);
}

/// Edits a message so that it says `text` instead.
async fn edit(user: &User, room: &str, message: &str, text: &str) -> String {
    let edit = json!({
        "msgtype": "m.text", "body": format!("* {text}"), "m.new_content": { "msgtype": "m.text", "body": text },
        "m.relates_to": { "rel_type": "m.replace", "event_id": message },
    });
    user.send_event(room, "m.room.message", edit).await
}

#[tokio::test]
async fn an_edited_message_is_found_by_what_it_says_now() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let message = alice.send_text(&room, "meet on monday").await;
    let count = async |user: &User, text: &str| search(user, text, json!({})).await["count"].clone();
    assert_eq!(count(&alice, "monday").await, 1);
    bob.leave(&room).await;
    edit(&alice, &room, &message, "meet on tuesday").await;
    let last = edit(&alice, &room, &message, "meet on wednesday").await;

    let found = search(&alice, "wednesday", json!({})).await;
    assert_eq!((&found["count"], &found["highlights"]), (&json!(1), &json!(["wednesday"])));
    let result = &found["results"][0]["result"];
    assert_eq!(result["event_id"], json!(message));
    assert_eq!(result["unsigned"]["m.relations"]["m.replace"]["event_id"], json!(last));
    assert_eq!(count(&alice, "meet").await, 1, "the edits are no hits of their own");
    assert_eq!([count(&alice, "monday").await, count(&alice, "tuesday").await], [0, 0]);
    // Who left before the edits sees the message as it was.
    assert_eq!([count(&bob, "monday").await, count(&bob, "wednesday").await], [1, 0]);

    alice.redact(&room, &last).await;
    let counts =
        async || [count(&alice, "monday").await, count(&alice, "tuesday").await, count(&alice, "wednesday").await];
    assert_eq!(counts().await, [0, 1, 0]);
    // An edit may leave nothing that could be found.
    let empty = json!({
        "msgtype": "m.image", "body": "*", "m.new_content": { "msgtype": "m.image" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": message },
    });
    let empty = alice.send_event(&room, "m.room.message", empty).await;
    assert_eq!(counts().await, [0, 0, 0]);
    alice.redact(&room, &empty).await;
    assert_eq!(counts().await, [0, 1, 0]);
    alice.redact(&room, &message).await;
    assert_eq!(counts().await, [0, 0, 0]);
    assert_eq!(count(&bob, "monday").await, 0);
}

#[tokio::test]
async fn words_in_quotation_marks_stand_together_and_the_last_word_may_go_on() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    for text in ["the plum cake", "a cake with plums", "plumber"] {
        alice.send_text(&room, text).await;
    }
    let recent = || json!({ "order_by": "recent" });
    assert_eq!(bodies(&search(&alice, "\"plum cake\"", recent()).await), ["the plum cake"]);
    assert_eq!(bodies(&search(&alice, "plum", recent()).await), ["plumber", "a cake with plums", "the plum cake"]);
    assert_eq!(bodies(&search(&alice, "\"plum\"", recent()).await), ["the plum cake"]);
    assert_eq!(bodies(&search(&alice, "plum ", recent()).await).len(), 2);
    let typed = search(&alice, "cake pl", recent()).await;
    assert_eq!(typed["count"], 0, "two letters begin too many words");
    let typed = search(&alice, "cake plu", recent()).await;
    assert_eq!((&typed["count"], &typed["highlights"]), (&json!(2), &json!(["cake", "plum", "plums"])));
    assert_eq!(search(&alice, "plu cake", recent()).await["count"], 0);
}

/// Alice and Bob, who spoke of plums in two rooms: seven times in each, and Bob once in the first.
async fn speak_of_plums(server: &Server) -> (User, User, String, String) {
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let kitchen =
        alice.create_room_with(json!({ "preset": "public_chat", "name": "Plum kitchen", "topic": "Plum cake" })).await;
    let garden = alice.create_room_with(json!({ "preset": "public_chat" })).await;
    bob.join(&kitchen).await;
    for number in 0..7 {
        alice.send_text(&kitchen, &format!("plum {number}")).await;
        alice.send_text(&garden, &format!("plum {number}")).await;
    }
    bob.send_text(&kitchen, "plum plum plum").await;
    (alice, bob, kitchen, garden)
}

#[tokio::test]
async fn results_come_in_pages_by_keys_and_filters() {
    let server = Server::start().await;
    let (alice, bob, kitchen, garden) = speak_of_plums(&server).await;
    for order in ["recent", "rank"] {
        let mut seen = Vec::new();
        let mut query = "search".to_owned();
        loop {
            let events =
                json!({ "search_term": "plum", "order_by": order, "keys": ["content.body"], "filter": { "limit": 4 } });
            let body = json!({ "search_categories": { "room_events": events } });
            let found = alice.post(&query, body).await.expect_ok()["search_categories"]["room_events"].take();
            assert_eq!(found["count"], 15);
            let results = found["results"].as_array().map(Vec::as_slice).unwrap_or_default();
            seen.extend(results.iter().map(|result| result["result"]["event_id"].clone().to_string()));
            let Some(next) = found["next_batch"].as_str() else { break };
            query = format!("search?next_batch={}", encode(next));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 15, "each exactly once, by {order}");
    }
    assert_eq!(
        bodies(&search(&alice, "plum", json!({ "filter": { "limit": 1 }, "keys": ["content.body"] })).await),
        ["plum plum plum"]
    );

    let of_bob = search(&alice, "plum", json!({ "filter": { "senders": [bob.id] } })).await;
    assert_eq!(bodies(&of_bob), ["plum plum plum"]);
    assert_eq!(search(&alice, "plum", json!({ "keys": ["content.name"] })).await["count"], 1);
    assert_eq!(
        search(&alice, "plum", json!({ "filter": { "types": ["m.room.topic"] } })).await["results"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(search(&alice, "plum", json!({ "filter": { "rooms": [garden] } })).await["count"], 7);
    assert_eq!(search(&bob, "plum", json!({ "filter": { "rooms": [garden] } })).await["count"], 0);

    let picture = json!({ "msgtype": "m.image", "body": "plum.jpg", "url": "mxc://example.org/plum" });
    alice.send_event(&garden, "m.room.message", picture).await;
    let with_file = search(&alice, "plum", json!({ "filter": { "contains_url": true } })).await;
    assert_eq!((bodies(&with_file), &with_file["count"]), (vec!["plum.jpg"], &json!(1)));
    let filter = json!({ "contains_url": false, "rooms": [garden] });
    assert_eq!(search(&alice, "plum", json!({ "filter": filter })).await["count"], 7);

    assert_eq!(search(&bob, "plum", json!({ "filter": { "rooms": [kitchen] } })).await["count"], 10);
}

#[tokio::test]
async fn results_come_in_groups_with_pages_of_their_own() {
    let server = Server::start().await;
    let (alice, bob, kitchen, garden) = speak_of_plums(&server).await;
    alice.send_text(&garden, "the last plum").await;
    let criteria = json!({
        "search_term": "plum", "order_by": "recent", "keys": ["content.body"], "filter": { "limit": 4 },
        "groupings": { "group_by": [{ "key": "room_id" }] },
    });
    let body = json!({ "search_categories": { "room_events": criteria } });
    let first = alice.post("search", body.clone()).await.expect_ok()["search_categories"]["room_events"].take();
    let group = &first["groups"]["room_id"][&garden];
    let mut seen = group["results"].as_array().unwrap().len();
    let mut next = group["next_batch"].clone();
    while let Some(token) = next.as_str() {
        let query = format!("search?next_batch={}", encode(token));
        let mut page = alice.post(&query, body.clone()).await.expect_ok()["search_categories"]["room_events"].take();
        assert!(page["results"].as_array().unwrap().iter().all(|found| found["result"]["room_id"] == *garden));
        seen += page["results"].as_array().unwrap().len();
        next = page["next_batch"].take();
    }
    assert_eq!(seen, 8);

    let groups = json!({ "group_by": [{ "key": "room_id" }, { "key": "sender" }] });
    let grouped =
        search(&alice, "plum", json!({ "groupings": groups, "include_state": true, "filter": { "limit": 50 } })).await;
    assert_eq!(grouped["groups"]["room_id"][&garden]["results"].as_array().unwrap().len(), 8);
    assert_eq!(grouped["groups"]["sender"][&bob.id]["results"].as_array().unwrap().len(), 1);
    assert!(grouped["state"][&kitchen].as_array().unwrap().iter().any(|event| event["type"] == "m.room.create"));
}

#[tokio::test]
async fn the_index_survives_a_crash_and_can_be_lost() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room().await;
    alice.send_text(&room, "first needle").await;
    assert_eq!(search(&alice, "needle", json!({})).await["count"], 1);
    alice.send_text(&room, "second needle").await;
    server.kill_and_restart().await;
    assert_eq!(search(&alice, "needle", json!({})).await["count"], 2);

    server.stop().await;
    std::fs::remove_dir_all(server.data_folder().join("search")).unwrap();
    server.start_again().await;
    let made_anew = async || (search(&alice, "needle", json!({})).await["count"] == 2).then_some(());
    eventually("the index is made anew", Duration::from_secs(20), made_anew).await;

    server.stop().await;
    std::fs::write(index_folder(&server).join("meta.json"), "nonsense").unwrap();
    server.start_again().await;
    eventually("the index is made anew", Duration::from_secs(20), made_anew).await;

    // A file in which the disk has lost something looks well from outside.
    server.stop().await;
    let files = std::fs::read_dir(index_folder(&server)).unwrap().map(|file| file.unwrap().path());
    let terms = files.filter(|file| file.extension().is_some_and(|end| end == "term")).max().unwrap();
    let mut bytes = std::fs::read(&terms).unwrap();
    bytes[0] ^= 0xff;
    std::fs::write(&terms, bytes).unwrap();
    server.start_again().await;
    eventually("the index is made anew", Duration::from_secs(20), made_anew).await;
}

/// The one folder in which the index is.
fn index_folder(server: &Server) -> PathBuf {
    let mut folders = std::fs::read_dir(server.data_folder().join("search")).unwrap();
    folders.next().unwrap().unwrap().path()
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let refused = async |events: Value, query: &str| {
        let body = json!({ "search_categories": { "room_events": events } });
        alice.post(&format!("search{query}"), body).await.expect_error(400, "M_INVALID_PARAM");
    };
    refused(json!({ "search_term": "a", "keys": ["content.secret"] }), "").await;
    refused(json!({ "search_term": "a", "order_by": "taste" }), "").await;
    refused(json!({ "search_term": "a" }), "?next_batch=nonsense").await;
    refused(json!({ "search_term": "a" }), "?next_batch=o5").await;
    refused(json!({ "search_term": "a" }), "?next_batch=r1_5_nobody").await;
    refused(json!({ "search_term": "a".repeat(2_000) }), "").await;
    assert_eq!(search(&alice, "?!", json!({})).await["count"], 0);
    assert_eq!(
        alice.post("search", json!({ "search_categories": {} })).await.expect_ok(),
        json!({ "search_categories": {} })
    );

    let silent = Server::start_with("[search]\nenabled = false").await;
    let bob = silent.register("bob").await;
    let body = json!({ "search_categories": { "room_events": { "search_term": "a" } } });
    bob.post("search", body).await.expect_error(404, "M_UNRECOGNIZED");
}
