//! A person makes rules for what their devices ring at, in an order that says which of them counts.

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

/// The rule of that kind which everybody has.
const BY_NAME: &str = ".m.rule.contains_user_name";

async fn order(user: &User, kind: &str) -> Vec<String> {
    let rules = user.get("pushrules/global/").await.expect_ok();
    rules[kind].as_array().unwrap().iter().map(|rule| rule["rule_id"].as_str().unwrap().to_owned()).collect()
}

fn about(pattern: &str) -> Value {
    json!({"pattern": pattern, "actions": ["notify", {"set_tweak": "highlight"}]})
}

#[tokio::test]
async fn everybody_starts_with_the_default_rules() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let all = alice.get("pushrules/").await.expect_ok();
    assert_eq!(all["global"], alice.get("pushrules/global/").await.expect_ok());
    assert_eq!(order(&alice, "override").await[0], ".m.rule.master");
    let underride = order(&alice, "underride").await;
    let place = |rule: &str| underride.iter().position(|it| it == rule).unwrap_or_else(|| panic!("{rule} is missing"));
    let polls = ["poll_start_one_to_one", "poll_start", "poll_end_one_to_one", "poll_end"];
    for (number, poll) in polls.iter().enumerate() {
        let rule = format!(".org.matrix.msc3930.rule.{poll}");
        assert_eq!(place(&rule), place(".m.rule.encrypted") + 1 + number, "{underride:?}");
    }
    let mention = alice.get("pushrules/global/override/.m.rule.is_user_mention").await.expect_ok();
    assert_eq!((&mention["default"], &mention["enabled"]), (&json!(true), &json!(true)));
    assert_eq!(mention["conditions"][0]["value"], *alice.id);
}

#[tokio::test]
async fn own_rules_are_made_ordered_changed_and_removed() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let path = |rule: &str| format!("pushrules/global/content/{rule}");
    assert_eq!(alice.put(&path("tea"), about("tea")).await.expect_ok(), json!({}));
    alice.put(&path("cake"), about("cake")).await.expect_ok();
    alice.put(&path("milk?after=tea"), about("milk")).await.expect_ok();
    alice.put(&path("rum?before=tea"), about("rum")).await.expect_ok();
    assert_eq!(order(&alice, "content").await, ["cake", "rum", "tea", "milk", BY_NAME]);
    alice.put(&path("cake?after=milk"), about("pie")).await.expect_ok();
    assert_eq!(order(&alice, "content").await, ["rum", "tea", "milk", "cake", BY_NAME]);

    server.kill_and_restart().await;
    let rule = alice.get(&path("cake")).await.expect_ok();
    let expected = json!({"rule_id": "cake", "pattern": "pie", "enabled": true, "default": false,
        "actions": ["notify", {"set_tweak": "highlight"}]});
    assert_eq!(rule, expected);
    alice.delete(&path("cake")).await.expect_ok();
    for gone in [path("cake"), path("cake/enabled"), path("cake/actions")] {
        alice.get(&gone).await.expect_error(404, "M_NOT_FOUND");
    }
    alice.delete(&path("cake")).await.expect_error(404, "M_NOT_FOUND");
    assert_eq!(order(&alice, "content").await, ["rum", "tea", "milk", BY_NAME]);
}

#[tokio::test]
async fn a_rule_without_conditions_always_matches() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let path = "pushrules/global/override/everything";
    alice.put(path, json!({"actions": ["notify"]})).await.expect_ok();
    assert_eq!(alice.get(path).await.expect_ok()["conditions"], json!([]));
    assert_eq!(order(&alice, "override").await[..2], [".m.rule.master", "everything"]);
}

#[tokio::test]
async fn a_room_is_muted_and_heard_again() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let path = format!("pushrules/global/room/{}", encode("!room:story.example"));
    // Old clients still send this action, which must come back as it was.
    alice.put(&path, json!({"actions": ["dont_notify"]})).await.expect_ok();
    assert_eq!(phone.get(&format!("{path}/actions")).await.expect_ok(), json!({"actions": ["dont_notify"]}));
    alice.put(&format!("{path}/actions"), json!({"actions": []})).await.expect_ok();
    assert_eq!(phone.get(&format!("{path}/actions")).await.expect_ok(), json!({"actions": []}));
    alice.put(&format!("{path}/enabled"), json!({"enabled": false})).await.expect_ok();
    assert_eq!(phone.get(&format!("{path}/enabled")).await.expect_ok(), json!({"enabled": false}));
    // Changing what a rule does is no reason to switch it on.
    alice.put(&path, json!({"actions": ["notify"]})).await.expect_ok();
    assert_eq!(phone.get(&format!("{path}/enabled")).await.expect_ok(), json!({"enabled": false}));
}

#[tokio::test]
async fn default_rules_are_changed_and_never_removed() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let message = "pushrules/global/underride/.m.rule.message";
    alice.put(&format!("{message}/actions"), json!({"actions": []})).await.expect_ok();
    alice.put(&format!("{message}/enabled"), json!({"enabled": false})).await.expect_ok();
    let rule = alice.get(message).await.expect_ok();
    assert_eq!((&rule["actions"], &rule["enabled"], &rule["default"]), (&json!([]), &json!(false), &json!(true)));
    alice.delete(message).await.expect_error(400, "M_INVALID_PARAM");
    assert_eq!(bob.get(message).await.expect_ok()["enabled"], true);
}

#[tokio::test]
async fn rules_that_cannot_be_are_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let put = async |path: &str, body: Value| alice.put(&format!("pushrules/global/{path}"), body).await;
    put("content/.mine", about("tea")).await.expect_error(400, "M_INVALID_PARAM");
    put("content/a%2Fb", about("tea")).await.expect_error(400, "M_INVALID_PARAM");
    put("content/a%5Cb", about("tea")).await.expect_error(400, "M_INVALID_PARAM");
    put("content/tea?before=none", about("tea")).await.expect_error(400, "M_UNKNOWN");
    put("override/tea?after=.m.rule.master", json!({"actions": []})).await.expect_error(400, "M_UNKNOWN");
    put("content/tea", json!({"actions": []})).await.expect_error(400, "M_BAD_JSON");
    put("content/tea", json!({"pattern": "tea"})).await.expect_error(400, "M_BAD_JSON");
    put("nonsense/tea", about("tea")).await.expect_status(400);
    put("content/none/enabled", json!({"enabled": true})).await.expect_error(404, "M_NOT_FOUND");
    put("content/none/actions", json!({"actions": []})).await.expect_error(404, "M_NOT_FOUND");
    alice.get("pushrules/global/nonsense/tea").await.expect_error(404, "M_NOT_FOUND");
    assert_eq!(order(&alice, "content").await, [BY_NAME]);
}
