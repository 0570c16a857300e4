//! A person shows a name, a picture and whatever else their clients think of, and nobody else can change it.

use serde_json::{Value, json};

use crate::support::Server;

#[tokio::test]
async fn everybody_sees_what_a_person_shows() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let path = format!("profile/{}", alice.id);
    let fields = [
        ("displayname", json!("Alice ✨")),
        ("avatar_url", json!("mxc://story.example/picture")),
        ("m.tz", json!("Europe/Berlin")),
        ("org.example.pets", json!({"cats": ["Mia", null]})),
    ];
    for (name, value) in &fields {
        let set = alice.put(&format!("{path}/{name}"), json!({*name: value})).await;
        assert_eq!(set.expect_ok(), json!({}));
    }
    server.kill_and_restart().await;
    let anyone = server.stranger();
    for (name, value) in &fields {
        assert_eq!(anyone.get(&format!("{path}/{name}")).await.expect_ok(), json!({*name: value}));
    }
    let whole: Value = fields.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    assert_eq!(anyone.get(&path).await.expect_ok(), whole);
}

#[tokio::test]
async fn a_field_is_taken_away_again() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let field = |name: &str| format!("profile/{}/{name}", alice.id);
    alice.put(&field("org.example.pets"), json!({"org.example.pets": 1})).await.expect_ok();
    for _ in 0..2 {
        assert_eq!(alice.delete(&field("org.example.pets")).await.expect_ok(), json!({}));
    }
    alice.get(&field("org.example.pets")).await.expect_error(404, "M_NOT_FOUND");
    // Clients that know no other way empty the name.
    alice.put(&field("displayname"), json!({"displayname": ""})).await.expect_ok();
    alice.get(&field("displayname")).await.expect_error(404, "M_NOT_FOUND");
    assert_eq!(alice.get(&format!("profile/{}", alice.id)).await.expect_ok(), json!({}));
}

#[tokio::test]
async fn nobody_changes_the_profile_of_somebody_else() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let path = format!("profile/{}/displayname", alice.id);
    let body = json!({"displayname": "Not Alice"});
    bob.put(&path, body.clone()).await.expect_error(403, "M_FORBIDDEN");
    bob.delete(&path).await.expect_error(403, "M_FORBIDDEN");
    server.stranger().put(&path, body).await.expect_error(401, "M_MISSING_TOKEN");
    assert_eq!(bob.get(&path).await.expect_ok(), json!({"displayname": "alice"}));
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let set = async |name: &str, value: Value| alice.put(&format!("profile/{}/{name}", alice.id), value).await;
    set("displayname", json!({})).await.expect_error(400, "M_MISSING_PARAM");
    set("org.example.a", json!({"org.example.b": 1})).await.expect_error(400, "M_MISSING_PARAM");
    set("org.example.a", json!({"org.example.a": 1, "org.example.b": 1})).await.expect_error(400, "M_BAD_JSON");
    set("org.example.a", json!([])).await.expect_error(400, "M_BAD_JSON");
    set("displayname", json!({"displayname": 1})).await.expect_error(400, "M_BAD_JSON");
    set("displayname", json!({"displayname": "x".repeat(257)})).await.expect_error(400, "M_INVALID_PARAM");
    set("Org.Example", json!({"Org.Example": 1})).await.expect_error(400, "M_INVALID_PARAM");
    let long = format!("org.{}", "x".repeat(252));
    set(&long, json!({&*long: 1})).await.expect_error(400, "M_KEY_TOO_LARGE");
    let huge = json!({"org.example.huge": "x".repeat(64 << 10)});
    set("org.example.huge", huge).await.expect_error(400, "M_PROFILE_TOO_LARGE");
}

#[tokio::test]
async fn nobody_has_no_profile() {
    let server = Server::start().await;
    for user in ["@nobody:story.example", "@alice:elsewhere.example"] {
        server.stranger().get(&format!("profile/{user}")).await.expect_error(404, "M_NOT_FOUND");
        server.stranger().get(&format!("profile/{user}/displayname")).await.expect_error(404, "M_NOT_FOUND");
    }
    server.stranger().get("profile/nonsense").await.expect_error(400, "M_INVALID_PARAM");
}
