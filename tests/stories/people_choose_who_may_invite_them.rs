//! People say whose invitations they want: nobody's, not somebody's, or not those of a server (MSC4380, MSC4155).

use serde_json::{Value, json};

use crate::support::{Server, User, encode};

const LISTS: &str = "org.matrix.msc4155.invite_permission_config";

async fn set(user: &User, kind: &str, content: Value) {
    user.put(&format!("user/{}/account_data/{kind}", user.id), content).await.expect_ok();
}

async fn try_to_invite(from: &User, to: &User) -> (String, crate::support::Answer) {
    let room = from.create_room().await;
    let answer = from.post(&format!("rooms/{}/invite", encode(&room)), json!({"user_id": to.id})).await;
    (room, answer)
}

#[tokio::test]
async fn who_is_blocked_is_told_so_and_who_is_ignored_is_not() {
    let server = Server::start().await;
    let [alice, bob, eve] =
        [server.register("alice").await, server.register("bob").await, server.register("eve").await];
    set(&alice, LISTS, json!({"blocked_users": ["@e?e:*"], "ignored_users": [bob.id]})).await;
    let (_, answer) = try_to_invite(&eve, &alice).await;
    answer.expect_error(403, "M_INVITE_BLOCKED");
    let with_invitation = json!({"invite": [alice.id]});
    eve.post("createRoom", with_invitation).await.expect_error(403, "M_INVITE_BLOCKED");
    let room = eve.create_room().await;
    let path = format!("rooms/{}/state/m.room.member/{}", encode(&room), alice.id);
    eve.put(&path, json!({"membership": "invite"})).await.expect_error(403, "M_INVITE_BLOCKED");

    let (room, answer) = try_to_invite(&bob, &alice).await;
    answer.expect_ok();
    assert_eq!(alice.sync().await.invited(&room), &Value::Null, "she is not told");
    // Who takes the name off the list may find what came meanwhile.
    set(&alice, LISTS, json!({"ignored_users": null})).await;
    assert_ne!(alice.sync().await.invited(&room), &Value::Null);
    let (room, answer) = try_to_invite(&eve, &alice).await;
    answer.expect_ok();
    assert_ne!(alice.sync().await.invited(&room), &Value::Null);
}

#[tokio::test]
async fn lists_of_servers_give_way_to_lists_of_people() {
    let server = Server::start().await;
    let [alice, bob, eve] =
        [server.register("alice").await, server.register("bob").await, server.register("eve").await];
    set(&alice, LISTS, json!({"allowed_users": [bob.id], "blocked_servers": ["*.example"]})).await;
    try_to_invite(&eve, &alice).await.1.expect_error(403, "M_INVITE_BLOCKED");
    try_to_invite(&bob, &alice).await.1.expect_ok();
}

#[tokio::test]
async fn who_wants_no_invitations_at_all_says_so_by_either_name() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let (earlier, answer) = try_to_invite(&bob, &alice).await;
    answer.expect_ok();
    for kind in ["m.invite_permission_config", "org.matrix.msc4380.invite_permission_config"] {
        set(&alice, kind, json!({"default_action": "block"})).await;
        try_to_invite(&bob, &alice).await.1.expect_error(403, "M_INVITE_BLOCKED");
        assert_eq!(alice.sync().await.invited(&earlier), &Value::Null, "those from before are hidden, too");
        set(&alice, kind, json!({})).await;
        assert_ne!(alice.sync().await.invited(&earlier), &Value::Null);
    }
}
