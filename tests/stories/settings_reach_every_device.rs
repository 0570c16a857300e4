//! What a person sets on one device arrives on the others, which may already be waiting for it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Server, Sync, User, encode};

/// The newest account data of a type in a sync.
fn account_data(sync: &Sync, kind: &str) -> Option<Value> {
    Sync::newest(&sync.0["account_data"], kind).map(|event| event["content"].clone())
}

/// What `device` hears of when `change` happens while it waits.
async fn hears(device: &User, kind: &str, change: impl Future<Output = ()>) -> Option<Value> {
    let since = device.sync().await.next_batch().to_owned();
    let wait = device.sync_until(&since, kind, |sync| account_data(sync, kind).is_some());
    let (sync, ()) = tokio::join!(wait, change);
    account_data(&sync, kind)
}

#[tokio::test]
async fn account_data_wakes_a_device_that_waits() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let path = format!("user/{}/account_data/org.example.settings", alice.id);
    let set = async || drop(alice.put(&path, json!({"theme": "dark"})).await.expect_ok());
    assert_eq!(hears(&phone, "org.example.settings", set()).await, Some(json!({"theme": "dark"})));
    let first = phone.sync().await;
    assert_eq!(account_data(&first, "org.example.settings"), Some(json!({"theme": "dark"})));
    // It is said once.
    let next = phone.sync_since(first.next_batch()).await;
    assert_eq!(account_data(&next, "org.example.settings"), None);
}

#[tokio::test]
async fn push_rules_come_with_the_first_sync_and_whenever_they_change() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let rules = alice.get("pushrules/").await.expect_ok();
    assert_eq!(account_data(&phone.sync().await, "m.push_rules"), Some(rules));

    let path = format!("pushrules/global/room/{}", encode("!room:story.example"));
    let muted = hears(&phone, "m.push_rules", async {
        alice.put(&path, json!({"actions": []})).await.expect_ok();
    });
    assert_eq!(muted.await.unwrap()["global"]["room"][0]["actions"], json!([]));
    let disabled = hears(&phone, "m.push_rules", async {
        alice.put(&format!("{path}/enabled"), json!({"enabled": false})).await.expect_ok();
    });
    assert_eq!(disabled.await.unwrap()["global"]["room"][0]["enabled"], false);
    let removed = hears(&phone, "m.push_rules", async {
        alice.delete(&path).await.expect_ok();
    });
    assert_eq!(removed.await.unwrap()["global"]["room"], json!([]));
}

#[tokio::test]
async fn nobody_else_hears_of_it() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let since = bob.sync().await.next_batch().to_owned();
    let path = format!("user/{}/account_data/org.example.settings", alice.id);
    alice.put(&path, json!({"theme": "dark"})).await.expect_ok();
    alice.put("pushrules/global/content/tea", json!({"pattern": "tea", "actions": []})).await.expect_ok();
    let sync = bob.wait_since(&since, Duration::from_millis(200)).await;
    assert_eq!(sync.0["account_data"]["events"].as_array().map_or(0, Vec::len), 0, "{}", sync.0);
    let first = bob.sync().await;
    assert_eq!(account_data(&first, "org.example.settings"), None);
}
