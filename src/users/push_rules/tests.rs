//! How a user's rules change, over a store in memory.

use ruma::{
    push::{NewPatternedPushRule, NewSimplePushRule},
    room_id, user_id,
};

use super::*;
use crate::storage::Position;

fn alice() -> &'static UserId {
    user_id!("@alice:example.org")
}

fn fixture() -> PushRules {
    PushRules::new(Store::in_memory(), Notifier::default())
}

async fn put(rules: &PushRules, rule_id: &str, before: Option<&str>, after: Option<&str>) -> Result<()> {
    let pattern = format!("about {rule_id}");
    let rule = NewPushRule::Content(NewPatternedPushRule::new(rule_id.to_owned(), pattern, vec![Action::Notify]));
    let place = Place { before: before.map(str::to_owned), after: after.map(str::to_owned) };
    rules.put(alice(), rule, place).await
}

async fn order(rules: &PushRules) -> String {
    let rules = rules.current(alice()).await.unwrap();
    rules.content.iter().filter(|rule| !rule.default).map(|rule| rule.rule_id.as_str()).collect()
}

#[tokio::test]
async fn everybody_starts_with_the_default_rules() {
    let rules = fixture();
    let found = rules.current(alice()).await.unwrap();
    let ids = |rules: &Ruleset| rules.iter().map(|rule| rule.rule_id().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&found), ids(&push_rules::server_default(alice())));
    let polls = found.iter().filter(|rule| rule.rule_id().starts_with(".org.matrix.msc3930."));
    let polls: String = polls.map(|rule| format!("{rule:?}")).collect();
    assert_eq!((polls.matches("EventMatch(").count(), polls.matches("EventPropertyIs(").count()), (5, 0), "{polls}");
    let json = rules.as_account_data(&rules.store.snapshot(), alice()).await.unwrap();
    let global = &serde_json::from_str::<serde_json::Value>(json.get()).unwrap()["global"];
    for kind in ["override", "content", "postcontent", "room", "sender", "underride"] {
        assert!(global[kind].is_array(), "{kind}");
    }
    assert_eq!(global["postcontent"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_a_user_wants_of_threads_stays_when_other_rules_change() {
    let rules = fixture();
    let silent = ".io.element.msc4306.rule.unsubscribed_thread";
    let is_enabled = async || rules.rule(alice(), RuleKind::PostContent, silent).await.unwrap().enabled();
    put(&rules, "a", None, None).await.unwrap();
    assert!(!is_enabled().await);
    rules.set_enabled(alice(), RuleKind::PostContent, silent, true).await.unwrap();
    put(&rules, "b", None, None).await.unwrap();
    assert!(is_enabled().await);
    let found = rules.current(alice()).await.unwrap();
    let ids = |rules: &Ruleset| rules.postcontent.iter().map(|rule| rule.rule_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&found), ids(&push_rules::server_default(alice())), "in the same order");
    let own = ruma::push::NewConditionalPushRule::new("mine".to_owned(), Vec::new(), Vec::new());
    let refused = rules.put(alice(), NewPushRule::PostContent(own), Place::default()).await.unwrap_err();
    assert_eq!(refused.kind, Kind::InvalidParam);
    assert_eq!(rules.remove(alice(), RuleKind::PostContent, silent).await.unwrap_err().kind, Kind::InvalidParam);
}

#[tokio::test]
async fn a_new_rule_is_the_most_important_one_unless_it_has_a_place() {
    let rules = fixture();
    put(&rules, "a", None, None).await.unwrap();
    put(&rules, "b", None, None).await.unwrap();
    assert_eq!(order(&rules).await, "ba");
    put(&rules, "c", Some("a"), None).await.unwrap();
    put(&rules, "d", None, Some("a")).await.unwrap();
    assert_eq!(order(&rules).await, "bcad");
    // If both are given, the place before counts.
    put(&rules, "e", Some("b"), Some("d")).await.unwrap();
    assert_eq!(order(&rules).await, "ebcad");
}

#[tokio::test]
async fn a_rule_moves_in_both_directions_and_stays_where_it_is_without_a_place() {
    let rules = fixture();
    for rule_id in ["d", "c", "b", "a"] {
        put(&rules, rule_id, None, None).await.unwrap();
    }
    for (rule_id, before, after, expected) in [
        ("a", None, Some("d"), "bcda"),
        ("a", Some("b"), None, "abcd"),
        ("d", Some("b"), None, "adbc"),
        ("d", None, Some("c"), "abcd"),
        ("b", None, None, "abcd"),
    ] {
        put(&rules, rule_id, before, after).await.unwrap();
        assert_eq!(order(&rules).await, expected);
    }
}

#[tokio::test]
async fn a_changed_rule_stays_disabled() {
    let rules = fixture();
    put(&rules, "a", None, None).await.unwrap();
    put(&rules, "b", None, None).await.unwrap();
    rules.set_enabled(alice(), RuleKind::Content, "a", false).await.unwrap();
    for place in [None, Some("b")] {
        put(&rules, "a", place, None).await.unwrap();
        assert!(!rules.rule(alice(), RuleKind::Content, "a").await.unwrap().enabled());
    }
}

#[tokio::test]
async fn a_place_must_be_next_to_an_own_rule() {
    let rules = fixture();
    put(&rules, "a", None, None).await.unwrap();
    for place in ["unknown", ".m.rule.master", "a"] {
        assert_eq!(put(&rules, "a", Some(place), None).await.unwrap_err().kind, Kind::Unknown, "{place}");
    }
    // A new rule is not its own neighbour either.
    for (before, after) in [(Some("new"), None), (None, Some("new")), (Some("new"), Some("a"))] {
        assert_eq!(put(&rules, "new", before, after).await.unwrap_err().kind, Kind::Unknown, "{before:?} {after:?}");
    }
    assert_eq!(order(&rules).await, "a");
}

#[tokio::test]
async fn an_own_rule_comes_after_the_master_rule_and_before_other_defaults() {
    let rules = fixture();
    let rule: NewPushRule =
        NewPushRule::Override(ruma::push::NewConditionalPushRule::new("mine".to_owned(), Vec::new(), Vec::new()));
    rules.put(alice(), rule, Place::default()).await.unwrap();
    let ids: Vec<_> = rules.current(alice()).await.unwrap().override_.into_iter().map(|rule| rule.rule_id).collect();
    assert_eq!(ids[..3], [".m.rule.master", "mine", ".m.rule.suppress_notices"]);
}

#[tokio::test]
async fn reserved_ids_and_default_rules_are_protected() {
    let rules = fixture();
    for rule_id in [".mine", "a/b", "a\\b"] {
        assert_eq!(put(&rules, rule_id, None, None).await.unwrap_err().kind, Kind::InvalidParam, "{rule_id}");
    }
    let master = ".m.rule.master";
    assert_eq!(rules.remove(alice(), RuleKind::Override, master).await.unwrap_err().kind, Kind::InvalidParam);
    rules.set_enabled(alice(), RuleKind::Override, master, true).await.unwrap();
    rules.set_actions(alice(), RuleKind::Underride, ".m.rule.message", Vec::new()).await.unwrap();
    assert!(rules.rule(alice(), RuleKind::Override, master).await.unwrap().enabled());
    let message = rules.rule(alice(), RuleKind::Underride, ".m.rule.message").await.unwrap();
    assert!(message.actions().is_empty() && message.is_server_default());
}

#[tokio::test]
async fn rules_that_are_not_there_are_not_found() {
    let rules = fixture();
    let kind = RuleKind::Content;
    assert_eq!(rules.rule(alice(), kind.clone(), "a").await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(rules.remove(alice(), kind.clone(), "a").await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(rules.set_enabled(alice(), kind.clone(), "a", true).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(rules.set_actions(alice(), kind, "a", Vec::new()).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(rules.rule(alice(), RuleKind::from("nonsense"), "a").await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn every_change_is_logged_as_account_data_and_historical_actions_are_kept() {
    let rules = fixture();
    let room = room_id!("!room:example.org");
    let actions: Vec<Action> = serde_json::from_str(r#"["dont_notify"]"#).unwrap();
    let rule = NewPushRule::Room(NewSimplePushRule::new(room.to_owned(), actions));
    rules.put(alice(), rule, Place::default()).await.unwrap();
    rules.set_enabled(alice(), RuleKind::Room, room.as_str(), false).await.unwrap();
    rules.remove(alice(), RuleKind::Room, room.as_str()).await.unwrap();
    let changes = Log::of_user_since(&rules.store.snapshot(), alice(), Position::ZERO).await.unwrap();
    let expected = Change::AccountData { user: alice().to_owned(), room: None, kind: "m.push_rules".to_owned() };
    assert!(changes.iter().all(|(_, change)| *change == expected));
    assert_eq!(changes.len(), 3);
}
