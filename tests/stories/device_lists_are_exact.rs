//! Clients keep a list of the devices of everybody they share a room with, and hear exactly when it is out of date.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{CrossSigning, Key, Server, Sync, User, encode};

/// Whom a sync names, changed and left.
fn lists(sync: &Sync) -> (Vec<&str>, Vec<&str>) {
    let names = |list: &str| {
        let list = sync.0["device_lists"][list].as_array().unwrap();
        list.iter().map(|user| user.as_str().unwrap()).collect()
    };
    (names("changed"), names("left"))
}

/// Asserts what `user` hears since `since`, and that `/keys/changes` says the same; gives where to go on.
#[track_caller]
fn expect(sync: &Sync, changed: &[&User], left: &[&User]) {
    let ids = |users: &[&User]| -> Vec<String> {
        let mut ids: Vec<_> = users.iter().map(|user| user.id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let (got_changed, got_left) = lists(sync);
    assert_eq!(
        (got_changed, got_left),
        (ids(changed).iter().map(String::as_str).collect(), ids(left).iter().map(String::as_str).collect(),)
    );
}

/// Somebody who reads on from where they stood.
struct Listener<'a> {
    user: &'a User,
    since: String,
}

impl<'a> Listener<'a> {
    async fn new(user: &'a User) -> Self {
        let since = user.sync().await.next_batch().to_owned();
        Self { user, since }
    }

    /// What is new, by both ways to ask.
    async fn hears(&mut self, changed: &[&User], left: &[&User]) {
        let sync = self.user.sync_since(&self.since).await;
        expect(&sync, changed, left);
        let query = format!("keys/changes?from={}&to={}", encode(&self.since), encode(sync.next_batch()));
        let said = self.user.get(&query).await.expect_ok();
        assert_eq!(said, sync.0["device_lists"]);
        self.since = sync.next_batch().to_owned();
    }
}

async fn public_room(user: &User) -> String {
    user.create_room_with(json!({"preset": "public_chat"})).await
}

#[tokio::test]
async fn those_who_meet_and_part_are_told() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let carol = server.register("carol").await;
    let (one, two) = (public_room(&alice).await, public_room(&alice).await);
    let (mut to_alice, mut to_bob) = (Listener::new(&alice).await, Listener::new(&bob).await);

    bob.join(&one).await;
    to_alice.hears(&[&bob], &[]).await;
    to_bob.hears(&[&alice], &[]).await;
    // A second room is nothing new, nor is leaving one of two.
    bob.join(&two).await;
    to_alice.hears(&[], &[]).await;
    to_bob.hears(&[], &[]).await;
    carol.join(&two).await;
    to_bob.hears(&[&carol], &[]).await;
    to_alice.hears(&[&carol], &[]).await;
    bob.leave(&one).await;
    to_alice.hears(&[], &[]).await;
    to_bob.hears(&[], &[]).await;
    bob.leave(&two).await;
    to_alice.hears(&[], &[&bob]).await;
    to_bob.hears(&[], &[&alice, &carol]).await;
    // Coming and going between two looks is nothing.
    bob.join(&one).await;
    bob.leave(&one).await;
    to_alice.hears(&[], &[]).await;
    to_bob.hears(&[], &[]).await;
    // An invitation alone shares no room.
    let three = alice.create_room().await;
    alice.invite(&three, &bob).await;
    to_alice.hears(&[], &[]).await;
    to_bob.hears(&[], &[]).await;
    bob.join(&three).await;
    to_bob.hears(&[&alice], &[]).await;
    alice.act(&three, "kick", json!({"user_id": bob.id})).await.expect_ok();
    to_alice.hears(&[], &[]).await;
    to_bob.hears(&[], &[&alice]).await;
}

#[tokio::test]
async fn whose_devices_change_is_told_to_those_who_share_a_room() {
    let mut server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let carol = server.register("carol").await;
    let room = public_room(&alice).await;
    bob.join(&room).await;
    let (mut to_alice, mut to_bob) = (Listener::new(&alice).await, Listener::new(&bob).await);
    let mut to_carol = Listener::new(&carol).await;

    let key = Key::new(1);
    bob.publish(&key).await;
    to_alice.hears(&[&bob], &[]).await;
    to_bob.hears(&[&bob], &[]).await;
    // The same keys again, and one-time keys, are no news.
    bob.publish(&key).await;
    let one_time = json!({"one_time_keys": {"signed_curve25519:A": key.one_time_key(&bob, "a")}});
    bob.post("keys/upload", one_time).await.expect_ok();
    alice.claim(&bob).await.unwrap();
    to_alice.hears(&[], &[]).await;

    let phone = bob.log_in_again().await;
    to_alice.hears(&[&bob], &[]).await;
    bob.put(&format!("devices/{}", phone.device_id), json!({"display_name": "Phone"})).await.expect_ok();
    to_alice.hears(&[&bob], &[]).await;
    phone.post("logout", json!({})).await.expect_ok();
    server.kill_and_restart().await;
    to_alice.hears(&[&bob], &[]).await;
    // Throwing a device out is as good as logging it out.
    let tablet = bob.log_in_again().await;
    to_alice.hears(&[&bob], &[]).await;
    let password = json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": bob.id},
        "password": bob.password});
    let path = format!("devices/{}", tablet.device_id);
    bob.send(Method::DELETE, &path, |request| request.json(&json!({"auth": password}))).await.expect_ok();
    to_alice.hears(&[&bob], &[]).await;
    let cross_signing = CrossSigning::new(10);
    bob.post("keys/device_signing/upload", cross_signing.upload(&bob.id)).await.expect_ok();
    to_alice.hears(&[&bob], &[]).await;
    to_bob.hears(&[&bob], &[]).await;
    to_carol.hears(&[], &[]).await;

    // What changes after the room is left is not told, and all of it is on the return.
    bob.leave(&room).await;
    to_alice.hears(&[], &[&bob]).await;
    bob.publish(&Key::new(2)).await;
    to_alice.hears(&[], &[]).await;
    bob.join(&room).await;
    to_alice.hears(&[&bob], &[]).await;
}

#[tokio::test]
async fn a_client_that_waits_is_woken_by_a_new_device() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = public_room(&alice).await;
    bob.join(&room).await;
    let since = alice.sync().await.next_batch().to_owned();
    let names_bob = |sync: &Sync| lists(sync).0 == [bob.id.as_str()];
    let waiting = alice.sync_until(&since, "Bob's keys", names_bob);
    let key = Key::new(1);
    let (sync, ()) = tokio::join!(waiting, bob.publish(&key));
    let waiting = alice.wait_since(sync.next_batch(), Duration::from_secs(20));
    let (sync, phone) = tokio::join!(waiting, bob.log_in_again());
    expect(&sync, &[&phone], &[]);
}

#[tokio::test]
async fn who_was_away_for_long_hears_everything() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let (carol, dora) = (server.register("carol").await, server.register("dora").await);
    let (one, two) = (public_room(&alice).await, public_room(&alice).await);
    bob.join(&one).await;
    carol.join(&two).await;
    let mut to_alice = Listener::new(&alice).await;
    bob.publish(&Key::new(1)).await;
    dora.publish(&Key::new(2)).await;
    carol.leave(&two).await;
    // More rows of the log than a sync reads one by one.
    for number in 0..600 {
        let path = format!("user/{}/account_data/org.example.number", dora.id);
        dora.put(&path, json!({"number": number})).await.expect_ok();
    }
    to_alice.hears(&[&bob], &[&carol]).await;
    to_alice.hears(&[], &[]).await;
}

#[tokio::test]
async fn the_tokens_of_changes_are_those_of_syncs() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let token = alice.sync().await.next_batch().to_owned();
    alice.publish(&Key::new(1)).await;
    let later = alice.sync().await.next_batch().to_owned();
    let ask =
        async |from: &str, to: &str| alice.get(&format!("keys/changes?from={}&to={}", encode(from), encode(to))).await;
    assert_eq!(ask(&token, &later).await.expect_ok(), json!({"changed": [alice.id], "left": []}));
    let nothing: Value = json!({"changed": [], "left": []});
    assert_eq!(ask(&later, &later).await.expect_ok(), nothing);
    assert_eq!(ask(&later, &token).await.expect_ok(), nothing);
    ask("nonsense", &later).await.expect_error(400, "M_INVALID_PARAM");
    alice.get(&format!("keys/changes?from={}", encode(&token))).await.expect_error(400, "M_MISSING_PARAM");
}
