//! People correct what they said, react to what others said, and branch conversations off into threads.

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

/// A room that `alice` made and `bob` is in.
async fn room_of_two(server: &Server) -> (User, User, String) {
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    (alice, bob, room)
}

async fn edit(user: &User, room: &str, event: &str, text: &str) -> String {
    let content = json!({
        "msgtype": "m.text", "body": format!("* {text}"), "m.new_content": {"msgtype": "m.text", "body": text},
        "m.relates_to": {"rel_type": "m.replace", "event_id": event},
    });
    user.send_event(room, "m.room.message", content).await
}

async fn say_in_thread(user: &User, room: &str, root: &str, text: &str) -> String {
    let relates_to = json!({"rel_type": "m.thread", "event_id": root});
    let content = json!({"msgtype": "m.text", "body": text, "m.relates_to": relates_to});
    user.send_event(room, "m.room.message", content).await
}

fn reaction(event: &str, key: &str) -> Value {
    json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": key}})
}

async fn event(user: &User, room: &str, event: &str) -> Value {
    user.get(&format!("rooms/{}/event/{}", encode(room), encode(event))).await.expect_ok()
}

/// What is bundled with an event.
async fn bundle(user: &User, room: &str, id: &str) -> Value {
    event(user, room, id).await["unsigned"]["m.relations"].clone()
}

/// The answer about what relates to an event; `rest` is what follows its id in the path.
async fn relations(user: &User, room: &str, id: &str, rest: &str) -> Value {
    let path = format!("/_matrix/client/v1/rooms/{}/relations/{}{rest}", encode(room), encode(id));
    user.get(&path).await.expect_ok()
}

async fn threads(user: &User, room: &str, parameters: &str) -> Value {
    user.get(&format!("/_matrix/client/v1/rooms/{}/threads?{parameters}", encode(room))).await.expect_ok()
}

fn ids(events: &Value) -> Vec<&str> {
    let events = events.as_array().unwrap_or_else(|| panic!("{events} is no list"));
    events.iter().map(|event| event["event_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_corrected_message_comes_with_its_newest_correction() {
    let server = Server::start().await;
    let (alice, bob, room) = room_of_two(&server).await;
    let said = alice.send_text(&room, "helo").await;
    assert_eq!(bundle(&bob, &room, &said).await, Value::Null);

    edit(&alice, &room, &said, "hallo").await;
    let second = edit(&alice, &room, &said, "hello").await;
    edit(&bob, &room, &said, "nonsense by somebody else").await;
    let no_content = json!({"body": "x", "m.relates_to": {"rel_type": "m.replace", "event_id": said}});
    alice.send_event(&room, "m.room.message", no_content).await;
    let other_type = json!({"m.new_content": {}, "m.relates_to": {"rel_type": "m.replace", "event_id": said}});
    alice.send_event(&room, "org.example.other", other_type).await;
    let of_an_edit = edit(&alice, &room, &second, "an edit of an edit").await;

    let seen = event(&bob, &room, &said).await;
    assert_eq!(seen["content"]["body"], "helo", "the original stays as it was");
    let replacement = &seen["unsigned"]["m.relations"]["m.replace"];
    assert_eq!(replacement["event_id"], json!(second));
    assert_eq!(replacement["content"]["m.new_content"]["body"], "hello");
    assert_eq!((&replacement["sender"], &replacement["room_id"]), (&json!(alice.id), &json!(room)));
    assert_eq!(bundle(&bob, &room, &second).await, Value::Null, "edits are not edited");
    assert_ne!(of_an_edit, second);

    // Everywhere that events come from it is the same.
    let of = |list: &Value| {
        let found = list.as_array().unwrap().iter().find(|event| event["event_id"] == json!(said));
        found.unwrap_or_else(|| panic!("{said} is not in {list}"))["unsigned"]["m.relations"]["m.replace"]["event_id"]
            .clone()
    };
    let messages = Value::from(bob.messages(&room, 20).await);
    assert_eq!(of(&messages), json!(second));
    let context = bob.get(&format!("rooms/{}/context/{}", encode(&room), encode(&said))).await.expect_ok();
    assert_eq!(context["event"]["unsigned"]["m.relations"]["m.replace"]["event_id"], json!(second));
    let filter = encode(&json!({"room": {"timeline": {"limit": 30}}}).to_string());
    let sync = bob.get(&format!("sync?timeout=0&filter={filter}")).await.expect_ok();
    let timeline = &sync["rooms"]["join"][&room]["timeline"]["events"];
    assert_eq!(of(timeline), json!(second));
    let synced = timeline.as_array().unwrap().iter().find(|event| event["event_id"] == json!(said)).unwrap();
    assert_eq!(synced["unsigned"]["m.relations"]["m.replace"]["room_id"], Value::Null, "in the form of the sync");

    // A correction that is taken back gives way to the one before, and an original that is taken back has none.
    alice.redact(&room, &second).await;
    let bundled = bundle(&bob, &room, &said).await;
    assert_eq!(bundled["m.replace"]["content"]["m.new_content"]["body"], "hallo");
    alice.redact(&room, &said).await;
    assert_eq!(bundle(&bob, &room, &said).await, Value::Null);
}

#[tokio::test]
async fn a_reaction_is_made_once_until_it_is_taken_back() {
    let server = Server::start().await;
    let (alice, bob, room) = room_of_two(&server).await;
    let said = alice.send_text(&room, "lunch?").await;
    let yes = bob.send_event(&room, "m.reaction", reaction(&said, "👍")).await;
    let again = format!("rooms/{}/send/m.reaction/again", encode(&room));
    bob.put(&again, reaction(&said, "👍")).await.expect_error(400, "M_DUPLICATE_ANNOTATION");
    bob.send_event(&room, "m.reaction", reaction(&said, "🎉")).await;
    alice.send_event(&room, "m.reaction", reaction(&said, "👍")).await;
    assert_eq!(bundle(&alice, &room, &said).await, Value::Null, "reactions are not bundled");
    let all = relations(&alice, &room, &said, "/m.annotation/m.reaction").await;
    assert_eq!(ids(&all["chunk"]).len(), 3);

    bob.redact(&room, &yes).await;
    let left = relations(&alice, &room, &said, "/m.annotation").await;
    assert_eq!((ids(&left["chunk"]).len(), ids(&left["chunk"]).contains(&&*yes)), (2, false));
    let anew = bob.put(&again, reaction(&said, "👍")).await.expect_ok();
    let id = anew["event_id"].as_str().unwrap();
    assert_eq!(bob.put(&again, reaction(&said, "👍")).await.expect_ok()["event_id"], id, "the same request again");
}

#[tokio::test]
async fn a_thread_is_summed_up_at_its_root() {
    let server = Server::start().await;
    let (alice, bob, room) = room_of_two(&server).await;
    let root = alice.send_text(&room, "where do we meet?").await;
    let first = say_in_thread(&alice, &room, &root, "at the station?").await;
    let thread = bundle(&bob, &room, &root).await["m.thread"].clone();
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(1), &json!(false)));
    assert_eq!(thread["latest_event"]["event_id"], json!(first));

    let second = say_in_thread(&bob, &room, &root, "at teh lake").await;
    let correction = edit(&bob, &room, &second, "at the lake").await;
    let thread = bundle(&bob, &room, &root).await["m.thread"].clone();
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(2), &json!(true)));
    let latest = &thread["latest_event"];
    assert_eq!(latest["event_id"], json!(second));
    assert_eq!(latest["unsigned"]["m.relations"]["m.replace"]["event_id"], json!(correction), "with its own bundle");

    // A thread does not start at what is in one.
    let nested = json!({"body": "x", "m.relates_to": {"rel_type": "m.thread", "event_id": second}});
    let path = format!("rooms/{}/send/m.room.message/nested", encode(&room));
    alice.put(&path, nested).await.expect_error(400, "M_UNKNOWN");

    // What is taken back is not counted; a root that is taken back keeps its thread.
    bob.redact(&room, &second).await;
    alice.redact(&room, &root).await;
    let thread = bundle(&bob, &room, &root).await["m.thread"].clone();
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(1), &json!(false)));
    assert_eq!(thread["latest_event"]["event_id"], json!(first));
    assert_eq!(ids(&threads(&bob, &room, "").await["chunk"]), [&*root]);
    alice.redact(&room, &first).await;
    assert_eq!(bundle(&bob, &room, &root).await, Value::Null);
    assert_eq!(threads(&bob, &room, "").await["chunk"], json!([]));
}

#[tokio::test]
async fn threads_are_listed_by_their_newest_messages() {
    let server = Server::start().await;
    let (alice, bob, room) = room_of_two(&server).await;
    let mut roots = Vec::new();
    for number in 0..5 {
        let root = alice.send_text(&room, &format!("topic {number}")).await;
        say_in_thread(&alice, &room, &root, "first").await;
        roots.push(root);
    }
    say_in_thread(&bob, &room, &roots[1], "and another thing").await;
    let order = [1, 4, 3, 2, 0].map(|number: usize| &*roots[number]);
    assert_eq!(ids(&threads(&alice, &room, "").await["chunk"]), order);

    let (mut seen, mut from) = (Vec::new(), String::new());
    loop {
        let page = threads(&alice, &room, &format!("limit=2{from}")).await;
        seen.extend(ids(&page["chunk"]).into_iter().map(ToOwned::to_owned));
        match page["next_batch"].as_str() {
            Some(next) => from = format!("&from={}", encode(next)),
            None => break,
        }
    }
    assert_eq!(seen, order, "page by page");
    assert_eq!(ids(&threads(&bob, &room, "include=participated").await["chunk"]), [&*roots[1]]);
    assert_eq!(ids(&threads(&alice, &room, "include=participated").await["chunk"]), order);
    let path = format!("/_matrix/client/v1/rooms/{}/threads", encode(&room));
    for parameters in ["limit=0", "from=nonsense", "include=some"] {
        alice.get(&format!("{path}?{parameters}")).await.expect_error(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn what_relates_to_a_message_comes_page_by_page() {
    let server = Server::start().await;
    let (alice, bob, room) = room_of_two(&server).await;
    let root = alice.send_text(&room, "root").await;
    let mut sent = Vec::new();
    for number in 0..7 {
        sent.push(say_in_thread(&bob, &room, &root, &number.to_string()).await);
    }
    let mut backwards: Vec<&str> = sent.iter().map(String::as_str).collect();
    backwards.reverse();
    for (direction, expected) in [("f", sent.iter().map(String::as_str).collect()), ("b", backwards)] {
        let (mut seen, mut from) = (Vec::new(), String::new());
        loop {
            let page = relations(&alice, &room, &root, &format!("?limit=3&dir={direction}{from}")).await;
            assert_eq!(page["recursion_depth"], Value::Null);
            seen.extend(ids(&page["chunk"]).into_iter().map(ToOwned::to_owned));
            match page["next_batch"].as_str() {
                Some(next) => from = format!("&from={}", encode(next)),
                None => break,
            }
        }
        assert_eq!(seen, expected, "in the direction {direction}");
    }

    // Also what relates to what relates to it, if that is asked for.
    let liked = alice.send_event(&room, "m.reaction", reaction(&sent[2], "👍")).await;
    let direct = relations(&alice, &room, &root, "").await;
    assert!(!ids(&direct["chunk"]).contains(&&*liked));
    let recursive = relations(&alice, &room, &root, "?recurse=true&limit=3").await;
    assert_eq!(ids(&recursive["chunk"]), [&*liked, &*sent[6], &*sent[5]]);
    assert_eq!(recursive["recursion_depth"], 3);
    let of_one_kind = relations(&alice, &room, &root, "/m.thread?recurse=true").await;
    assert_eq!(ids(&of_one_kind["chunk"]).len(), 7);
    let none = relations(&alice, &room, &root, "/m.thread/org.example.other").await;
    assert_eq!((&none["chunk"], &none["next_batch"]), (&json!([]), &Value::Null));

    let of_nothing = format!("/_matrix/client/v1/rooms/{}/relations/{}", encode(&room), encode("$nothing"));
    alice.get(&of_nothing).await.expect_error(404, "M_NOT_FOUND");
    let path = format!("/_matrix/client/v1/rooms/{}/relations/{}", encode(&room), encode(&root));
    for parameters in ["limit=0", "from=nonsense", "dir=up"] {
        alice.get(&format!("{path}?{parameters}")).await.expect_error(400, "M_INVALID_PARAM");
    }
    server.register("carol").await.get(&path).await.expect_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn what_one_may_not_see_is_neither_counted_nor_listed() {
    let server = Server::start().await;
    let (alice, bob, room) = room_of_two(&server).await;
    let carol = server.register("carol").await;
    alice.invite(&room, &carol).await;
    carol.join(&room).await;
    let reference = |event: &str| json!({"m.relates_to": {"rel_type": "m.reference", "event_id": event}});
    let root = alice.send_text(&room, "root").await;
    let quiet = alice.send_text(&room, "a thread of carol alone").await;
    let of_bob = say_in_thread(&bob, &room, &root, "seen").await;
    say_in_thread(&carol, &room, &root, "not seen by bob").await;
    say_in_thread(&carol, &room, &quiet, "nor this").await;
    let shown = alice.send_event(&room, "org.example.note", reference(&root)).await;
    carol.send_event(&room, "org.example.note", reference(&root)).await;
    let chunk = bundle(&bob, &room, &root).await["m.reference"]["chunk"].clone();
    assert_eq!(ids(&chunk).len(), 2);

    let path = format!("user/{}/account_data/m.ignored_user_list", encode(&bob.id));
    bob.put(&path, json!({"ignored_users": {&carol.id: {}}})).await.expect_ok();
    let seen = bundle(&bob, &room, &root).await;
    assert_eq!(
        (&seen["m.thread"]["count"], &seen["m.thread"]["latest_event"]["event_id"]),
        (&json!(1), &json!(of_bob))
    );
    assert_eq!(ids(&seen["m.reference"]["chunk"]), [&*shown]);
    assert_eq!(ids(&threads(&bob, &room, "").await["chunk"]), [&*root]);
    assert_eq!(ids(&relations(&bob, &room, &root, "").await["chunk"]), [&*shown, &*of_bob]);

    // Who left sees nothing of what was said since.
    let before = bundle(&carol, &room, &root).await["m.thread"]["count"].clone();
    carol.leave(&room).await;
    say_in_thread(&alice, &room, &root, "without carol").await;
    edit(&alice, &room, &root, "corrected without carol").await;
    let seen = bundle(&carol, &room, &root).await;
    assert_eq!((&seen["m.thread"]["count"], &seen["m.replace"]), (&before, &Value::Null));
    assert_eq!(bundle(&alice, &room, &root).await["m.thread"]["count"], 3);
}

#[tokio::test]
async fn history_is_filtered_by_relations() {
    let server = Server::start().await;
    let (alice, bob, room) = room_of_two(&server).await;
    let before = alice.sync().await;
    let root = alice.send_text(&room, "root").await;
    let liked = alice.send_text(&room, "liked").await;
    let reply = say_in_thread(&bob, &room, &root, "in the thread").await;
    let like = bob.send_event(&room, "m.reaction", reaction(&liked, "👍")).await;
    let cases = [
        (json!({"related_by_rel_types": ["m.thread"]}), vec![&root]),
        (json!({"related_by_senders": [bob.id]}), vec![&root, &liked]),
        (json!({"related_by_senders": [alice.id]}), vec![]),
        (json!({"related_by_senders": [bob.id], "related_by_rel_types": ["m.annotation", "m.replace"]}), vec![&liked]),
        (json!({"related_by_rel_types": []}), vec![]),
        (json!({"org.matrix.msc3874.rel_types": ["m.thread"]}), vec![&reply]),
        (json!({"org.matrix.msc3874.not_rel_types": ["m.thread"]}), vec![&root, &liked, &like]),
    ];
    let filter_id = async |definition: Value| {
        let stored = alice.post(&format!("user/{}/filter", encode(&alice.id)), definition.clone()).await.expect_ok();
        let id = stored["filter_id"].as_str().unwrap().to_owned();
        let path = format!("user/{}/filter/{}", encode(&alice.id), encode(&id));
        assert_eq!(alice.get(&path).await.expect_ok(), definition, "a filter comes back as it was");
        id
    };
    for (filter, expected) in cases {
        let from = encode(before.next_batch());
        let query = format!("dir=f&from={from}&filter={}", encode(&filter.to_string()));
        let page = alice.get(&format!("rooms/{}/messages?{query}", encode(&room))).await.expect_ok();
        assert_eq!(ids(&page["chunk"]), expected, "messages with {filter}");

        let definition = json!({"room": {"timeline": filter}});
        for by in [definition.to_string(), filter_id(definition.clone()).await] {
            let sync = alice.get(&format!("sync?timeout=0&since={from}&filter={}", encode(&by))).await.expect_ok();
            let timeline = sync["rooms"]["join"][&room]["timeline"]["events"].as_array().cloned().unwrap_or_default();
            assert_eq!(ids(&Value::from(timeline)), expected, "a sync with {by}");
        }
    }
    let path = format!("rooms/{}/messages?dir=b&filter={}", encode(&room), encode(r#"{"related_by_senders":1}"#));
    alice.get(&path).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_person_follows_a_thread_until_they_do_not() {
    let server = Server::start().await;
    let (alice, bob, room) = room_of_two(&server).await;
    let root = alice.send_text(&room, "root").await;
    let reply = say_in_thread(&bob, &room, &root, "reply").await;
    let unstable = "/_matrix/client/unstable/io.element.msc4306/rooms";
    let path = format!("{unstable}/{}/thread/{}/subscription", encode(&room), encode(&root));
    alice.get(&path).await.expect_error(404, "M_NOT_FOUND");
    alice.put(&path, json!({"automatic": root})).await.expect_error(400, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD");
    alice.put(&path, json!({"automatic": reply})).await.expect_ok();
    assert_eq!(alice.get(&path).await.expect_ok(), json!({"automatic": true}));
    alice.put(&path, json!({})).await.expect_ok();
    assert_eq!(alice.get(&path).await.expect_ok(), json!({"automatic": false}));

    let list = "/_matrix/client/unstable/io.element.msc4308/thread_subscriptions?dir=b";
    let told = alice.get(list).await.expect_ok();
    assert_eq!(told["subscribed"][&room][&root]["automatic"], false);
    alice.delete(&path).await.expect_ok();
    alice.delete(&path).await.expect_ok();
    let told = alice.get(list).await.expect_ok();
    assert!(told["unsubscribed"][&room][&root]["bump_stamp"].is_u64() && told["subscribed"].is_null(), "{told}");
    let conflict = "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION";
    alice.put(&path, json!({"automatic": reply})).await.expect_error(409, conflict);
    let later = say_in_thread(&bob, &room, &root, "later").await;
    alice.put(&path, json!({"automatic": later})).await.expect_ok();
    alice.get(&format!("{list}&from=nonsense")).await.expect_error(400, "M_INVALID_PARAM");
    server.register("carol").await.put(&path, json!({})).await.expect_error(404, "M_NOT_FOUND");
}
