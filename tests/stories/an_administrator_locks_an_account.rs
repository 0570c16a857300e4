//! An administrator locks an account for a while, which ends none of its sessions and stops all of them.

use serde_json::json;

use crate::support::{Connection, Server};

fn lock(user: &str) -> String {
    format!("/_matrix/client/v1/admin/lock/{user}")
}

#[tokio::test]
async fn a_locked_account_can_do_nothing_but_log_out() {
    let mut server = Server::start().await;
    let admin = server.administrator().await;
    let alice = server.register("alice").await;
    let phone = alice.log_in_again().await;
    assert_eq!(admin.get(&lock(&alice.id)).await.expect_ok(), json!({"locked": false}));
    let moderation = async |user: &Connection| {
        user.get("capabilities").await.expect_ok()["capabilities"]["m.account_moderation"].clone()
    };
    assert_eq!(
        (moderation(&admin).await, moderation(&alice).await),
        (json!({"lock": true, "suspend": true}), json!(null))
    );
    let locked = admin.put(&lock(&alice.id), json!({"locked": true})).await.expect_ok();
    assert_eq!(locked, json!({"locked": true}));

    server.kill_and_restart().await;
    assert_eq!(admin.get(&lock(&alice.id)).await.expect_ok(), json!({"locked": true}));
    for path in ["account/whoami", "sync?timeout=0", "devices"] {
        assert_eq!(alice.get(path).await.expect_error(401, "M_USER_LOCKED")["soft_logout"], true, "{path}");
    }
    let user = json!({"type": "m.id.user", "user": alice.id});
    let login = json!({"type": "m.login.password", "identifier": user, "password": alice.password});
    server.stranger().post("login", login.clone()).await.expect_error(401, "M_USER_LOCKED");
    phone.post("logout", json!({})).await.expect_ok();

    admin.put(&lock(&alice.id), json!({"locked": false})).await.expect_ok();
    alice.get("account/whoami").await.expect_ok();
    phone.get("account/whoami").await.expect_error(401, "M_UNKNOWN_TOKEN");
    server.stranger().post("login", login).await.expect_ok();
}

#[tokio::test]
async fn only_administrators_lock_and_only_others() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let body = json!({"locked": true});
    // Who is no administrator does not even learn who has an account.
    for user in [&*bob.id, "@nobody:story.example", "@alice:elsewhere.example"] {
        alice.get(&lock(user)).await.expect_error(403, "M_FORBIDDEN");
        alice.put(&lock(user), body.clone()).await.expect_error(403, "M_FORBIDDEN");
    }
    admin.put(&lock("@admin:story.example"), body.clone()).await.expect_error(403, "M_FORBIDDEN");
    admin.put(&lock("@nobody:story.example"), body.clone()).await.expect_error(404, "M_NOT_FOUND");
    admin.put(&lock("@alice:elsewhere.example"), body.clone()).await.expect_error(400, "M_INVALID_PARAM");
    server.stranger().put(&lock(&alice.id), body).await.expect_error(401, "M_MISSING_TOKEN");
    bob.get("account/whoami").await.expect_ok();
}
