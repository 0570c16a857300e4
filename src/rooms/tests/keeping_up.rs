//! Rooms keep up with what becomes of their members: new names, new pictures, and that they are gone.

use ruma::{
    OwnedRoomId, UserId, events::room::member::MembershipState, owned_event_id, profile::ProfileFieldValue, room_id,
    user_id,
};
use serde_json::{Value, json};

use super::{super::*, alice, create::request, rooms};
use crate::{
    config::Config,
    error::Kind,
    shutdown::Shutdown,
    storage::{
        Batch, Position, Stamped,
        schema::rooms::{MEMBERSHIPS, Membership},
    },
    users::{self, Admission, Belongings, NewAccount, Role},
};

fn bob() -> &'static UserId {
    user_id!("@bob:example.org")
}

/// Rooms of Alice's with these join rules, all of which Bob has joined.
async fn scene(rules: &[&str]) -> (Rooms, Vec<OwnedRoomId>) {
    let (rooms, mut ids) = (rooms(), Vec::new());
    for rule in rules {
        let id = rooms.create(&alice(), request(json!({ "preset": "public_chat", "name": rule }))).await.unwrap();
        rooms.join(&id, bob(), Some("to be there".to_owned())).await.unwrap();
        let content = json!({ "join_rule": rule });
        rooms.append(&id, Intent::state(&alice(), "m.room.join_rules".into(), "", &content).unwrap()).await.unwrap();
        ids.push(id);
    }
    (rooms, ids)
}

async fn set(rooms: &Rooms, field: &str, value: &str) {
    let value = ProfileFieldValue::new(field, value.into()).unwrap();
    rooms.shared.profiles.set(bob(), &value).await.unwrap();
}

async fn member(rooms: &Rooms, id: &OwnedRoomId) -> Value {
    rooms.room(id).await.unwrap().current().content(&"m.room.member".into(), bob().as_str()).unwrap()
}

#[tokio::test]
async fn a_new_profile_shows_in_every_joined_room_and_only_there() {
    let (rooms, ids) = scene(&["public", "invite", "knock"]).await;
    let left = rooms.create(&alice(), request(json!({ "preset": "public_chat" }))).await.unwrap();
    rooms.join(&left, bob(), None).await.unwrap();
    rooms.leave(&left, bob(), None).await.unwrap();
    set(&rooms, "displayname", "Bob").await;
    set(&rooms, "avatar_url", "mxc://example.org/bob").await;
    rooms.catch_up_with_users().await.unwrap();
    for id in &ids {
        let shown = json!({ "membership": "join", "displayname": "Bob", "avatar_url": "mxc://example.org/bob" });
        assert_eq!(member(&rooms, id).await, shown);
    }
    assert_eq!(member(&rooms, &left).await, json!({ "membership": "leave" }));

    let depth = rooms.room(&ids[0]).await.unwrap().current().depth;
    rooms.shared.profiles.remove(bob(), &"avatar_url".into()).await.unwrap();
    rooms.catch_up_with_users().await.unwrap();
    rooms.catch_up_with_users().await.unwrap();
    assert_eq!(member(&rooms, &ids[0]).await, json!({ "membership": "join", "displayname": "Bob" }));
    assert_eq!(rooms.room(&ids[0]).await.unwrap().current().depth, depth + 1, "once is enough");
}

#[tokio::test]
async fn what_a_member_event_says_besides_the_profile_stays() {
    let (rooms, ids) = scene(&["invite"]).await;
    let content = json!({ "membership": "join", "displayname": "B.", "org.example.mood": "fine", "reason": "fun" });
    rooms
        .append(&ids[0], Intent::state(bob(), "m.room.member".into(), bob().as_str(), &content).unwrap())
        .await
        .unwrap();
    set(&rooms, "displayname", "Bob").await;
    rooms.catch_up_with_users().await.unwrap();
    assert_eq!(
        member(&rooms, &ids[0]).await,
        json!({ "membership": "join", "displayname": "Bob", "org.example.mood": "fine" })
    );
}

#[tokio::test]
async fn a_room_that_nobody_may_join_does_not_hold_up_the_others() {
    let (rooms, ids) = scene(&["private", "public"]).await;
    set(&rooms, "displayname", "Bob").await;
    rooms.catch_up_with_users().await.unwrap();
    assert_eq!(member(&rooms, &ids[1]).await["displayname"], "Bob");
    assert!(rooms.shared.rooms_behind.all().await.unwrap().is_empty());
}

#[tokio::test]
async fn one_whose_rooms_cannot_be_read_does_not_hold_up_the_others() {
    let (rooms, ids) = scene(&["public"]).await;
    let (unlucky, lost) = (user_id!("@aaron:example.org"), room_id!("!lost:example.org"));
    let membership =
        Membership { membership: MembershipState::Join, event_id: owned_event_id!("$lost"), forgotten: false };
    let mut batch = Batch::new();
    MEMBERSHIPS.put(&mut batch, (unlucky, lost), &Stamped { at: Position::pending(0), value: membership });
    rooms.shared.store.commit(batch).await.unwrap();
    let name = ProfileFieldValue::new("displayname", "Aaron".into()).unwrap();
    rooms.shared.profiles.set(unlucky, &name).await.unwrap();
    set(&rooms, "displayname", "Bob").await;
    assert_eq!(rooms.catch_up_with_users().await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(member(&rooms, &ids[0]).await["displayname"], "Bob");
    let behind = rooms.shared.rooms_behind.all().await.unwrap();
    assert_eq!(behind.iter().map(|(user, _)| &**user).collect::<Vec<_>>(), [unlucky], "the failure is tried again");
}

#[tokio::test]
async fn the_background_task_follows_changes_from_before_and_after_its_start() {
    let (rooms, ids) = scene(&["public"]).await;
    set(&rooms, "displayname", "Before").await;
    let shutdown = Shutdown::default();
    let task = tokio::spawn(rooms.clone().keep_up_with_users(shutdown.clone()));
    let watch = rooms.shared.notifier.watch(bob());
    for name in ["Before", "After"] {
        set(&rooms, "displayname", name).await;
        while member(&rooms, &ids[0]).await["displayname"] != name {
            watch.changed().await;
        }
    }
    shutdown.begin();
    task.await.unwrap();
}

#[tokio::test]
async fn a_profile_that_changes_while_its_person_joins_shows_in_the_end() {
    let rooms = rooms();
    let id = rooms.create(&alice(), request(json!({ "preset": "public_chat" }))).await.unwrap();
    for round in 0..20 {
        let name = format!("Bob {round}");
        let (joined, ()) = tokio::join!(rooms.join(&id, bob(), None), async {
            set(&rooms, "displayname", &name).await;
            rooms.catch_up_with_users().await.unwrap();
        });
        joined.unwrap();
        assert_eq!(member(&rooms, &id).await["displayname"], name.as_str());
        rooms.leave(&id, bob(), None).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_leaves_the_server_leaves_its_rooms() {
    let (rooms, ids) = scene(&["public", "private"]).await;
    let invited = rooms.create(&alice(), request(json!({ "invite": [bob()] }))).await.unwrap();
    let knock = json!([{ "type": "m.room.join_rules", "content": { "join_rule": "knock" } }]);
    let knocked = rooms.create(&alice(), request(json!({ "initial_state": knock }))).await.unwrap();
    rooms.knock(&knocked, bob(), None).await.unwrap();
    let banned = rooms.create(&alice(), request(json!({}))).await.unwrap();
    rooms.ban(&banned, &alice(), bob(), None).await.unwrap();

    let config = Config::read("server_name = \"example.org\"\ndata_dir = \"data\"", "".as_ref(), []).unwrap();
    let shared = &rooms.shared;
    let services = Users::new(&shared.store, &shared.notifier, &shared.clock, &config, &[]).unwrap();
    let account = NewAccount {
        username: Some("bob".to_owned()),
        password: None,
        display_name: None,
        admission: Admission::Granted(Role::User),
    };
    services.registration.register(account).await.unwrap();
    users::deactivate(&services.accounts, &services.sessions, bob(), Belongings::Keep).await.unwrap();
    rooms.catch_up_with_users().await.unwrap();

    for id in ids.iter().chain([&invited, &knocked]) {
        assert_eq!(member(&rooms, id).await["membership"], "leave");
    }
    let state = rooms.room(&banned).await.unwrap().current();
    assert_eq!(state.membership(bob()), MembershipState::Ban);
    assert!(rooms.shared.rooms_behind.all().await.unwrap().is_empty());
    assert_eq!(rooms.join(&invited, bob(), None).await.unwrap_err().kind, Kind::Forbidden);
}
