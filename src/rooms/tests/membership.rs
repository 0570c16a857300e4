//! Who gets into a room and out of it, and what is written about it.

use ruma::{OwnedRoomId, UserId, events::room::member::MembershipState, profile::ProfileFieldValue};
use serde_json::{Value, json, value::to_raw_value};

use super::{super::*, alice, create::request, rooms};
use crate::error::{Kind, Result};

struct Scene {
    rooms: Rooms,
    id: OwnedRoomId,
}

fn user(name: &str) -> ruma::OwnedUserId {
    UserId::parse(format!("@{name}:example.org")).unwrap()
}

impl Scene {
    /// A room that Alice made with these parameters.
    async fn new(body: Value) -> Self {
        let rooms = rooms();
        let id = rooms.create(&alice(), request(body)).await.unwrap();
        Self { rooms, id }
    }

    async fn with_join_rule(version: &str, content: Value) -> Self {
        let rule = json!([{ "type": "m.room.join_rules", "content": content }]);
        Self::new(json!({ "room_version": version, "initial_state": rule })).await
    }

    async fn invite(&self, by: &str, name: &str) -> Result<()> {
        self.rooms.invite(&self.id, &user(by), &user(name), None).await
    }

    async fn join(&self, name: &str) -> Result<()> {
        self.rooms.join(&self.id, &user(name), None).await
    }

    async fn knock(&self, name: &str) -> Result<()> {
        self.rooms.knock(&self.id, &user(name), Some("please".to_owned())).await
    }

    async fn leave(&self, name: &str) -> Result<()> {
        self.rooms.leave(&self.id, &user(name), None).await
    }

    async fn kick(&self, by: &str, name: &str) -> Result<()> {
        self.rooms.kick(&self.id, &user(by), &user(name), None).await
    }

    async fn ban(&self, by: &str, name: &str) -> Result<()> {
        self.rooms.ban(&self.id, &user(by), &user(name), None).await
    }

    async fn unban(&self, by: &str, name: &str) -> Result<()> {
        self.rooms.unban(&self.id, &user(by), &user(name), None).await
    }

    async fn member(&self, name: &str) -> Value {
        let state = self.rooms.room(&self.id).await.unwrap().current();
        state.content(&"m.room.member".into(), user(name).as_str()).unwrap_or_default()
    }

    async fn depth(&self) -> u64 {
        self.rooms.room(&self.id).await.unwrap().current().depth
    }

    async fn membership(&self, name: &str) -> MembershipState {
        self.rooms.room(&self.id).await.unwrap().current().membership(&user(name))
    }
}

fn refused(outcome: Result<()>) -> Kind {
    outcome.unwrap_err().kind
}

#[tokio::test]
async fn an_invitation_opens_a_private_room_until_one_leaves() {
    let it = Scene::new(json!({})).await;
    assert_eq!(refused(it.join("bob").await), Kind::Forbidden);
    it.invite("alice", "bob").await.unwrap();
    it.join("bob").await.unwrap();
    it.leave("bob").await.unwrap();
    assert_eq!(refused(it.join("bob").await), Kind::Forbidden);
    it.invite("alice", "bob").await.unwrap();
    it.leave("bob").await.unwrap();
    assert_eq!(it.membership("bob").await, MembershipState::Leave);
}

#[tokio::test]
async fn what_is_so_already_makes_no_event() {
    let it = Scene::new(json!({})).await;
    it.invite("alice", "bob").await.unwrap();
    let depth = it.depth().await;
    it.invite("alice", "bob").await.unwrap();
    assert_eq!(it.depth().await, depth);
    it.join("bob").await.unwrap();
    it.join("bob").await.unwrap();
    assert_eq!(it.depth().await, depth + 1);
    it.leave("bob").await.unwrap();
    it.leave("bob").await.unwrap();
    assert_eq!(it.depth().await, depth + 2);
    it.ban("alice", "bob").await.unwrap();
    it.ban("alice", "bob").await.unwrap();
    assert_eq!(it.depth().await, depth + 3);
}

#[tokio::test]
async fn many_joins_at_once_make_one_event() {
    let it = Scene::new(json!({ "preset": "public_chat" })).await;
    let depth = it.depth().await;
    let joins: Vec<_> = (0..8)
        .map(|_| {
            let (rooms, id) = (it.rooms.clone(), it.id.clone());
            tokio::spawn(async move {
                rooms.join(&id, &user("bob"), None).await.unwrap();
                assert!(rooms.room(&id).await.unwrap().current().is_joined(&user("bob")), "who joined is in");
            })
        })
        .collect();
    for join in joins {
        join.await.unwrap();
    }
    assert_eq!(it.depth().await, depth + 1);
}

#[tokio::test]
async fn strangers_and_those_without_power_change_nobody() {
    let it = Scene::new(json!({ "preset": "public_chat" })).await;
    it.join("bob").await.unwrap();
    it.join("carol").await.unwrap();
    for who in ["eve", "bob"] {
        assert_eq!(refused(it.kick(who, "carol").await), Kind::Forbidden, "{who}");
        assert_eq!(refused(it.ban(who, "carol").await), Kind::Forbidden, "{who}");
        assert_eq!(refused(it.ban(who, "alice").await), Kind::Forbidden, "{who}");
    }
    assert_eq!(refused(it.invite("eve", "dave").await), Kind::Forbidden);
    assert_eq!(refused(it.invite("bob", "carol").await), Kind::Forbidden);
    assert_eq!(refused(it.invite("bob", "bob").await), Kind::Forbidden);
    it.invite("bob", "dave").await.unwrap();
    // Nobody is told whether a room exists that they have nothing to do with.
    let unknown = ruma::room_id!("!unknown:example.org");
    let outcome = it.rooms.leave(unknown, &user("eve"), None).await.unwrap_err();
    let known = it.leave("eve").await.unwrap_err();
    assert_eq!((outcome.kind, &outcome.message), (known.kind, &known.message));
    assert_eq!(refused(it.rooms.join(unknown, &user("eve"), None).await), Kind::NotFound);
}

#[tokio::test]
async fn only_who_is_there_can_be_kicked_and_only_the_banned_unbanned() {
    let it = Scene::new(json!({ "preset": "public_chat" })).await;
    assert_eq!(refused(it.kick("alice", "bob").await), Kind::Forbidden);
    assert_eq!(refused(it.unban("alice", "bob").await), Kind::Forbidden);
    it.join("bob").await.unwrap();
    assert_eq!(refused(it.unban("alice", "bob").await), Kind::Forbidden, "an unban is no kick");
    it.kick("alice", "bob").await.unwrap();
    assert_eq!(refused(it.kick("alice", "bob").await), Kind::Forbidden);
    it.ban("alice", "bob").await.unwrap();
    assert_eq!(refused(it.join("bob").await), Kind::Forbidden);
    assert_eq!(refused(it.leave("bob").await), Kind::Forbidden);
    assert_eq!(refused(it.invite("alice", "bob").await), Kind::Forbidden);
    assert_eq!(refused(it.kick("alice", "bob").await), Kind::Forbidden, "a kick is no unban");
    it.unban("alice", "bob").await.unwrap();
    it.join("bob").await.unwrap();
}

#[tokio::test]
async fn a_knock_is_answered_by_an_invitation_or_a_kick() {
    let it = Scene::with_join_rule("12", json!({ "join_rule": "knock" })).await;
    assert_eq!(refused(it.join("bob").await), Kind::Forbidden);
    it.knock("bob").await.unwrap();
    assert_eq!(it.member("bob").await, json!({ "membership": "knock", "reason": "please" }));
    it.knock("bob").await.unwrap();
    it.kick("alice", "bob").await.unwrap();
    it.knock("bob").await.unwrap();
    it.leave("bob").await.unwrap();
    it.knock("bob").await.unwrap();
    it.invite("alice", "bob").await.unwrap();
    assert_eq!(refused(it.knock("bob").await), Kind::Forbidden);
    it.join("bob").await.unwrap();
    assert_eq!(refused(it.knock("bob").await), Kind::Forbidden);
    it.ban("alice", "bob").await.unwrap();
    assert_eq!(refused(it.knock("bob").await), Kind::Forbidden);
    let closed = Scene::new(json!({})).await;
    assert_eq!(refused(closed.knock("bob").await), Kind::Forbidden);
}

#[tokio::test]
async fn members_of_another_room_get_into_a_restricted_one() {
    let club = Scene::new(json!({ "preset": "public_chat" })).await;
    for (version, rule) in [("8", "restricted"), ("12", "restricted"), ("12", "knock_restricted")] {
        let allow = json!([{ "type": "org.example" }, "nonsense", { "type": "m.room_membership", "room_id": club.id }]);
        let rule = json!([{ "type": "m.room.join_rules", "content": { "join_rule": rule, "allow": allow } }]);
        let body = request(json!({ "room_version": version, "initial_state": rule }));
        let id = club.rooms.create(&alice(), body).await.unwrap();
        let it = Scene { rooms: club.rooms.clone(), id };
        assert_eq!(refused(it.join("bob").await), Kind::Forbidden);
        club.join("bob").await.unwrap();
        it.join("bob").await.unwrap();
        assert_eq!(it.member("bob").await["join_authorised_via_users_server"], "@alice:example.org");
        it.leave("bob").await.unwrap();
        club.leave("bob").await.unwrap();
        assert_eq!(refused(it.join("bob").await), Kind::Forbidden);
        it.invite("alice", "bob").await.unwrap();
        it.join("bob").await.unwrap();
        assert_eq!(it.member("bob").await, json!({ "membership": "join" }));
    }
    let mangled = Scene::with_join_rule("10", json!({ "join_rule": "restricted", "allow": "everybody" })).await;
    assert_eq!(refused(mangled.join("bob").await), Kind::Forbidden);
}

#[tokio::test]
async fn member_events_show_the_profile_of_their_person() {
    let it = Scene::new(json!({ "preset": "public_chat" })).await;
    let profiles = &it.rooms.shared.profiles;
    for (field, value) in [("displayname", "Bob"), ("avatar_url", "mxc://example.org/bob")] {
        profiles.set(&user("bob"), &ProfileFieldValue::new(field, value.into()).unwrap()).await.unwrap();
    }
    let shown = |membership: &str| json!({ "membership": membership, "displayname": "Bob", "avatar_url": "mxc://example.org/bob" });
    it.invite("alice", "bob").await.unwrap();
    assert_eq!(it.member("bob").await, shown("invite"));
    it.join("bob").await.unwrap();
    assert_eq!(it.member("bob").await, shown("join"));
    it.leave("bob").await.unwrap();
    assert_eq!(it.member("bob").await, shown("leave"));
    it.join("bob").await.unwrap();
    it.kick("alice", "bob").await.unwrap();
    assert_eq!(it.member("bob").await, json!({ "membership": "leave" }));
}

#[tokio::test]
async fn those_who_want_no_invitations_get_none() {
    let it = Scene::new(json!({})).await;
    let content = to_raw_value(&json!({ "default_action": "block" })).unwrap();
    let data = &it.rooms.shared.account_data;
    data.set(&user("bob"), None, "m.invite_permission_config", content).await.unwrap();
    assert_eq!(refused(it.invite("alice", "bob").await), Kind::InviteBlocked);
    assert_eq!(refused(it.invite("eve", "bob").await), Kind::Forbidden, "strangers learn nothing about others' wishes");
    let elsewhere = ruma::user_id!("@bob:elsewhere.example");
    assert_eq!(refused(it.rooms.invite(&it.id, &alice(), elsewhere, None).await), Kind::Forbidden);
}

#[tokio::test]
async fn a_room_can_be_forgotten_once_it_is_left_and_comes_back_with_an_invitation() {
    let it = Scene::new(json!({})).await;
    let forget = async |name: &str| it.rooms.forget(&it.id, &user(name)).await;
    assert_eq!(refused(forget("alice").await), Kind::Unknown);
    assert_eq!(refused(forget("bob").await), Kind::Unknown);
    it.invite("alice", "bob").await.unwrap();
    assert_eq!(refused(forget("bob").await), Kind::Unknown);
    it.leave("bob").await.unwrap();
    forget("bob").await.unwrap();
    forget("bob").await.unwrap();
    let forgotten = async || {
        let row = it.rooms.membership(&it.rooms.shared.store.snapshot(), &it.id, &user("bob")).await.unwrap();
        row.unwrap().value.forgotten
    };
    assert!(forgotten().await);
    it.invite("alice", "bob").await.unwrap();
    assert!(!forgotten().await);
    it.ban("alice", "bob").await.unwrap();
    forget("bob").await.unwrap();
}
