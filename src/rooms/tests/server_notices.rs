//! What the server itself tells people, whatever else happens at the same time.

use ruma::{UserId, events::room::member::MembershipState, owned_device_id, user_id};
use serde_json::json;

use super::{super::*, alice, bodies_seen_by, rooms};
use crate::{
    config::Config,
    error::Kind,
    users::{self, Admission, Belongings, NewAccount, Role},
};

fn bob() -> &'static UserId {
    user_id!("@bob:example.org")
}

/// Rooms on a server where these people have accounts.
async fn scene(people: &[&str]) -> (Rooms, Users) {
    let rooms = rooms();
    let config = Config::read("server_name = \"example.org\"\ndata_dir = \"data\"", "".as_ref(), []).unwrap();
    let shared = &rooms.shared;
    let users = Users::new(&shared.store, &shared.notifier, &shared.clock, &config, &[]).unwrap();
    users.prepare_server_account(&config.server_notices).await.unwrap();
    for name in people {
        let account = NewAccount {
            username: Some((*name).to_owned()),
            password: None,
            display_name: None,
            admission: Admission::Granted(Role::User),
        };
        users.registration.register(account).await.unwrap();
    }
    (rooms, users)
}

fn request(transaction: &str) -> NoticeRequest {
    NoticeRequest { user_id: alice(), device_id: owned_device_id!("D"), transaction_id: transaction.into() }
}

async fn rooms_of_bob(rooms: &Rooms) -> Vec<ruma::OwnedRoomId> {
    rooms.of_user(&rooms.shared.store.snapshot(), bob()).await.unwrap().into_iter().map(|(id, _)| id).collect()
}

#[tokio::test]
async fn notices_at_the_same_time_go_to_one_room_and_repeated_ones_are_sent_once() {
    let (rooms, _) = scene(&["bob"]).await;
    let tell = |text: &'static str| {
        let rooms = rooms.clone();
        async move { rooms.send_notice(bob(), &Notice::text(text).unwrap(), Some(&request(text))).await.unwrap() }
    };
    let (one, again, two, three) = tokio::join!(tell("one"), tell("one"), tell("two"), tell("three"));
    assert!(one == again && one != two && two != three);
    let ids = rooms_of_bob(&rooms).await;
    assert_eq!(ids.len(), 1, "{ids:?}");
    rooms.join(&ids[0], bob(), None).await.unwrap();
    let mut bodies = bodies_seen_by(&rooms, &ids[0], bob()).await;
    bodies.sort();
    assert_eq!(bodies, ["one", "three", "two"]);
    assert_eq!(tell("two").await, two);
}

#[tokio::test]
async fn everyone_with_an_account_is_told_at_the_same_millisecond() {
    let (rooms, users) = scene(&["alice", "bob", "carol", "dan"]).await;
    let carol = user_id!("@carol:example.org");
    users.sessions.lock(carol).await.unwrap();
    users::deactivate(&users.accounts, &users.sessions, user_id!("@dan:example.org"), Belongings::Keep).await.unwrap();
    assert_eq!(rooms.send_notice_to_everyone(&Notice::text("hello").unwrap()).await.unwrap(), 3);
    let mut all = Vec::new();
    for user in [&*alice(), bob(), carol] {
        let ids = rooms.of_user(&rooms.shared.store.snapshot(), user).await.unwrap();
        assert_eq!(ids.len(), 1);
        all.push(ids[0].0.clone());
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 3, "each has a room of their own");
}

#[tokio::test]
async fn who_leaves_the_server_leaves_the_room_that_cannot_be_declined() {
    let (rooms, users) = scene(&["bob"]).await;
    rooms.send_notice(bob(), &Notice::text("hello").unwrap(), None).await.unwrap();
    let id = rooms_of_bob(&rooms).await.remove(0);
    let refused = rooms.leave(&id, bob(), None).await.unwrap_err();
    assert_eq!(refused.kind, Kind::CannotLeaveServerNoticeRoom);
    users::deactivate(&users.accounts, &users.sessions, bob(), Belongings::Keep).await.unwrap();
    rooms.catch_up_with_users().await.unwrap();
    assert_eq!(rooms.room(&id).await.unwrap().current().membership(bob()), MembershipState::Leave);
    let gone = rooms.send_notice(bob(), &Notice::text("hello?").unwrap(), None).await.unwrap_err();
    assert_eq!(gone.kind, Kind::NotFound);
}

#[tokio::test]
async fn a_notice_sets_what_the_room_looks_like_and_not_who_is_in_it() {
    let (rooms, _) = scene(&["bob"]).await;
    let notice = |kind: &str, state_key: Option<&str>| Notice {
        kind: kind.into(),
        state_key: state_key.map(str::to_owned),
        content: serde_json::value::to_raw_value(&json!({ "topic": "News", "pinned": [] })).unwrap(),
    };
    for (kind, state_key) in [("m.room.topic", Some("")), ("m.room.pinned_events", Some("")), ("org.example", None)] {
        rooms.send_notice(bob(), &notice(kind, state_key), None).await.unwrap();
    }
    for (kind, state_key) in [
        ("m.room.member", Some("@eve:example.org")),
        ("m.room.power_levels", Some("")),
        ("m.room.create", Some("")),
        ("m.room.redaction", None),
    ] {
        let refused = rooms.send_notice(bob(), &notice(kind, state_key), None).await.unwrap_err();
        assert_eq!(refused.kind, Kind::InvalidParam, "{kind}");
    }
    let state = rooms.room(&rooms_of_bob(&rooms).await[0]).await.unwrap().current();
    assert!(state.get(&"m.room.topic".into(), "").is_some());
}
