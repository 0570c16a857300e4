//! Somebody was away and looks up what they were notified of, in all of their rooms.

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

struct Scene {
    server: Server,
    alice: User,
    bob: User,
    tea: String,
    cake: String,
}

impl Scene {
    /// Alice and bob in two rooms, where bob was silent.
    async fn new() -> Self {
        let server = Server::start().await;
        let (alice, bob) = (server.register("alice").await, server.register("bob").await);
        let mut rooms = Vec::new();
        for _ in 0..2 {
            let room = alice.create_room().await;
            alice.send_text(&room, "before bob").await;
            alice.invite(&room, &bob).await;
            bob.join(&room).await;
            rooms.push(room);
        }
        let [tea, cake] = rooms.try_into().expect("there are two");
        Self { server, alice, bob, tea, cake }
    }

    async fn missed(&self, query: &str) -> Value {
        self.bob.get(&format!("notifications?{query}")).await.expect_ok()
    }

    /// The ids of the events in the list, newest first.
    async fn ids(&self, query: &str) -> Vec<String> {
        ids(&self.missed(query).await)
    }

    async fn mention(&self, room: &str) -> String {
        let content = json!({"msgtype": "m.text", "body": "bob!", "m.mentions": {"user_ids": [self.bob.id]}});
        self.alice.send_event(room, "m.room.message", content).await
    }
}

fn ids(list: &Value) -> Vec<String> {
    let list = list["notifications"].as_array().unwrap();
    list.iter().map(|it| it["event"]["event_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_was_missed_comes_newest_first_with_what_was_read() {
    let scene = Scene::new().await;
    let one = scene.alice.send_text(&scene.tea, "one").await;
    let two = scene.mention(&scene.cake).await;
    scene.alice.send_event(&scene.tea, "m.room.message", json!({"msgtype": "m.notice", "body": "beep"})).await;
    let three = scene.alice.send_text(&scene.tea, "three").await;
    let list = scene.missed("").await;
    assert_eq!(ids(&list), [three.clone(), two.clone(), one.clone()]);
    assert_eq!(list.get("next_token"), None);
    let second = &list["notifications"][1];
    assert_eq!((&second["room_id"], &second["read"]), (&json!(scene.cake), &json!(false)));
    let actions = json!(["notify", {"set_tweak": "sound", "value": "default"}, {"set_tweak": "highlight"}]);
    assert_eq!(second["actions"], actions);
    assert_eq!(second["event"]["content"]["body"], "bob!");
    assert_eq!(second["event"].get("room_id"), None);
    assert_eq!(second["ts"], second["event"]["origin_server_ts"]);
    assert_eq!(scene.ids("only=highlight").await, [two]);

    let path = format!("rooms/{}/receipt/m.read/{}", encode(&scene.tea), encode(&one));
    scene.bob.post(&path, json!({})).await.expect_ok();
    let read = async || {
        let list = scene.missed("").await;
        let read = list["notifications"].as_array().unwrap().iter().map(|it| it["read"].as_bool().unwrap());
        read.collect::<Vec<_>>()
    };
    assert_eq!(read().await, [false, false, true]);
    scene.bob.send_text(&scene.tea, "an answer").await;
    assert_eq!(read().await, [true, false, true], "who answers has read");
}

#[tokio::test]
async fn a_long_list_comes_in_pages_that_miss_and_repeat_nothing() {
    let scene = Scene::new().await;
    let mut sent = Vec::new();
    for number in 0..70 {
        for (divisor, room) in [(1, &scene.tea), (3, &scene.cake)] {
            if number % divisor == 0 {
                sent.push(scene.alice.send_text(room, &format!("{number}")).await);
            }
        }
        if number % 10 == 0 {
            scene.bob.send_text(&scene.tea, "his own").await;
        }
    }
    sent.reverse();
    for limit in [1, 7, 100] {
        let (mut found, mut query) = (Vec::new(), format!("limit={limit}"));
        loop {
            let page = scene.missed(&query).await;
            assert!(ids(&page).len() <= limit);
            found.extend(ids(&page));
            let Some(next) = page["next_token"].as_str() else { break };
            query = format!("limit={limit}&from={next}");
            if limit == 1 && found.len() > 10 {
                break;
            }
        }
        assert_eq!(found, sent[..found.len()], "in pages of {limit}");
        assert!(limit == 1 || found.len() == sent.len());
    }
    assert_eq!(scene.ids("").await.len(), 20);
}

#[tokio::test]
async fn the_list_shows_what_one_may_see_now() {
    let scene = Scene::new().await;
    let mistake = scene.alice.send_text(&scene.tea, "a mistake").await;
    let fine = scene.alice.send_text(&scene.tea, "fine").await;
    let elsewhere = scene.alice.send_text(&scene.cake, "elsewhere").await;
    scene.alice.redact(&scene.tea, &mistake).await;
    assert_eq!(scene.ids("").await, [elsewhere, fine.clone()]);
    scene.bob.leave(&scene.cake).await;
    assert_eq!(scene.ids("").await, [fine], "a room that was left is not in it");

    let ignored = format!("user/{}/account_data/m.ignored_user_list", encode(&scene.bob.id));
    scene.bob.put(&ignored, json!({"ignored_users": {&scene.alice.id: {}}})).await.expect_ok();
    assert_eq!(scene.ids("").await, [""; 0]);
}

#[tokio::test]
async fn an_invitation_is_in_the_list_until_it_is_answered() {
    let scene = Scene::new().await;
    let room = scene.alice.create_room().await;
    scene.alice.invite(&room, &scene.bob).await;
    let list = scene.missed("").await;
    let invitation = &list["notifications"][0];
    assert_eq!((&invitation["room_id"], &invitation["read"]), (&json!(room), &json!(false)));
    assert_eq!(invitation["event"]["content"]["membership"], "invite");
    assert_eq!(invitation["event"]["state_key"], *scene.bob.id);
    scene.bob.join(&room).await;
    assert_eq!(scene.ids("").await, [""; 0]);
}

#[tokio::test]
async fn what_is_no_list_is_refused() {
    let scene = Scene::new().await;
    for query in ["from=nonsense", "from=-1", "from=99999999999999999999", "limit=many", "only=everything"] {
        scene.bob.get(&format!("notifications?{query}")).await.expect_error(400, "M_INVALID_PARAM");
    }
    assert_eq!(scene.missed("limit=0&from=1").await, json!({"notifications": []}));
    scene.server.stranger().get("notifications").await.expect_error(401, "M_MISSING_TOKEN");
}
