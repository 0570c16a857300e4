//! People take back what they said, moderators what others said, and nobody sees it any more.

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

async fn event(reader: &User, room: &str, id: &str) -> Value {
    reader.get(&format!("rooms/{}/event/{}", encode(room), encode(id))).await.expect_ok()
}

async fn redact(sender: &User, room: &str, id: &str, reason: &str) -> crate::support::Answer {
    let path = format!("rooms/{}/redact/{}/{reason}", encode(room), encode(id));
    sender.put(&path, json!({"reason": reason})).await
}

#[tokio::test]
async fn authors_and_moderators_may_and_others_may_not() {
    let mut server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = alice.create_room().await;
    for other in [&bob, &carol] {
        alice.invite(&room, other).await;
        other.join(&room).await;
    }
    let own = bob.send_text(&room, "my own words").await;
    let foreign = bob.send_text(&room, "some other words").await;
    redact(&carol, &room, &own, "meddling").await.expect_error(403, "M_FORBIDDEN");
    redact(&bob, &room, "$unknown", "nothing").await.expect_error(404, "M_NOT_FOUND");
    let before = carol.sync().await;
    redact(&bob, &room, &own, "typo").await.expect_ok();
    redact(&alice, &room, &foreign, "spam").await.expect_ok();

    let after = carol.sync_since(before.next_batch()).await;
    let told: Vec<_> = after.timeline(&room).iter().map(|event| (&event["type"], &event["redacts"])).collect();
    let redaction = json!("m.room.redaction");
    assert_eq!(told, [(&redaction, &json!(own)), (&redaction, &json!(foreign))]);

    for restarted in [false, true] {
        if restarted {
            server.kill_and_restart().await;
        }
        for reader in [&alice, &bob, &carol] {
            for (id, sender, reason) in [(&own, &bob, "typo"), (&foreign, &alice, "spam")] {
                let event = event(reader, &room, id).await;
                assert_eq!(event["content"], json!({}));
                let because = &event["unsigned"]["redacted_because"];
                assert_eq!((&because["sender"], &because["content"]["reason"]), (&json!(sender.id), &json!(reason)));
            }
            let history = reader.messages(&room, 100).await;
            assert!(!history.iter().any(|event| event.to_string().contains("words")));
            assert!(!reader.sync().await.0.to_string().contains("words"));
        }
    }
}

#[tokio::test]
async fn a_name_that_was_taken_back_is_gone_from_the_state_too() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room().await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let bad = alice.set_state(&room, "m.room.topic", "", json!({"topic": "something rude"})).await;
    let worse = alice.set_state(&room, "m.room.topic", "", json!({"topic": "something worse"})).await;
    redact(&alice, &room, &bad, "rude").await.expect_ok();
    let newer = event(&bob, &room, &worse).await;
    assert_eq!(
        (&newer["content"]["topic"], &newer["unsigned"]["prev_content"]),
        (&json!("something worse"), &json!({}))
    );
    redact(&alice, &room, &worse, "worse").await.expect_ok();

    let path = format!("rooms/{}/state/m.room.topic", encode(&room));
    assert_eq!(bob.get(&path).await.expect_ok(), json!({}));
    let state = bob.get(&format!("rooms/{}/state", encode(&room))).await.expect_ok();
    assert!(!state.to_string().contains("something"));
    let topic = state.as_array().unwrap().iter().find(|event| event["type"] == "m.room.topic").unwrap();
    assert_eq!(topic["unsigned"]["redacted_because"]["content"]["reason"], "worse");
    for reader in [&bob, &alice.log_in_again().await] {
        assert!(!reader.sync().await.0.to_string().contains("something"));
        let filter = encode(&json!({"room": {"timeline": {"limit": 1}}}).to_string());
        let sync = reader.get(&format!("sync?filter={filter}")).await.expect_ok();
        let state = &sync["rooms"]["join"][&room]["state"]["events"];
        let topic = state.as_array().unwrap().iter().find(|event| event["type"] == "m.room.topic").unwrap();
        assert_eq!(topic["unsigned"]["redacted_because"]["content"]["reason"], "worse");
    }
}

#[tokio::test]
async fn a_redaction_may_be_sent_like_any_event() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    for version in ["10", "11", "12"] {
        let room = alice.create_room_with(json!({"preset": "private_chat", "room_version": version})).await;
        alice.invite(&room, &bob).await;
        bob.join(&room).await;
        let message = alice.send_text(&room, "oops").await;
        let path = format!("rooms/{}/send/m.room.redaction/1", encode(&room));
        let content = json!({"redacts": message, "reason": "typo"});
        bob.put(&path, content.clone()).await.expect_error(403, "M_FORBIDDEN");
        alice.put(&path, json!({"reason": "which?"})).await.expect_error(400, "M_BAD_JSON");
        let redaction = alice.put(&path, content).await.expect_ok();
        let event = event(&bob, &room, &message).await;
        assert_eq!(event["content"], json!({}), "in version {version}");
        assert_eq!(event["unsigned"]["redacted_because"]["event_id"], redaction["event_id"]);
    }
}
