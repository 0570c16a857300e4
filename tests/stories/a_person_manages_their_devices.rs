//! A person looks at their devices, names them and throws some out, and needs the password for that.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Server, User};

/// The answer to `steps` in which `user` gives their password.
fn password_of(user: &User, steps: &Value) -> Value {
    json!({"auth": {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user.id},
        "password": user.password,
        "session": steps["session"],
    }})
}

async fn delete(user: &User, device: &str, body: Option<Value>) -> crate::support::Answer {
    user.ask(Method::DELETE, &format!("devices/{device}"), body).await
}

#[tokio::test]
async fn devices_are_listed_with_what_is_known_of_them() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let devices = alice.get("devices").await.expect_ok();
    let devices = devices["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    let mine = devices.iter().find(|device| device["device_id"] == *alice.device_id).unwrap();
    assert_eq!((&mine["display_name"], &mine["last_seen_ip"]), (&json!("story"), &json!("127.0.0.1")));
    let seen = mine["last_seen_ts"].as_u64().unwrap();
    // The phone has no name and was never used.
    let other = devices.iter().find(|device| device["device_id"] == *phone.device_id).unwrap();
    assert_eq!(*other, json!({"device_id": phone.device_id}));

    server.restart().await;
    let later = phone.get(&format!("devices/{}", alice.device_id)).await.expect_ok();
    assert_eq!(later["last_seen_ts"], seen);
    phone.get("devices/NONE").await.expect_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_device_gets_another_name_from_its_owner_only() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let path = format!("devices/{}", alice.device_id);
    assert_eq!(alice.put(&path, json!({"display_name": "My phone"})).await.expect_ok(), json!({}));
    alice.put(&path, json!({})).await.expect_ok();
    assert_eq!(alice.get(&path).await.expect_ok()["display_name"], "My phone");
    bob.put(&path, json!({"display_name": "Bob was here"})).await.expect_error(404, "M_NOT_FOUND");
    bob.get(&path).await.expect_error(404, "M_NOT_FOUND");
    let long = json!({"display_name": "x".repeat(101)});
    alice.put(&path, long).await.expect_error(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn throwing_a_device_out_takes_the_password() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    let steps = delete(&alice, &phone.device_id, None).await.expect_status(401);
    assert_eq!(steps["flows"], json!([{"stages": ["m.login.password"]}]));
    assert!(steps["params"].is_object() && steps.get("errcode").is_none(), "{steps}");

    let mut wrong = password_of(&alice, &steps);
    wrong["auth"]["password"] = "a guess".into();
    let refused = delete(&alice, &phone.device_id, Some(wrong)).await.expect_error(401, "M_FORBIDDEN");
    assert_eq!((&refused["session"], &refused["flows"]), (&steps["session"], &steps["flows"]));
    phone.get("account/whoami").await.expect_ok();

    let body = password_of(&alice, &steps);
    assert_eq!(delete(&alice, &phone.device_id, Some(body)).await.expect_ok(), json!({}));
    phone.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    alice.get(&format!("devices/{}", phone.device_id)).await.expect_error(404, "M_NOT_FOUND");
    server.kill_and_restart().await;
    phone.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    alice.get("account/whoami").await.expect_ok();
}

#[tokio::test]
async fn the_password_of_somebody_else_or_for_something_else_does_not_count() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let (phone, tablet) = (alice.log_in_again().await, alice.log_in_again().await);
    let none = json!({"session": null});
    let bobs = password_of(&bob, &none);
    delete(&alice, &phone.device_id, Some(bobs)).await.expect_error(403, "M_FORBIDDEN");

    let steps = delete(&alice, &phone.device_id, None).await.expect_status(401);
    let answer = password_of(&alice, &steps);
    delete(&alice, &tablet.device_id, Some(answer.clone())).await.expect_error(403, "M_FORBIDDEN");
    delete(&bob, &phone.device_id, Some(answer.clone())).await.expect_error(403, "M_FORBIDDEN");
    for device in [&phone, &tablet] {
        device.get("account/whoami").await.expect_ok();
    }
    // The password without having asked for the steps is as good.
    delete(&alice, &phone.device_id, Some(password_of(&alice, &none))).await.expect_ok();
    // A session of steps that is over, or never was, begins anew.
    let over = delete(&alice, &tablet.device_id, Some(password_of(&alice, &json!({"session": "invented"})))).await;
    assert_ne!(over.expect_status(401)["session"], "invented");
}

#[tokio::test]
async fn several_devices_go_at_once() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let (phone, tablet) = (alice.log_in_again().await, alice.log_in_again().await);
    let mut body = json!({"devices": [phone.device_id, tablet.device_id, "NEVER"]});
    let steps = alice.post("delete_devices", body.clone()).await.expect_status(401);
    body["auth"] = password_of(&alice, &steps)["auth"].take();
    assert_eq!(alice.post("delete_devices", body).await.expect_ok(), json!({}));
    for device in [&phone, &tablet] {
        device.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    }
    assert_eq!(alice.get("devices").await.expect_ok()["devices"].as_array().unwrap().len(), 1);
}
