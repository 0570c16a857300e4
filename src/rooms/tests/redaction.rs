//! Who may redact what, and what is left for whom.

use ruma::{RoomVersionId, owned_event_id};
use serde_json::json;

use super::scene::Scene;
use crate::{
    error::Kind,
    matrix::room_version::SUPPORTED,
    storage::{Direction, KeyRange, schema::rooms::TIMELINE},
};

#[tokio::test]
async fn authors_and_moderators_may_and_nobody_else() {
    let scene = Scene::private().await;
    scene.join("bob").await;
    scene.join("carol").await;
    let of_bob = scene.say("bob", "one").await;
    let of_alice = scene.say("alice", "two").await;
    assert_eq!(scene.redact("carol", &of_bob).await.unwrap_err().kind, Kind::Forbidden);
    assert_eq!(scene.redact("bob", &of_alice).await.unwrap_err().kind, Kind::Forbidden);
    assert_eq!(scene.redact("eve", &of_alice).await.unwrap_err().kind, Kind::Forbidden);
    assert_eq!(scene.event("carol", &of_bob).await.unwrap()["content"]["body"], "one", "a refusal changes nothing");
    scene.redact("bob", &of_bob).await.unwrap();
    let third = scene.say("bob", "three").await;
    scene.redact("alice", &third).await.unwrap();
    for id in [of_bob, third] {
        assert_eq!(scene.event("carol", &id).await.unwrap()["content"], json!({}));
    }
}

#[tokio::test]
async fn the_content_is_gone_and_the_redaction_tells_why() {
    for version in SUPPORTED {
        let scene = Scene::new(version.clone(), "shared").await;
        let message = scene.say("alice", "oops").await;
        let redaction = scene.redact("alice", &message).await.unwrap();
        let event = scene.event("alice", &message).await.unwrap();
        assert_eq!(event["content"], json!({}), "in version {version}");
        let because = &event["unsigned"]["redacted_because"];
        assert_eq!(because["event_id"], redaction.as_str());
        assert_eq!(because["content"]["reason"], "because");
        assert_eq!((&because["redacts"], &because["content"]["redacts"]), (&json!(message), &json!(message)));
        assert_eq!(scene.event("alice", &redaction).await.unwrap()["redacts"], message.as_str());
    }
}

#[tokio::test]
async fn redacting_again_adds_an_event_and_changes_nothing() {
    let scene = Scene::private().await;
    let message = scene.say("alice", "oops").await;
    let first = scene.redact("alice", &message).await.unwrap();
    let second = scene.redact("alice", &message).await.unwrap();
    assert_ne!(first, second);
    let event = scene.event("alice", &message).await.unwrap();
    assert_eq!(event["unsigned"]["redacted_because"]["event_id"], first.as_str());
    scene.redact("alice", &first).await.unwrap();
    let event = scene.event("alice", &message).await.unwrap();
    assert_eq!(event["content"], json!({}), "redacting a redaction brings nothing back");
}

#[tokio::test]
async fn what_is_not_there_or_holds_the_room_together_cannot_be_redacted() {
    let scene = Scene::new(RoomVersionId::V10, "shared").await;
    let elsewhere = Scene::private().await;
    let foreign = elsewhere.say("alice", "hello").await;
    for unknown in [owned_event_id!("$unknown"), foreign] {
        assert_eq!(scene.redact("alice", &unknown).await.unwrap_err().kind, Kind::NotFound);
    }
    let acl = json!({ "allow": ["*"], "deny": [] });
    let acl = scene.set("alice", "m.room.server_acl", "", acl).await.unwrap();
    let room = scene.rooms.room(&scene.id).await.unwrap().current();
    let create = room.get(&"m.room.create".into(), "").unwrap().id.clone();
    for pillar in [acl, create] {
        assert_eq!(scene.redact("alice", &pillar).await.unwrap_err().kind, Kind::Forbidden);
    }
}

#[tokio::test]
async fn a_redaction_sent_like_a_message_is_carried_out_like_any_other() {
    for version in [RoomVersionId::V10, RoomVersionId::V11] {
        let scene = Scene::new(version, "shared").await;
        scene.join("bob").await;
        let message = scene.say("alice", "oops").await;
        let content = json!({ "redacts": message, "reason": "spam" });
        let refusal = scene.send("bob", "m.room.redaction", content.clone()).await.unwrap_err();
        assert_eq!(refusal.kind, Kind::Forbidden);
        let redaction = scene.send("alice", "m.room.redaction", content).await.unwrap();
        let event = scene.event("bob", &message).await.unwrap();
        assert_eq!(event["content"], json!({}));
        assert_eq!(event["unsigned"]["redacted_because"]["event_id"], redaction.as_str());
        for aimless in [json!({}), json!({ "redacts": 7 }), json!({ "redacts": "everything" })] {
            assert_eq!(scene.send("alice", "m.room.redaction", aimless).await.unwrap_err().kind, Kind::BadJson);
        }
    }
    let scene = Scene::private().await;
    let message = scene.say("alice", "oops").await;
    let refusal = scene.set("alice", "m.room.redaction", "", json!({ "redacts": message })).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::InvalidParam, "a redaction is no piece of state");
}

#[tokio::test]
async fn redacted_state_is_gone_from_the_state_and_from_what_replaced_it() {
    let scene = Scene::private().await;
    let one = scene.set("alice", "m.room.topic", "", json!({ "topic": "secret one" })).await.unwrap();
    let two = scene.set("alice", "m.room.topic", "", json!({ "topic": "secret two" })).await.unwrap();
    scene.redact("alice", &one).await.unwrap();
    let event = scene.event("alice", &two).await.unwrap();
    assert_eq!(event["content"]["topic"], "secret two");
    assert_eq!(event["unsigned"]["prev_content"], json!({}));
    let redaction = scene.redact("alice", &two).await.unwrap();

    for scene in [&scene, &scene.after_restart()] {
        let event = scene.state("alice", "m.room.topic").await.unwrap();
        assert_eq!(event["content"], json!({}));
        assert_eq!(event["unsigned"]["redacted_because"]["event_id"], redaction.as_str());
        scene.join("bob").await;
        let event = scene.state("bob", "m.room.topic").await.unwrap();
        assert_eq!(event["unsigned"].get("redacted_because"), None, "bob was not there");
        scene.leave("bob").await;
    }
    let snapshot = scene.rooms.shared.store.snapshot();
    for (_, row) in TIMELINE.scan(&snapshot, KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap() {
        let copy = row.header.replaces.map(|replaced| replaced.content).unwrap_or_default();
        assert!(!row.json.contains("secret") && !copy.contains("secret"), "{}", row.json);
    }
}

#[tokio::test]
async fn a_redaction_races_with_the_state_that_replaces_its_target() {
    let scene = Scene::private().await;
    let mut secret = scene.set("alice", "m.room.topic", "", json!({ "topic": "secret" })).await.unwrap();
    for number in 0..50 {
        let content = json!({ "topic": format!("secret {number}") });
        let (redacted, next) =
            tokio::join!(scene.redact("alice", &secret), scene.set("alice", "m.room.topic", "", content));
        redacted.unwrap();
        secret = next.unwrap();
        let event = scene.event("alice", &secret).await.unwrap();
        assert_eq!(event["unsigned"]["prev_content"], json!({}), "round {number}");
    }
}
