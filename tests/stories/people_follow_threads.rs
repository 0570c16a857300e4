//! People subscribe to the threads that they want to hear of, and hear of the others as they always did until they say otherwise.

use serde_json::{Value, json};

use crate::support::{GATEWAYS_ON_LOOPBACK, Gateway, Server, Sync, User, encode};

const SUBSCRIBED: &str = ".io.element.msc4306.rule.subscribed_thread";
const UNSUBSCRIBED: &str = ".io.element.msc4306.rule.unsubscribed_thread";

/// Alice and Bob in a room where Bob's phone is told of what happens.
async fn scene() -> (Server, Gateway, User, User, String) {
    let server = Server::start_with(GATEWAYS_ON_LOOPBACK).await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let gateway = Gateway::start().await;
    gateway.tell(&bob, "phone", json!({})).await;
    (server, gateway, alice, bob, room)
}

async fn say_in_thread(user: &User, room: &str, root: &str, more: Value) -> String {
    let mut content =
        json!({"msgtype": "m.text", "body": "hello", "m.relates_to": {"rel_type": "m.thread", "event_id": root}});
    content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    user.send_event(room, "m.room.message", content).await
}

fn subscription(room: &str, root: &str) -> String {
    let unstable = "/_matrix/client/unstable/io.element.msc4306/rooms";
    format!("{unstable}/{}/thread/{}/subscription", encode(room), encode(root))
}

async fn silence_other_threads(user: &User) {
    user.put(&format!("pushrules/global/postcontent/{UNSUBSCRIBED}/enabled"), json!({"enabled": true}))
        .await
        .expect_ok();
}

async fn mute(user: &User, room: &str) {
    user.put(&format!("pushrules/global/room/{}", encode(room)), json!({"actions": []})).await.expect_ok();
}

/// How many notifications a sync counts in a thread.
#[track_caller]
fn unread(sync: &Sync, room: &str, root: &str) -> u64 {
    sync.joined(room)["unread_thread_notifications"][root]["notification_count"].as_u64().unwrap_or(0)
}

async fn sync_with_threads(user: &User, since: Option<&str>) -> Sync {
    let filter = json!({"room": {"timeline": {"unread_thread_notifications": true}}});
    let since = since.map(|since| format!("&timeout=10000&since={}", encode(since))).unwrap_or_default();
    Sync(user.get(&format!("sync?filter={}{since}", encode(&filter.to_string()))).await.expect_ok())
}

/// The events of the list of notifications that were not read, newest first.
async fn listed(user: &User) -> Vec<String> {
    let list = user.get("notifications?limit=20").await.expect_ok();
    let list = list["notifications"].as_array().unwrap().iter().filter(|it| it["read"] == false);
    list.map(|it| it["event"]["event_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn who_does_not_know_of_subscriptions_hears_of_threads_as_ever() {
    let (_server, gateway, alice, bob, room) = scene().await;
    let root = bob.send_text(&room, "root").await;
    let reply = say_in_thread(&alice, &room, &root, json!({})).await;
    assert_eq!(gateway.next().await["event_id"], reply);
    assert_eq!(unread(&sync_with_threads(&bob, None).await, &room, &root), 1);
    assert_eq!(listed(&bob).await, [reply]);
}

#[tokio::test]
async fn who_wants_to_hear_only_of_some_threads_does_so_everywhere() {
    let (_server, gateway, alice, bob, room) = scene().await;
    let root = bob.send_text(&room, "root").await;
    silence_other_threads(&bob).await;
    let start = sync_with_threads(&bob, None).await;
    let quiet = say_in_thread(&alice, &room, &root, json!({})).await;
    let named = say_in_thread(&alice, &room, &root, json!({"m.mentions": {"user_ids": [bob.id]}})).await;
    assert_eq!(gateway.next().await["event_id"], named, "who is named is told");
    let news = sync_with_threads(&bob, Some(start.next_batch())).await;
    assert_eq!(unread(&news, &room, &root), 1);
    assert_eq!(listed(&bob).await, [&*named]);

    // The badge grows at once on a device that waits.
    let path = subscription(&room, &root);
    let (news, _) = tokio::join!(sync_with_threads(&bob, Some(news.next_batch())), async {
        bob.put(&path, json!({"automatic": named})).await.expect_ok()
    });
    assert_eq!(unread(&news, &room, &root), 2, "{}", news.0);
    assert_eq!(listed(&bob).await, [&*named, &*quiet]);
    let next = say_in_thread(&alice, &room, &root, json!({})).await;
    let told = gateway.next().await;
    assert_eq!((&told["event_id"], &told["devices"][0]["tweaks"]["sound"]), (&json!(next), &json!("default")));
    let news = sync_with_threads(&bob, Some(news.next_batch())).await;
    assert_eq!(unread(&news, &room, &root), 3);

    let (news, _) =
        tokio::join!(sync_with_threads(&bob, Some(news.next_batch())), async { bob.delete(&path).await.expect_ok() });
    assert_eq!(unread(&news, &room, &root), 1, "{}", news.0);
    assert_eq!(listed(&bob).await, [&*named]);
}

#[tokio::test]
async fn a_thread_in_a_room_that_is_muted_is_heard_by_who_subscribed() {
    let (_server, gateway, alice, bob, room) = scene().await;
    mute(&bob, &room).await;
    let (root, other) = (bob.send_text(&room, "root").await, bob.send_text(&room, "other").await);
    let path = subscription(&room, &root);
    bob.put(&path, json!({})).await.expect_ok();
    say_in_thread(&alice, &room, &other, json!({})).await;
    alice.send_text(&room, "outside").await;
    let heard = say_in_thread(&alice, &room, &root, json!({})).await;
    assert_eq!(gateway.next().await["event_id"], heard);
    let sync = sync_with_threads(&bob, None).await;
    assert_eq!((unread(&sync, &room, &root), unread(&sync, &room, &other)), (1, 0));

    // The phone forgets it when the thread is none of its owner's any more.
    bob.delete(&path).await.expect_ok();
    let told = gateway.next().await;
    assert_eq!((&told["event_id"], &told["counts"]["unread"]), (&Value::Null, &json!(0)), "{told}");
    assert_eq!(listed(&bob).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_rules_of_threads_are_seen_and_changed_under_both_of_their_names() {
    let server = Server::start().await;
    let bob = server.register("bob").await;
    let rules = bob.get("pushrules/global/").await.expect_ok()["postcontent"].clone();
    let subscribed =
        |subscribed: bool| json!([{"kind": "io.element.msc4306.thread_subscription", "subscribed": subscribed}]);
    let sound = json!(["notify", {"set_tweak": "sound", "value": "default"}]);
    let rule = |id: &str, enabled: bool, conditions: Value, actions: Value| {
        let fields = json!({"rule_id": id, "default": true, "enabled": enabled});
        let mut rule = json!({"conditions": conditions, "actions": actions});
        rule.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        rule
    };
    let expected =
        [rule(UNSUBSCRIBED, false, subscribed(false), json!([])), rule(SUBSCRIBED, true, subscribed(true), sound)];
    assert_eq!(rules, json!(expected));
    let paths = ["postcontent", "io.element.msc4306.postcontent"].map(|kind| format!("pushrules/global/{kind}"));
    for (path, expected) in paths.iter().flat_map(|path| expected.iter().map(move |expected| (path, expected))) {
        let id = expected["rule_id"].as_str().unwrap();
        assert_eq!(bob.get(&format!("{path}/{id}")).await.expect_ok(), *expected, "{path}");
    }
    for path in paths {
        let enabled = format!("{path}/{UNSUBSCRIBED}/enabled");
        for value in [true, false] {
            bob.put(&enabled, json!({"enabled": value})).await.expect_ok();
            assert_eq!(bob.get(&enabled).await.expect_ok(), json!({"enabled": value}));
        }
        let actions = format!("{path}/{SUBSCRIBED}/actions");
        bob.put(&actions, json!({"actions": ["notify"]})).await.expect_ok();
        assert_eq!(bob.get(&actions).await.expect_ok(), json!({"actions": ["notify"]}));
        let own = json!({"actions": ["notify"], "conditions": []});
        bob.put(&format!("{path}/mine"), own).await.expect_error(400, "M_INVALID_PARAM");
        bob.get(&format!("{path}/mine")).await.expect_error(404, "M_NOT_FOUND");
        bob.delete(&format!("{path}/{SUBSCRIBED}")).await.expect_error(400, "M_INVALID_PARAM");
    }
    let versions = server.stranger().get("/_matrix/client/versions").await.expect_ok();
    for feature in ["org.matrix.msc4306", "org.matrix.msc4308"] {
        assert_eq!(versions["unstable_features"][feature], true, "{feature}");
    }
}

#[tokio::test]
async fn a_thread_that_somebody_started_who_is_ignored_is_followed_and_left() {
    let (server, _gateway, alice, bob, room) = scene().await;
    let carol = server.register("carol").await;
    alice.invite(&room, &carol).await;
    carol.join(&room).await;
    let root = carol.send_text(&room, "root").await;
    let reply = say_in_thread(&alice, &room, &root, json!({})).await;
    let by_carol = say_in_thread(&carol, &room, &root, json!({})).await;
    let path = subscription(&room, &root);
    bob.put(&path, json!({})).await.expect_ok();
    let ignored = format!("user/{}/account_data/m.ignored_user_list", encode(&bob.id));
    bob.put(&ignored, json!({"ignored_users": {&carol.id: {}}})).await.expect_ok();
    assert_eq!(bob.get(&path).await.expect_ok(), json!({"automatic": false}));
    bob.delete(&path).await.expect_ok();
    let not_in_thread = "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD";
    bob.put(&path, json!({"automatic": by_carol})).await.expect_error(400, not_in_thread);
    let conflict = "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION";
    bob.put(&path, json!({"automatic": reply})).await.expect_error(409, conflict);
}
