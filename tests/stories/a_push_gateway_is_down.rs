//! A push gateway does not answer, answers late or answers nonsense. Nothing is lost, and nobody else waits.

use serde_json::json;

use crate::support::{GATEWAYS_ON_LOOPBACK, Gateway, Manner, Server, User};

/// Alice, bob and carol in a room; bob and carol have phones with a gateway each.
struct Scene {
    server: Server,
    room: String,
    alice: User,
    bob: User,
    bobs: Gateway,
    carols: Gateway,
}

async fn scene() -> Scene {
    let server = Server::start_with(GATEWAYS_ON_LOOPBACK).await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let carol = server.register("carol").await;
    let room = alice.create_room().await;
    for user in [&bob, &carol] {
        alice.invite(&room, user).await;
        user.join(&room).await;
    }
    let (bobs, carols) = (Gateway::start().await, Gateway::start().await);
    bobs.tell(&bob, "bob", json!({})).await;
    carols.tell(&carol, "carol", json!({})).await;
    Scene { server, room, alice, bob, bobs, carols }
}

impl Scene {
    async fn say(&self, texts: &[&str]) -> Vec<String> {
        let mut events = Vec::new();
        for text in texts {
            events.push(self.alice.send_text(&self.room, text).await);
        }
        events
    }
}

async fn expect(gateway: &Gateway, events: &[String]) {
    for event in events {
        assert_eq!(gateway.next().await["event_id"], *event);
    }
}

#[tokio::test]
async fn what_could_not_be_told_is_told_later_and_in_order() {
    let scene = scene().await;
    scene.bobs.behave(Manner::Answers(503));
    let events = scene.say(&["one", "two", "three"]).await;
    expect(&scene.carols, &events).await;
    scene.bobs.called_after(1).await;
    scene.bobs.behave(Manner::Takes);
    expect(&scene.bobs, &events).await;
    assert!(scene.bobs.is_quiet() && scene.carols.is_quiet(), "each once");
}

#[tokio::test]
async fn a_restart_in_between_loses_nothing() {
    let mut scene = scene().await;
    scene.bobs.behave(Manner::Answers(500));
    let mut events = scene.say(&["one"]).await;
    scene.bobs.called_after(0).await;
    scene.server.restart().await;
    events.extend(scene.say(&["two"]).await);
    scene.server.kill_and_restart().await;
    events.extend(scene.say(&["three"]).await);
    let calls = scene.bobs.calls();
    scene.bobs.called_after(calls).await;
    scene.bobs.behave(Manner::Takes);
    expect(&scene.bobs, &events).await;
    expect(&scene.carols, &events).await;
    let later = scene.say(&["four"]).await;
    expect(&scene.bobs, &later).await;
    expect(&scene.carols, &later).await;
}

#[tokio::test]
async fn a_gateway_that_hangs_keeps_nobody_else_waiting() {
    let mut scene = scene().await;
    scene.bobs.behave(Manner::Hangs);
    let events = scene.say(&["one", "two"]).await;
    scene.bobs.called_after(0).await;
    expect(&scene.carols, &events).await;
    // It does not keep the server from stopping, either.
    scene.server.restart().await;
    scene.bobs.behave(Manner::Takes);
    expect(&scene.bobs, &events).await;
    let later = scene.say(&["three"]).await;
    expect(&scene.bobs, &later).await;
    expect(&scene.carols, &later).await;
    assert!(scene.carols.is_quiet(), "a restart repeats nothing for carol");
}

#[tokio::test]
async fn what_a_gateway_refuses_for_good_is_not_told_again() {
    let scene = scene().await;
    scene.bobs.behave(Manner::Answers(400));
    scene.say(&["one"]).await;
    scene.bobs.called_after(0).await;
    scene.bobs.behave(Manner::Takes);
    let later = scene.say(&["two"]).await;
    expect(&scene.bobs, &later).await;
}

#[tokio::test]
async fn what_happened_while_the_server_was_killed_is_told_after_it() {
    let mut scene = scene().await;
    scene.carols.behave(Manner::Hangs);
    let events = scene.say(&["one", "two", "three"]).await;
    scene.server.kill_and_restart().await;
    scene.carols.behave(Manner::Takes);
    expect(&scene.carols, &events).await;
}

#[tokio::test]
async fn an_app_that_names_another_gateway_is_told_at_once() {
    let scene = scene().await;
    scene.bobs.behave(Manner::Answers(503));
    let events = scene.say(&["one"]).await;
    scene.bobs.called_after(3).await;
    // The next attempt is in eight seconds, and the one after in sixteen.
    let other = Gateway::start().await;
    other.tell(&scene.bob, "bob", json!({})).await;
    expect(&other, &events).await;
}
