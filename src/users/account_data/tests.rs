//! What is kept for a user and what is not, over a store in memory.

use ruma::{owned_user_id, room_id, user_id};

use super::*;
use crate::storage::Position;

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

fn fixture() -> AccountData {
    let (store, notifier) = (Store::in_memory(), Notifier::default());
    let push_rules = PushRules::new(store.clone(), notifier.clone());
    AccountData::new(store, notifier, push_rules)
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

#[tokio::test]
async fn global_and_room_data_of_a_type_are_apart() {
    let data = fixture();
    let room = room_id!("!room:example.org");
    data.set(alice(), None, "org.example.a", json(r#"{"n": 1.50}"#)).await.unwrap();
    data.set(alice(), Some(room), "org.example.a", json(r#"{"n": 2}"#)).await.unwrap();
    let read = async |room| data.current(alice(), room, "org.example.a").await.unwrap().map(|json| json.to_string());
    assert_eq!(read(None).await.as_deref(), Some(r#"{"n": 1.50}"#));
    assert_eq!(read(Some(room)).await.as_deref(), Some(r#"{"n": 2}"#));
    assert_eq!(read(Some(room_id!("!other:example.org"))).await, None);
    assert!(data.current(user_id!("@bob:example.org"), None, "org.example.a").await.unwrap().is_none());

    let changes = Log::of_user_since(&data.store.snapshot(), alice(), Position::ZERO).await.unwrap();
    let kind = "org.example.a".to_owned();
    let expected = [None, Some(room.to_owned())].map(|room| Change::AccountData {
        user: alice().to_owned(),
        room,
        kind: kind.clone(),
    });
    assert_eq!(changes.into_iter().map(|(_, change)| change).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn all_global_data_has_the_push_rules_with_it() {
    let data = fixture();
    data.set(alice(), None, "org.example.a", json(r#"{"n": 1}"#)).await.unwrap();
    data.set(alice(), Some(room_id!("!room:example.org")), "org.example.b", json(r#"{"n": 1}"#)).await.unwrap();
    let snapshot = data.store.snapshot();
    let kinds = async |room| {
        data.all(&snapshot, alice(), room).await.unwrap().into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(None).await, ["org.example.a", "m.push_rules"]);
    assert_eq!(kinds(Some(room_id!("!room:example.org"))).await, ["org.example.b"]);
    assert!(data.current(alice(), None, "m.push_rules").await.unwrap().is_some());
}

#[tokio::test]
async fn what_the_server_writes_clients_cannot() {
    let data = fixture();
    for kind in ["m.fully_read", "m.push_rules"] {
        for room in [None, Some(room_id!("!room:example.org"))] {
            let refused = data.set(alice(), room, kind, json("{}")).await.unwrap_err();
            assert_eq!(refused.kind, Kind::WrittenByServer, "{kind}");
            let refused = data.remove(alice(), room, kind).await.unwrap_err();
            assert_eq!(refused.kind, Kind::WrittenByServer, "{kind}");
        }
    }
}

#[tokio::test]
async fn an_empty_object_removes_what_was_set_as_a_removal_does() {
    let data = fixture();
    let is_there = async || data.current(alice(), None, "org.example.a").await.unwrap().is_some();
    for empty in ["{}", "{ }", "{\n}"] {
        data.set(alice(), None, "org.example.a", json(r#"{"n": {}}"#)).await.unwrap();
        assert!(is_there().await);
        data.set(alice(), None, "org.example.a", json(empty)).await.unwrap();
        assert!(!is_there().await, "{empty}");
    }
    data.set(alice(), None, "org.example.a", json(r#"{"n": 1}"#)).await.unwrap();
    let before = data.store.snapshot().position();
    data.remove(alice(), None, "org.example.a").await.unwrap();
    assert!(!is_there().await);
    let changes = Log::of_user_since(&data.store.snapshot(), alice(), before).await.unwrap();
    assert_eq!(changes.len(), 1, "other clients hear of it");
}

#[tokio::test]
async fn content_is_an_object_of_a_type_that_has_a_limit() {
    let data = fixture();
    for content in ["[]", "1", "null", "\"{}\""] {
        assert_eq!(data.set(alice(), None, "a", json(content)).await.unwrap_err().kind, Kind::BadJson, "{content}");
    }
    let long = "a".repeat(256);
    assert_eq!(data.set(alice(), None, &long, json("{}")).await.unwrap_err().kind, Kind::InvalidParam);
}

#[tokio::test]
async fn the_list_of_ignored_users_is_read_and_nonsense_ignores_nobody() {
    let data = fixture();
    let ignored = async || data.ignored_users(&data.store.snapshot(), alice()).await.unwrap();
    assert!(ignored().await.is_empty());
    let list = r#"{"ignored_users": {"@bob:example.org": {}, "@eve:example.org": {}}}"#;
    data.set(alice(), None, "m.ignored_user_list", json(list)).await.unwrap();
    let expected = [owned_user_id!("@bob:example.org"), owned_user_id!("@eve:example.org")];
    assert_eq!(ignored().await, BTreeSet::from(expected));
    data.set(alice(), None, "m.ignored_user_list", json(r#"{"ignored_users": 1}"#)).await.unwrap();
    assert!(ignored().await.is_empty());
}

#[tokio::test]
async fn who_wants_no_invitations_gets_none_and_who_lists_somebody_gets_none_of_theirs() {
    use InviteVerdict::{Block, Deliver, Ignore};
    let data = fixture();
    let bob = user_id!("@bob:example.org");
    let verdict = async || data.invite_verdict(&data.store.snapshot(), alice(), bob).await.unwrap();
    assert_eq!(verdict().await, Deliver);
    for (kind, content, expected) in [
        ("m.invite_permission_config", r#"{"default_action": "block"}"#, Block),
        ("m.invite_permission_config", "{}", Deliver),
        ("org.matrix.msc4380.invite_permission_config", r#"{"default_action": "block"}"#, Block),
        ("org.matrix.msc4380.invite_permission_config", r#"{"block_all": false}"#, Deliver),
        ("org.matrix.msc4155.invite_permission_config", r#"{"ignored_users": ["@bob:*"]}"#, Ignore),
        ("m.invite_permission_config", r#"{"default_action": "block"}"#, Block),
    ] {
        data.set(alice(), None, kind, json(content)).await.unwrap();
        assert_eq!(verdict().await, expected, "{kind}: {content}");
    }
}
