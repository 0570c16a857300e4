//! Wherever a client meets a message, its newest correction, its thread and what refers to it come along, the same everywhere.

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

/// A room of two with a message to which everything relates that is bundled.
struct Scene {
    _server: Server,
    alice: User,
    bob: User,
    room: String,
    root: String,
    /// The moment before it was said.
    since: String,
}

async fn relate(user: &User, room: &str, kind: &str, to: &str, text: &str) -> String {
    let content = json!({
        "msgtype": "m.text", "body": text, "m.new_content": {"msgtype": "m.text", "body": text},
        "m.relates_to": {"rel_type": kind, "event_id": to, "key": text},
    });
    user.send_event(room, "m.room.message", content).await
}

impl Scene {
    async fn start() -> Self {
        let server = Server::start().await;
        let (alice, bob) = (server.register("alice").await, server.register("bob").await);
        let room = alice.create_room_with(json!({"preset": "public_chat"})).await;
        bob.join(&room).await;
        let since = bob.sync().await.next_batch().to_owned();
        let root = alice.send_text(&room, "a beginning, before any correction").await;
        Self { _server: server, alice, bob, room, root, since }
    }

    fn path(&self, rest: &str) -> String {
        format!("rooms/{}/{rest}", encode(&self.room))
    }

    async fn get(&self, path: &str) -> Value {
        self.bob.get(path).await.expect_ok()
    }

    /// What each way to read shows of an event.
    async fn ways(&self, since: &str) -> Vec<(&'static str, Value)> {
        let (room, id) = (encode(&self.room), encode(&self.root));
        let limited = encode(&json!({"room": {"timeline": {"limit": 20}}}).to_string());
        let context = |of: &str| self.path(&format!("context/{}?limit=30", encode(of)));
        let last = self.bob.messages(&self.room, 1).await.remove(0)["event_id"].as_str().unwrap().to_owned();
        let first =
            self.get(&self.path("messages?dir=f&limit=1")).await["chunk"][0]["event_id"].as_str().unwrap().to_owned();
        let term = json!({"search_term": "correction", "event_context": {"before_limit": 2, "after_limit": 2}});
        let search = json!({"search_categories": {"room_events": term}});
        let wish = json!({"timeline_limit": 20, "required_state": []});
        let sliding = json!({"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 20, "required_state": []}}});
        let subscribed = json!({"room_subscriptions": {&self.room: wish}});
        let slide = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0";
        vec![
            ("event", self.get(&self.path(&format!("event/{id}"))).await),
            ("context, in the middle", self.get(&context(&self.root)).await["event"].clone()),
            ("context, before", self.get(&context(&last)).await["events_before"].clone()),
            ("context, after", self.get(&context(&first)).await["events_after"].clone()),
            ("messages backwards", self.get(&self.path("messages?dir=b&limit=50")).await["chunk"].clone()),
            ("messages forwards", self.get(&self.path("messages?dir=f&limit=50")).await["chunk"].clone()),
            ("threads", self.get(&format!("/_matrix/client/v1/rooms/{room}/threads")).await["chunk"].clone()),
            ("first sync", self.get(&format!("sync?filter={limited}")).await["rooms"].clone()),
            ("sync", self.get(&format!("sync?filter={limited}&since={}", encode(since))).await["rooms"].clone()),
            ("sliding sync, list", self.bob.post(slide, sliding).await.expect_ok()["rooms"].clone()),
            ("sliding sync, room", self.bob.post(slide, subscribed).await.expect_ok()["rooms"].clone()),
            ("search", self.bob.post("search", search).await.expect_ok()["search_categories"].clone()),
            ("notifications", self.get("notifications?limit=50").await["notifications"].clone()),
            ("initialSync of the room", self.get(&self.path("initialSync?limit=50")).await["messages"].clone()),
            ("initialSync", self.get("initialSync?limit=50").await["rooms"].clone()),
            ("events", self.get(&format!("events?timeout=0&from={}", encode(since))).await["chunk"].clone()),
            (
                "events of the room",
                self.get(&format!("events?timeout=0&room_id={room}&from={}", encode(since))).await["chunk"].clone(),
            ),
        ]
    }

    /// The root as each way shows it, in one form.
    async fn seen(&self, since: &str) -> Vec<(&'static str, Value)> {
        let ways = self.ways(since).await;
        ways.into_iter()
            .map(|(way, shown)| {
                let event = find(&shown, &self.root).unwrap_or_else(|| panic!("{way} does not show it: {shown}"));
                (way, plain(event["unsigned"]["m.relations"].clone()))
            })
            .collect()
    }
}

/// The event with this id anywhere in an answer.
fn find<'a>(answer: &'a Value, id: &str) -> Option<&'a Value> {
    match answer {
        Value::Object(object) if object.get("event_id").is_some_and(|it| it == id) && object.contains_key("sender") => {
            Some(answer)
        }
        Value::Object(object) => object.values().find_map(|value| find(value, id)),
        Value::Array(values) => values.iter().find_map(|value| find(value, id)),
        _ => None,
    }
}

/// Without what differs from one answer to the next: the age of events, and whether they name their room.
fn plain(mut bundle: Value) -> Value {
    match &mut bundle {
        Value::Object(object) => {
            object.retain(|name, _| !["age", "room_id", "transaction_id"].contains(&name.as_str()));
            for value in object.values_mut() {
                *value = plain(value.take());
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| *value = plain(value.take())),
        _ => {}
    }
    bundle
}

#[tokio::test]
async fn each_way_to_read_shows_the_same_bundle() {
    let scene = Scene::start().await;
    let Scene { alice, bob, room, root, since, .. } = &scene;
    relate(alice, room, "m.replace", root, "first correction").await;
    let edit = relate(alice, room, "m.replace", root, "second correction").await;
    relate(alice, room, "m.thread", root, "reply").await;
    let latest = relate(bob, room, "m.thread", root, "own reply").await;
    let own_edit = relate(bob, room, "m.replace", &latest, "own correction").await;
    // As many events as the old ways to start show, together with those that take some of them back.
    let reference = relate(alice, room, "m.reference", root, "note").await;

    let seen = scene.seen(since).await;
    let (_, first) = &seen[0];
    assert_eq!(first["m.replace"]["event_id"], json!(edit));
    assert_eq!(first["m.replace"]["content"]["m.new_content"]["body"], "second correction");
    let thread = &first["m.thread"];
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(2), &json!(true)));
    assert_eq!(thread["latest_event"]["event_id"], json!(latest));
    assert_eq!(thread["latest_event"]["unsigned"]["m.relations"]["m.replace"]["event_id"], json!(own_edit));
    assert_eq!(first["m.reference"], json!({"chunk": [{"event_id": reference}]}));
    assert_eq!(first.as_object().unwrap().len(), 3);
    for (way, bundle) in &seen {
        assert_eq!(bundle, first, "{way}");
    }

    // What is taken back is gone everywhere, and the correction before it counts again.
    alice.redact(room, &edit).await;
    bob.redact(room, &latest).await;
    alice.redact(room, &reference).await;
    let seen = scene.seen(since).await;
    let (_, first) = &seen[0];
    assert_eq!(first["m.replace"]["content"]["m.new_content"]["body"], "first correction");
    let thread = &first["m.thread"];
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(1), &json!(false)));
    assert_eq!(first.get("m.reference"), None);
    for (way, bundle) in &seen {
        assert_eq!(bundle, first, "{way}");
    }
}

#[tokio::test]
async fn what_is_encrypted_is_corrected_by_what_is_encrypted() {
    let scene = Scene::start().await;
    let Scene { alice, bob, room, .. } = &scene;
    let secret = |relation: Value| {
        let mut content = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "y"});
        if relation.is_object() {
            content["m.relates_to"] = relation;
        }
        content
    };
    let said = alice.send_event(room, "m.room.encrypted", secret(Value::Null)).await;
    let replaces = json!({"rel_type": "m.replace", "event_id": said});
    let bundle =
        async || scene.get(&scene.path(&format!("event/{}", encode(&said)))).await["unsigned"]["m.relations"].clone();
    bob.send_event(room, "m.room.encrypted", secret(replaces.clone())).await;
    relate(alice, room, "m.replace", &said, "in the clear").await;
    assert_eq!(bundle().await, Value::Null, "only by the same person, and only as secretly");
    let edit = alice.send_event(room, "m.room.encrypted", secret(replaces.clone())).await;
    assert_eq!(bundle().await["m.replace"]["event_id"], json!(edit));
    alice.redact(room, &said).await;
    assert_eq!(bundle().await, Value::Null, "what was taken back is not shown as it was corrected");
}
