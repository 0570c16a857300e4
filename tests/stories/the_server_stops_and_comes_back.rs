//! The server stops, in good order or not: whoever waits gets an answer, nothing is lost, and everybody goes on.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{PATIENCE, Server, Sync, User, encode, eventually};

#[tokio::test]
async fn who_waits_for_news_is_answered_and_goes_on_where_they_were() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    // The first thing that this other device does is to wait.
    let idle = alice.log_in_again().await;
    let since = alice.sync().await.next_batch().to_owned();
    let idle_device = format!("devices/{}", encode(&idle.device_id));
    let path = format!("sync?timeout=600000&since={}", encode(&since));
    let waiting = tokio::spawn(async move { idle.get(&path).await });
    eventually("the server to have heard of who waits", PATIENCE, async || {
        let device = alice.get(&idle_device).await.expect_ok();
        device["last_seen_ts"].is_u64().then_some(())
    })
    .await;

    assert!(!waiting.is_finished(), "there is no news");
    let started = Instant::now();
    server.stop().await;
    let answer = waiting.await.unwrap().expect_ok();
    assert!(started.elapsed() < Duration::from_secs(5), "stopping took {:?}", started.elapsed());
    let since = answer["next_batch"].as_str().unwrap();

    server.start_again().await;
    alice.put(&note_path(&alice, "story.note"), json!({"text": "here again"})).await.expect_ok();
    let news = alice.sync_since(since).await;
    let note = Sync::newest(&news.0["account_data"], "story.note").expect("the note is news");
    assert_eq!(note["content"]["text"], "here again");
}

#[tokio::test]
async fn what_was_confirmed_outlives_a_kill_and_tokens_stay_exact() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    for round in 0..3 {
        let since = alice.sync().await.next_batch().to_owned();
        let kinds: Vec<_> = (0..5).map(|number| format!("story.note.{round}.{number}")).collect();
        for kind in &kinds {
            alice.put(&note_path(&alice, kind), json!({"text": "remember"})).await.expect_ok();
        }
        server.kill_and_restart().await;

        let news = alice.sync_since(&since).await;
        let events = news.0["account_data"]["events"].as_array().expect("there is news");
        let seen: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(seen.len(), kinds.len(), "{seen:?}");
        assert!(kinds.iter().all(|kind| seen.contains(&kind.as_str())), "{seen:?}");
    }
}

fn note_path(user: &User, kind: &str) -> String {
    format!("user/{}/account_data/{kind}", encode(&user.id))
}
