//! A phone with many rooms shows the newest of them at once, and hears of the others when it looks at them (sliding sync).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Server, User, encode};

const PATH: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// A request of sliding sync, from `pos` on if there is one.
async fn ask(user: &User, pos: Option<&str>, timeout: Duration, body: Value) -> Answer {
    let pos = pos.map(|pos| format!("&pos={}", encode(pos))).unwrap_or_default();
    user.post(&format!("{PATH}?timeout={}{pos}", timeout.as_millis()), body).await
}

/// As [`ask`], for an answer that comes at once.
async fn slide(user: &User, pos: Option<&str>, body: Value) -> Value {
    ask(user, pos, Duration::ZERO, body).await.expect_ok()
}

fn pos(answer: &Value) -> Option<&str> {
    Some(answer["pos"].as_str().expect("every answer has a pos"))
}

/// One list with these places.
fn list(first: u64, last: u64, limit: u64, required_state: Value) -> Value {
    json!({"lists": {"rooms": {"ranges": [[first, last]], "timeline_limit": limit, "required_state": required_state}}})
}

fn rooms(answer: &Value) -> Vec<&str> {
    answer["rooms"].as_object().map(|rooms| rooms.keys().map(String::as_str).collect()).unwrap_or_default()
}

fn texts(room: &Value) -> Vec<&str> {
    let events = room["timeline"].as_array().map_or(&[][..], Vec::as_slice);
    events.iter().filter_map(|event| event["content"]["body"].as_str()).collect()
}

#[tokio::test]
async fn the_newest_rooms_come_first_and_the_others_when_they_are_looked_at() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let versions = alice.get("/_matrix/client/versions").await.expect_ok();
    assert_eq!(versions["unstable_features"]["org.matrix.simplified_msc3575"], true);
    let mut ids = Vec::new();
    for number in 0..5 {
        let id = alice.create_room_with(json!({"name": format!("room {number}")})).await;
        alice.send_text(&id, &format!("hello {number}")).await;
        ids.push(id);
    }
    let first = slide(&alice, None, list(0, 1, 1, json!([["m.room.create", ""]]))).await;
    assert_eq!(first["lists"]["rooms"]["count"], 5);
    assert_eq!(rooms(&first).len(), 2);
    for (id, number) in [(&ids[4], 4), (&ids[3], 3)] {
        let room = &first["rooms"][id];
        assert_eq!((&room["initial"], &room["name"]), (&json!(true), &json!(format!("room {number}"))), "{room}");
        assert_eq!(texts(room), [format!("hello {number}")]);
        assert_eq!((&room["limited"], &room["joined_count"]), (&json!(true), &json!(1)));
        assert_eq!(room["required_state"][0]["type"], "m.room.create");
        assert_eq!(room["required_state"].as_array().unwrap().len(), 1);
        assert_eq!((&room["lists"], &room["membership"]), (&json!(["rooms"]), &json!("join")));
    }
    assert!(first["rooms"][&ids[4]]["bump_stamp"].as_u64() > first["rooms"][&ids[3]]["bump_stamp"].as_u64());

    // What happens in a room that is not looked at lifts it to a place that is.
    alice.send_text(&ids[0], "news").await;
    let second = slide(&alice, pos(&first), list(0, 1, 1, json!([["m.room.create", ""]]))).await;
    assert_eq!(rooms(&second), [&ids[0]]);
    let room = &second["rooms"][&ids[0]];
    assert_eq!((texts(room), &room["num_live"], &room["initial"]), (vec!["news"], &json!(1), &json!(true)));

    // The room that fell out of sight keeps what happens in it for later, and comes with that alone.
    let third = slide(&alice, pos(&second), list(0, 4, 1, json!([["m.room.create", ""]]))).await;
    assert_eq!(rooms(&third).len(), 2, "{third}");
    let quiet = slide(&alice, pos(&third), list(0, 4, 1, json!([["m.room.create", ""]]))).await;
    assert_eq!(rooms(&quiet), [""; 0]);
    let from = room["prev_batch"].as_str().unwrap();
    let earlier = alice.get(&format!("rooms/{}/messages?dir=b&limit=1&from={from}", encode(&ids[0]))).await.expect_ok();
    assert_eq!(earlier["chunk"][0]["content"]["body"], "hello 0");
}

#[tokio::test]
async fn looking_closer_brings_more_of_the_timeline_and_of_the_state() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let id = alice.create_room_with(json!({"preset": "public_chat", "topic": "tea"})).await;
    bob.join(&id).await;
    for (person, text) in [(&alice, "A"), (&bob, "B"), (&alice, "C"), (&alice, "D")] {
        person.send_text(&id, text).await;
    }
    let lazy = json!([["m.room.member", "$LAZY"]]);
    let first = slide(&alice, None, list(0, 9, 1, lazy.clone())).await;
    let members = |answer: &Value| {
        let state = answer["rooms"][&id]["required_state"].as_array().cloned().unwrap_or_default();
        state.iter().map(|event| event["state_key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((texts(&first["rooms"][&id]), members(&first)), (vec!["D"], vec![alice.id.clone()]));
    assert_eq!(first["rooms"][&id]["heroes"][0]["user_id"], bob.id);

    let mut closer = list(0, 9, 1, lazy);
    closer["room_subscriptions"] = json!({&id: {"timeline_limit": 3, "required_state": [["m.room.topic", ""]]}});
    let second = slide(&alice, pos(&first), closer.clone()).await;
    let room = &second["rooms"][&id];
    assert_eq!((texts(room), &room["unstable_expanded_timeline"]), (vec!["B", "C", "D"], &json!(true)));
    assert_eq!((&room["initial"], &room["num_live"]), (&Value::Null, &json!(0)), "{room}");
    let state = room["required_state"].as_array().unwrap();
    assert!(state.iter().any(|event| event["content"]["topic"] == "tea"), "{state:?}");
    assert!(state.iter().any(|event| event["state_key"] == bob.id), "whom the timeline speaks of: {state:?}");
    let third = slide(&alice, pos(&second), closer.clone()).await;
    assert_eq!(rooms(&third), [""; 0], "told once: {third}");
    bob.send_text(&id, "E").await;
    let fourth = slide(&alice, pos(&third), closer).await;
    let room = &fourth["rooms"][&id];
    assert_eq!((texts(room), &room["unstable_expanded_timeline"]), (vec!["E"], &Value::Null));
    assert_eq!((&room["notification_count"], members(&fourth)), (&json!(1), vec![]), "{room}");
}

#[tokio::test]
async fn an_invitation_wakes_a_client_that_waits_and_leads_into_the_room() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let id = alice.create_room_with(json!({"preset": "private_chat", "name": "secret tea"})).await;
    let body = list(0, 9, 5, json!([["m.room.member", "$ME"]]));
    let start = slide(&bob, None, body.clone()).await;
    assert_eq!(start["lists"]["rooms"]["count"], 0);
    let wait = ask(&bob, pos(&start), Duration::from_secs(25), body.clone());
    let (invited, ()) = tokio::join!(wait, alice.invite(&id, &bob));
    let invited = invited.expect_ok();
    let room = &invited["rooms"][&id];
    let stripped = room["invite_state"].as_array().unwrap();
    assert!(stripped.iter().any(|event| event["content"]["name"] == "secret tea"), "{room}");
    assert_eq!(
        (&room["timeline"], &room["required_state"]),
        (&Value::Null, &Value::Null),
        "nothing from inside: {room}"
    );

    bob.join(&id).await;
    let joined = slide(&bob, pos(&invited), body.clone()).await;
    let room = &joined["rooms"][&id];
    assert_eq!((&room["initial"], &room["membership"]), (&json!(true), &json!("join")));
    alice.act(&id, "kick", json!({"user_id": bob.id})).await.expect_ok();
    let kicked = slide(&bob, pos(&joined), body.clone()).await;
    let room = &kicked["rooms"][&id];
    assert_eq!(
        (&room["membership"], &room["required_state"][0]["sender"]),
        (&json!("leave"), &json!(alice.id)),
        "{room}"
    );
    alice.send_text(&id, "now that bob is gone").await;
    let after = slide(&bob, pos(&kicked), body.clone()).await;
    assert_eq!(rooms(&after), [""; 0]);
    // Who was kicked may not have seen it, so that clients hear of it when they start anew; who left knows.
    assert_eq!(slide(&bob, None, body.clone()).await["rooms"][&id]["membership"], "leave");
    alice.leave(&id).await;
    assert_eq!(rooms(&slide(&alice, None, body).await), [""; 0]);
}

#[tokio::test]
async fn nothing_is_lost_when_an_answer_is_or_when_the_server_forgets_the_connection() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let id = bob.create_room().await;
    let mut body = list(0, 9, 5, json!([]));
    body["extensions"] = json!({"to_device": {"enabled": true}});
    let start = slide(&bob, None, body.clone()).await;
    bob.send_text(&id, "one").await;
    let note = json!({"messages": {&bob.id: {&bob.device_id: {"text": "psst"}}}});
    alice.put("sendToDevice/org.example.note/1", note).await.expect_ok();

    let lost = slide(&bob, pos(&start), body.clone()).await;
    let again = slide(&bob, pos(&start), body.clone()).await;
    for answer in [&lost, &again] {
        assert_eq!(texts(&answer["rooms"][&id]), ["one"]);
        assert_eq!(answer["extensions"]["to_device"]["events"][0]["content"]["text"], "psst");
    }
    let next = slide(&bob, pos(&again), body.clone()).await;
    assert_eq!(rooms(&next), [""; 0]);
    ask(&bob, pos(&start), Duration::ZERO, body.clone()).await.expect_error(400, "M_UNKNOWN_POS");
    ask(&alice, pos(&next), Duration::ZERO, body.clone()).await.expect_error(400, "M_UNKNOWN_POS");

    server.restart().await;
    ask(&bob, pos(&next), Duration::ZERO, body.clone()).await.expect_error(400, "M_UNKNOWN_POS");
    let anew = slide(&bob, None, body.clone()).await;
    let messages = &anew["extensions"]["to_device"];
    assert_eq!(messages["events"][0]["content"]["text"], "psst", "not acknowledged yet: {anew}");
    body["extensions"]["to_device"]["since"] = messages["next_batch"].clone();
    assert_eq!(slide(&bob, pos(&anew), body.clone()).await["extensions"]["to_device"]["events"], Value::Null);
    body["extensions"]["to_device"]["since"] = Value::Null;
    assert_eq!(slide(&bob, None, body).await["extensions"]["to_device"]["events"], Value::Null, "it had them");
}

#[tokio::test]
async fn filters_pick_rooms_and_nonsense_is_refused() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let plain = alice.create_room_with(json!({"name": "plain"})).await;
    let encryption =
        json!({"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}});
    let encrypted = alice.create_room_with(json!({"initial_state": [encryption]})).await;
    let child = json!({"type": "m.space.child", "state_key": plain, "content": {"via": ["story.example"]}});
    let space =
        alice.create_room_with(json!({"creation_content": {"type": "m.space"}, "initial_state": [child]})).await;
    let invited = bob.create_room().await;
    bob.invite(&invited, &alice).await;
    let direct = format!("user/{}/account_data/m.direct", encode(&alice.id));
    alice.put(&direct, json!({&bob.id: [encrypted]})).await.expect_ok();
    let tags = format!("user/{}/rooms/{}/tags/m.favourite", encode(&alice.id), encode(&plain));
    alice.put(&tags, json!({})).await.expect_ok();
    let cases = [
        (json!({}), vec![&plain, &encrypted, &space, &invited]),
        (json!({"is_dm": true}), vec![&encrypted]),
        (json!({"is_encrypted": false}), vec![&plain, &space, &invited]),
        (json!({"is_invite": true}), vec![&invited]),
        (json!({"is_invite": false, "not_room_types": ["m.space"]}), vec![&plain, &encrypted]),
        (json!({"room_types": ["m.space"]}), vec![&space]),
        (json!({"tags": ["m.favourite"]}), vec![&plain]),
        (json!({"not_tags": ["m.favourite"], "is_invite": false}), vec![&encrypted, &space]),
        (json!({"spaces": [space]}), vec![&plain]),
    ];
    for (filters, mut expected) in cases {
        let mut body = list(0, 9, 1, json!([]));
        body["lists"]["rooms"]["filters"] = filters.clone();
        let answer = slide(&alice, None, body).await;
        expected.sort();
        assert_eq!(rooms(&answer), expected, "{filters}");
        assert_eq!(answer["lists"]["rooms"]["count"], expected.len());
    }
    let many: Vec<_> = (0..600).map(|number| json!([number.to_string(), ""])).collect();
    let lists: serde_json::Map<_, _> =
        (0..101).map(|number| (number.to_string(), list(0, 1, 1, json!([]))["lists"]["rooms"].clone())).collect();
    for (body, errcode) in [
        (list(3, 1, 1, json!([])), "M_INVALID_PARAM"),
        (list(0, 1, 1, json!(many)), "M_INVALID_PARAM"),
        (json!({"lists": lists}), "M_INVALID_PARAM"),
        (json!({"conn_id": "x".repeat(300)}), "M_INVALID_PARAM"),
        (json!({"extensions": {"to_device": {"enabled": true, "since": "yesterday"}}}), "M_INVALID_PARAM"),
        (json!({"lists": 1}), "M_BAD_JSON"),
        (json!({"set_presence": "dancing"}), "M_INVALID_PARAM"),
    ] {
        ask(&alice, None, Duration::ZERO, body.clone()).await.expect_error(400, errcode);
    }
    ask(&alice, Some("s1_2_3"), Duration::ZERO, json!({})).await.expect_error(400, "M_UNKNOWN_POS");
    let path = format!("{PATH}?timeout=soon");
    alice.post(&path, json!({})).await.expect_error(400, "M_INVALID_PARAM");
    let strangers =
        json!({"room_subscriptions": {&invited: {"timeline_limit": 5}, "!no:where": {"timeline_limit": 5}}});
    assert_eq!(rooms(&slide(&bob, None, strangers.clone()).await), [&invited]);
    let eve = server.register("eve").await;
    assert_eq!(rooms(&slide(&eve, None, strangers).await), [""; 0]);
}

#[tokio::test]
async fn subscriptions_to_threads_come_along() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let id = alice.create_room().await;
    let (one, two) = (alice.send_text(&id, "one").await, alice.send_text(&id, "two").await);
    let path = |root: &str| {
        let (room, root) = (encode(&id), encode(root));
        format!("/_matrix/client/unstable/io.element.msc4306/rooms/{room}/thread/{root}/subscription")
    };
    let name = "io.element.msc4308.thread_subscriptions";
    let body = json!({"extensions": {name: {"enabled": true, "limit": 1}}});
    let start = slide(&alice, None, body.clone()).await;
    assert_eq!(start["extensions"][name], Value::Null);
    let waiting = ask(&alice, pos(&start), Duration::from_secs(25), body.clone());
    let subscribing = async { alice.put(&path(&one), json!({})).await.expect_ok() };
    let (told, _) = tokio::join!(waiting, subscribing);
    let told = told.expect_ok();
    assert_eq!(told["extensions"][name]["subscribed"][&id][&one]["automatic"], false, "{told}");

    alice.delete(&path(&one)).await.expect_ok();
    alice.put(&path(&two), json!({})).await.expect_ok();
    let next = slide(&alice, pos(&told), body.clone()).await;
    let section = &next["extensions"][name];
    assert_eq!(section["subscribed"][&id][&two]["automatic"], false, "{next}");
    assert_eq!(section["unsubscribed"], Value::Null, "one at a time: {next}");
    let (from, to) = (section["prev_batch"].as_str().unwrap(), pos(&told).unwrap());
    let rest =
        format!("/_matrix/client/unstable/io.element.msc4308/thread_subscriptions?from={from}&to={}", encode(to));
    let rest = alice.get(&format!("{rest}&dir=b")).await.expect_ok();
    assert!(rest["unsubscribed"][&id][&one].is_object(), "{rest}");
    assert_eq!(slide(&alice, pos(&next), body).await["extensions"][name], Value::Null);
}
