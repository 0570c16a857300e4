//! The number on an app's icon is what is unread, and goes away when it was read elsewhere.

use serde_json::{Value, json};

use crate::support::{GATEWAYS_ON_LOOPBACK, Gateway, Manner, Server, User, encode};

struct Scene {
    server: Server,
    gateway: Gateway,
    alice: User,
    bob: User,
}

/// Bob has a phone; its number counts what `badge` says.
async fn scene(badge: &str) -> Scene {
    let config = GATEWAYS_ON_LOOPBACK.replace("[push]", &format!("[push]\nbadge = \"{badge}\""));
    let server = Server::start_with(&config).await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let gateway = Gateway::start().await;
    Scene { server, gateway, alice, bob }
}

impl Scene {
    /// A room that both are in.
    async fn room(&self) -> String {
        let room = self.alice.create_room().await;
        self.alice.invite(&room, &self.bob).await;
        self.bob.join(&room).await;
        room
    }

    async fn read(&self, room: &str, event: &str) {
        let path = format!("rooms/{}/receipt/m.read.private/{}", encode(room), encode(event));
        self.bob.post(&path, json!({})).await.expect_ok();
    }

    /// The event and the number of the next push.
    async fn told(&self) -> (Value, Value) {
        let mut push = self.gateway.next().await;
        (push["event_id"].take(), push["counts"]["unread"].take())
    }
}

#[tokio::test]
async fn reading_on_another_device_takes_the_number_away_once() {
    let scene = scene("messages").await;
    let room = scene.room().await;
    scene.gateway.tell(&scene.bob, "key", json!({"brand": "tea"})).await;
    let one = scene.alice.send_text(&room, "one").await;
    assert_eq!(scene.told().await, (json!(one), json!(1)));
    let two = scene.alice.send_text(&room, "two").await;
    assert_eq!(scene.told().await, (json!(two), json!(2)));

    scene.read(&room, &two).await;
    let mut push = scene.gateway.next().await;
    push["devices"][0]["pushkey_ts"].take();
    let device = json!({"app_id": "org.example.phone", "pushkey": "key", "pushkey_ts": null, "data": {"brand": "tea"}});
    assert_eq!(push, json!({"counts": {"unread": 0}, "prio": "low", "devices": [device]}));

    // A receipt where nothing was unread is no news, nor is what bob himself says.
    let own = scene.bob.send_text(&room, "three").await;
    scene.read(&room, &own).await;
    let four = scene.alice.send_text(&room, "four").await;
    assert_eq!(scene.told().await, (json!(four), json!(1)));
    scene.bob.send_text(&room, "an answer").await;
    assert_eq!(scene.told().await, (Value::Null, json!(0)), "who answers has read");
}

#[tokio::test]
async fn a_restart_neither_repeats_nor_forgets_it() {
    let mut scene = scene("messages").await;
    let room = scene.room().await;
    scene.gateway.tell(&scene.bob, "key", json!({})).await;
    let one = scene.alice.send_text(&room, "one").await;
    scene.told().await;
    scene.server.restart().await;
    scene.read(&room, &one).await;
    assert_eq!(scene.told().await, (Value::Null, json!(0)));
    scene.server.kill_and_restart().await;
    let two = scene.alice.send_text(&room, "two").await;
    let mut told = scene.told().await;
    if told == (Value::Null, json!(0)) {
        // The crash came between the gateway's answer and the note of it, so that this one is told again.
        told = scene.told().await;
    }
    assert_eq!(told, (json!(two), json!(1)));
}

#[tokio::test]
async fn the_number_is_of_all_rooms() {
    let scene = scene("messages").await;
    let (tea, cake) = (scene.room().await, scene.room().await);
    scene.alice.send_text(&tea, "before there was a phone").await;
    scene.gateway.tell(&scene.bob, "key", json!({})).await;
    for (room, unread) in [(&cake, 2), (&tea, 3), (&cake, 4)] {
        let event = scene.alice.send_text(room, "hello").await;
        assert_eq!(scene.told().await, (json!(event), json!(unread)));
    }
    scene.bob.leave(&cake).await;
    let event = scene.alice.send_text(&tea, "hello").await;
    assert_eq!(scene.told().await, (json!(event), json!(3)), "a room that was left does not count");
    scene.bob.leave(&tea).await;
    assert_eq!(scene.told().await, (Value::Null, json!(0)));
}

#[tokio::test]
async fn an_operator_may_have_it_count_rooms() {
    let scene = scene("rooms").await;
    let (tea, cake) = (scene.room().await, scene.room().await);
    scene.gateway.tell(&scene.bob, "key", json!({})).await;
    for (room, unread) in [(&tea, 1), (&tea, 1), (&cake, 2)] {
        let event = scene.alice.send_text(room, "hello").await;
        assert_eq!(scene.told().await, (json!(event), json!(unread)));
    }
}

#[tokio::test]
async fn what_was_read_before_the_phone_could_be_told_is_not_told() {
    let scene = scene("messages").await;
    let room = scene.room().await;
    scene.gateway.behave(Manner::Answers(502));
    scene.gateway.tell(&scene.bob, "key", json!({})).await;
    let read = scene.alice.send_text(&room, "one").await;
    let unread = scene.alice.send_text(&room, "two").await;
    scene.gateway.called_after(0).await;
    scene.read(&room, &read).await;
    scene.gateway.behave(Manner::Takes);
    assert_eq!(scene.told().await, (json!(unread), json!(1)));
}

#[tokio::test]
async fn a_room_that_is_muted_is_on_no_badge() {
    let scene = scene("messages").await;
    let room = scene.room().await;
    scene.gateway.tell(&scene.bob, "key", json!({})).await;
    let event = scene.alice.send_text(&room, "hello").await;
    assert_eq!(scene.told().await, (json!(event), json!(1)));
    let rule = format!("pushrules/global/room/{}", encode(&room));
    scene.bob.put(&rule, json!({"actions": []})).await.expect_ok();
    assert_eq!(scene.told().await, (Value::Null, json!(0)));
}
