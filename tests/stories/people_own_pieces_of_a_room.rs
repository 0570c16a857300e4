//! In rooms of an experimental version people own the pieces of state that bear their name (MSC3757).

use serde_json::json;

use crate::support::{Answer, Server, User, encode};

async fn set(user: &User, room: &str, state_key: &str) -> Answer {
    user.put(&format!("rooms/{}/state/org.example.card/{}", encode(room), encode(state_key)), json!({})).await
}

#[tokio::test]
async fn a_piece_of_state_belongs_to_the_person_whose_id_it_starts_with() {
    let server = Server::start().await;
    let (alice, bob, carol) =
        (server.register("alice").await, server.register("bob").await, server.register("carol").await);
    let levels = json!({"events": {"org.example.card": 0}});
    let rooms = [("org.matrix.msc3757.10", true), ("10", false)];
    for (version, owned) in rooms {
        let parameters =
            json!({"room_version": version, "preset": "public_chat", "power_level_content_override": levels});
        let room = alice.create_room_with(parameters).await;
        bob.join(&room).await;
        let (own, hers) = (format!("{}_card:!@#", bob.id), format!("{}_card", carol.id));
        let expect = |answer: Answer, is_allowed: bool| match is_allowed {
            true => drop(answer.expect_ok()),
            false => drop(answer.expect_error(403, "M_FORBIDDEN")),
        };
        expect(set(&bob, &room, &bob.id).await, true);
        expect(set(&bob, &room, "anything").await, true);
        expect(set(&bob, &room, &own).await, owned);
        expect(set(&alice, &room, &own).await, owned);
        expect(set(&alice, &room, "@somebody:elsewhere.example").await, owned);
        expect(set(&bob, &room, &hers).await, false);
        expect(set(&bob, &room, &alice.id).await, false);
        expect(set(&bob, &room, &format!("{}card", bob.id)).await, false);
        expect(set(&carol, &room, &carol.id).await, false);
        if owned {
            set(&alice, &room, "@oops").await.expect_error(400, "M_BAD_JSON");
            set(&alice, &room, &format!("{}@card", alice.id)).await.expect_error(400, "M_BAD_JSON");
        }
    }
    let capabilities = alice.get("capabilities").await.expect_ok();
    let versions = &capabilities["capabilities"]["m.room_versions"]["available"];
    assert_eq!(versions["org.matrix.msc3757.10"], "unstable");
}
