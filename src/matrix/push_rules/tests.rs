//! The default rules, the order of rules, and every condition.

use std::sync::Arc;

use ruma::{
    RoomVersionId,
    push::{ConditionalPushRule, Ruleset},
};
use serde_json::{Value, json};

use super::*;
use crate::matrix::{
    event::Event,
    fixtures::{Room, user},
};

const SILENT: Verdict = Verdict { notify: false, highlight: false };
const NOTIFY: Verdict = Verdict { notify: true, highlight: false };
const HIGHLIGHT: Verdict = Verdict { notify: true, highlight: true };

fn levels(room: &Room) -> PowerLevels {
    let create = room.at(&"m.room.create".into(), "").unwrap();
    PowerLevels::read(room.rules, &create, room.at(&"m.room.power_levels".into(), "").as_deref())
}

/// Asks `rules` of `@reader` about an event in a room of `members`.
fn ask(rules: &Ruleset, room: &Room, event: &Event, members: u64) -> Verdict {
    ask_in(ThreadStanding::Outside, rules, room, event, members)
}

fn ask_in(thread: ThreadStanding, rules: &Ruleset, room: &Room, event: &Event, members: u64) -> Verdict {
    let reader = user("reader");
    let power_levels = &levels(room);
    let display_name = Some("Rita *");
    let reader = Reader { user_id: &reader, display_name, joined_members: members, power_levels, thread };
    evaluate(rules, &Subject::new(event), &reader)
}

/// A public room in which `@reader` and the powerless `@bob` are members.
fn room() -> Room {
    let mut room = Room::new(RoomVersionId::V12, "public");
    room.membership("reader", "reader", "join").unwrap();
    room.membership("bob", "bob", "join").unwrap();
    room
}

fn defaults() -> Ruleset {
    server_default(&user("reader"))
}

/// A rule set with rules of the user's own and no defaults.
fn own(json: Value) -> Ruleset {
    let complete = |rules: &Value| -> Value {
        let rules = rules.as_array().unwrap().iter().enumerate().map(|(index, rule)| {
            let mut rule = rule.clone();
            let id = rule.get("rule_id").cloned().unwrap_or(json!(format!("rule{index}")));
            let enabled = rule.get("enabled").cloned().unwrap_or(json!(true));
            let fields = json!({ "rule_id": id, "default": false, "enabled": enabled });
            rule.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            rule
        });
        rules.collect()
    };
    let rules: Value = json.as_object().unwrap().iter().map(|(kind, rules)| (kind.clone(), complete(rules))).collect();
    serde_json::from_value(rules).unwrap()
}

/// Whether a condition holds for `event` in a room of three.
fn holds_for(condition: Value, room: &Room, event: &Event) -> bool {
    let rules = own(json!({ "override": [{ "conditions": [condition], "actions": ["notify"] }] }));
    ask(&rules, room, event, 3).notify
}

#[test]
fn the_defaults_are_those_of_the_specification() {
    let me = user("reader");
    let matches = |key: &str, pattern: &str| json!({ "kind": "event_match", "key": key, "pattern": pattern });
    let is = |key: &str, value: Value| json!({ "kind": "event_property_is", "key": key, "value": value });
    let two = json!({ "kind": "room_member_count", "is": "2" });
    let sound = |name: &str| json!({ "set_tweak": "sound", "value": name });
    let highlight = json!({ "set_tweak": "highlight" });
    let rule = |id: &str, conditions: Value, actions: Value| {
        let enabled = id != ".m.rule.master";
        json!({ "rule_id": id, "default": true, "enabled": enabled, "conditions": conditions, "actions": actions })
    };
    let mention = json!({ "kind": "event_property_contains", "key": r"content.m\.mentions.user_ids", "value": me });
    let may_notify = json!({ "kind": "sender_notification_permission", "key": "room" });
    let invite = json!([
        matches("type", "m.room.member"),
        matches("content.membership", "invite"),
        matches("state_key", me.as_str()),
    ]);
    let expected = json!({
        "override": [
            rule(".m.rule.master", json!([]), json!([])),
            rule(".m.rule.suppress_notices", json!([matches("content.msgtype", "m.notice")]), json!([])),
            rule(".m.rule.invite_for_me", invite, json!(["notify", sound("default")])),
            rule(".m.rule.member_event", json!([matches("type", "m.room.member")]), json!([])),
            rule(".m.rule.is_user_mention", json!([mention]), json!(["notify", sound("default"), highlight])),
            rule(
                ".m.rule.is_room_mention",
                json!([is(r"content.m\.mentions.room", json!(true)), may_notify]),
                json!(["notify", highlight]),
            ),
            rule(
                ".m.rule.tombstone",
                json!([matches("type", "m.room.tombstone"), matches("state_key", "")]),
                json!(["notify", highlight]),
            ),
            rule(".m.rule.reaction", json!([matches("type", "m.reaction")]), json!([])),
            rule(
                ".m.rule.room.server_acl",
                json!([matches("type", "m.room.server_acl"), matches("state_key", "")]),
                json!([]),
            ),
            rule(
                ".m.rule.suppress_edits",
                json!([is(r"content.m\.relates_to.rel_type", json!("m.replace"))]),
                json!([]),
            ),
        ],
        "underride": [
            rule(".m.rule.call", json!([matches("type", "m.call.invite")]), json!(["notify", sound("ring")])),
            rule(
                ".m.rule.encrypted_room_one_to_one",
                json!([two, matches("type", "m.room.encrypted")]),
                json!(["notify", sound("default")]),
            ),
            rule(
                ".m.rule.room_one_to_one",
                json!([two, matches("type", "m.room.message")]),
                json!(["notify", sound("default")]),
            ),
            rule(".m.rule.message", json!([matches("type", "m.room.message")]), json!(["notify"])),
            rule(".m.rule.encrypted", json!([matches("type", "m.room.encrypted")]), json!(["notify"])),
        ],
    });
    let mut found = serde_json::to_value(defaults()).unwrap();
    for rules in found.as_object_mut().unwrap().values_mut() {
        // Those for polls (MSC3930) and subscriptions of threads (MSC4306) are still proposals, and three are older.
        rules.as_array_mut().unwrap().retain(|rule| {
            let id = rule["rule_id"].as_str().unwrap();
            !id.contains("msc") && !defaults::finds_mentions_in_text(id)
        });
    }
    found.as_object_mut().unwrap().retain(|_, rules| !rules.as_array().unwrap().is_empty());
    assert_eq!(found, expected);
}

#[test]
fn the_defaults_sort_ordinary_events() {
    let room = room();
    let me = user("reader");
    let edit = json!({ "body": "* x", "m.relates_to": { "rel_type": "m.replace", "event_id": "$a" } });
    let edit_with_mention = json!({
        "body": "* x", "m.relates_to": { "rel_type": "m.replace", "event_id": "$a" },
        "m.mentions": { "user_ids": [me] },
    });
    let everyone = json!({ "body": "all", "m.mentions": { "room": true } });
    // (sender, type, state key, content, outcome)
    let table = [
        ("bob", "m.room.message", None, json!({ "body": "hi", "msgtype": "m.text" }), NOTIFY),
        ("bob", "m.room.message", None, json!({ "body": "beep", "msgtype": "m.notice" }), SILENT),
        ("bob", "m.room.encrypted", None, json!({}), NOTIFY),
        ("bob", "m.reaction", None, json!({}), SILENT),
        ("bob", "org.example.any", None, json!({}), SILENT),
        ("bob", "m.call.invite", None, json!({}), NOTIFY),
        ("bob", "m.room.message", None, edit, SILENT),
        ("bob", "m.room.message", None, edit_with_mention, HIGHLIGHT),
        ("bob", "m.room.message", None, json!({ "body": "@reader", "m.mentions": { "user_ids": [me] } }), HIGHLIGHT),
        ("bob", "m.room.message", None, json!({ "body": "x", "m.mentions": { "user_ids": [user("eve")] } }), NOTIFY),
        ("bob", "m.room.message", None, json!({ "body": "x", "m.mentions": { "user_ids": me } }), NOTIFY),
        ("bob", "m.room.message", None, json!({ "body": "readers: @room" }), NOTIFY),
        ("bob", "m.room.encrypted", None, json!({ "m.mentions": { "user_ids": [me] } }), HIGHLIGHT),
        ("bob", "m.room.message", None, everyone.clone(), NOTIFY),
        ("creator", "m.room.message", None, everyone, HIGHLIGHT),
        ("creator", "m.room.message", None, json!({ "body": "x", "m.mentions": { "room": "true" } }), NOTIFY),
        ("creator", "m.room.tombstone", Some(""), json!({ "body": "moved" }), HIGHLIGHT),
        ("creator", "m.room.tombstone", Some("x"), json!({ "body": "moved" }), SILENT),
        ("creator", "m.room.server_acl", Some(""), json!({}), SILENT),
        ("creator", "m.room.topic", Some(""), json!({ "topic": "t" }), SILENT),
        ("reader", "m.room.message", None, json!({ "body": "me", "m.mentions": { "user_ids": [me] } }), SILENT),
    ];
    for (sender, kind, state_key, content, expected) in table {
        let event = room.clone().send(sender, kind, state_key, content.clone()).unwrap();
        assert_eq!(ask(&defaults(), &room, &event, 3), expected, "@{sender} sends {kind} {content}");
    }
}

#[test]
fn an_invite_notifies_the_invited_and_no_other_membership_does() {
    let mut room = Room::new(RoomVersionId::V11, "invite");
    let other = room.membership("creator", "bob", "invite").unwrap();
    assert_eq!(ask(&defaults(), &room, &other, 2), SILENT);
    let mine = room.membership("creator", "reader", "invite").unwrap();
    assert_eq!(ask(&defaults(), &room, &mine, 2), NOTIFY);
    let kick = room.membership("creator", "reader", "leave").unwrap();
    assert_eq!(ask(&defaults(), &room, &kick, 2), SILENT);
}

#[test]
fn master_silences_everything_but_does_so_only_when_enabled() {
    let mut rules = defaults();
    let mut room = room();
    let event = room.message("bob", "hi").unwrap();
    rules.set_enabled("override".into(), ".m.rule.master", true).unwrap();
    assert_eq!(ask(&rules, &room, &event, 3), SILENT);
}

#[test]
fn the_rule_in_a_room_of_two_is_another() {
    let mut room = room();
    let event = room.message("bob", "hi").unwrap();
    let reader = user("reader");
    let levels = levels(&room);
    let rules = defaults();
    let decided = |joined_members| {
        let thread = ThreadStanding::Outside;
        let reader = Reader { user_id: &reader, display_name: None, joined_members, power_levels: &levels, thread };
        deciding_rule(&rules, &Subject::new(&event), &reader).unwrap().rule_id().to_owned()
    };
    assert_eq!(decided(2), ".m.rule.room_one_to_one");
    assert_eq!(decided(3), ".m.rule.message");
    assert_eq!(decided(1), ".m.rule.message");
}

#[test]
fn kinds_come_in_their_order_and_the_first_match_decides() {
    let mut room = room();
    let event = room.message("bob", "cake for all").unwrap();
    let quiet = |more: Value| {
        let mut rule = json!({ "actions": [] });
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    let loud = json!({ "conditions": [], "actions": ["notify"] });
    let here = json!(room.id);
    let bob = json!(user("bob"));

    let outcome = |json: Value| ask(&own(json), &room, &event, 3).notify;
    assert!(outcome(json!({ "underride": [loud] })));
    assert!(!outcome(json!({ "sender": [quiet(json!({ "rule_id": bob }))], "underride": [loud] })));
    assert!(outcome(json!({ "sender": [quiet(json!({ "rule_id": user("eve") }))], "underride": [loud] })));
    assert!(!outcome(json!({ "room": [quiet(json!({ "rule_id": here }))], "underride": [loud] })));
    assert!(outcome(json!({ "room": [quiet(json!({ "rule_id": "!other:a.b" }))], "underride": [loud] })));
    let sender_loud = json!([{ "rule_id": bob, "actions": ["notify"] }]);
    assert!(!outcome(json!({ "room": [quiet(json!({ "rule_id": here }))], "sender": sender_loud })));
    let content_loud = json!([{ "pattern": "CAKE", "actions": ["notify"] }]);
    assert!(outcome(json!({ "content": content_loud, "room": [quiet(json!({ "rule_id": here }))] })));
    assert!(!outcome(json!({ "override": [quiet(json!({ "conditions": [] }))], "content": content_loud })));
    assert!(outcome(json!({ "override": [loud, quiet(json!({ "conditions": [], "rule_id": "second" }))] })));
    let disabled = quiet(json!({ "conditions": [], "enabled": false }));
    assert!(outcome(json!({ "override": [disabled], "underride": [loud] })));
    assert!(!outcome(json!({})));
}

#[test]
fn actions_decide_between_notification_and_highlight() {
    let mut room = room();
    let event = room.message("bob", "hi").unwrap();
    let table = [
        (json!([]), SILENT),
        (json!(["notify"]), NOTIFY),
        (json!(["dont_notify"]), SILENT),
        (json!(["coalesce"]), SILENT),
        (json!(["notify", { "set_tweak": "highlight" }]), HIGHLIGHT),
        (json!(["notify", { "set_tweak": "highlight", "value": true }]), HIGHLIGHT),
        (json!(["notify", { "set_tweak": "highlight", "value": false }]), NOTIFY),
        (json!([{ "set_tweak": "highlight" }]), SILENT),
        (json!(["notify", { "set_tweak": "sound", "value": "default" }]), NOTIFY),
    ];
    for (actions, expected) in table {
        let rules = own(json!({ "override": [{ "conditions": [], "actions": actions }] }));
        assert_eq!(ask(&rules, &room, &event, 3), expected, "{actions}");
    }
}

#[test]
fn event_match_is_a_glob_on_the_whole_value_without_regard_to_case() {
    let mut room = room();
    let topic = room.set("creator", "m.room.topic", json!({ "topic": "Lunch plans", "n": 1, "é": "ÉTÉ" })).unwrap();
    let table = [
        ("content.topic", "lunc?*", true),
        ("content.topic", "LUNCH PLANS", true),
        ("content.topic", "lunch", false),
        ("content.topic", "*", true),
        ("content.n", "*", false),
        ("content.n", "1", false),
        ("content.missing", "*", false),
        ("content.é", "été", true),
        ("type", "M.ROOM.*", true),
        ("state_key", "", true),
        ("room_id", room.id.as_str(), true),
        ("sender", "@creator:*", true),
    ];
    for (key, pattern, expected) in table {
        let condition = json!({ "kind": "event_match", "key": key, "pattern": pattern });
        assert_eq!(holds_for(condition, &room, &topic), expected, "{key} {pattern}");
    }
}

#[test]
fn on_the_body_event_match_and_content_rules_look_for_words() {
    let table = [
        ("An example event.", "ex*ple", true),
        ("An exciting triple-whammy", "EX*PLE", true),
        ("cakes", "cake", false),
        ("Cake!", "cake", true),
        ("cake", "*ake", true),
    ];
    for (body, pattern, expected) in table {
        let mut room = room();
        let event = room.message("bob", body).unwrap();
        let condition = json!({ "kind": "event_match", "key": "content.body", "pattern": pattern });
        assert_eq!(holds_for(condition, &room, &event), expected, "{pattern:?} in {body:?}");
        let rules = own(json!({ "content": [{ "pattern": pattern, "actions": ["notify"] }] }));
        assert_eq!(ask(&rules, &room, &event, 3).notify, expected, "{pattern:?} in {body:?}");
    }
    let mut room = room();
    let bodiless = room.send("bob", "m.room.message", None, json!({ "body": 7 })).unwrap();
    let rules = own(json!({ "content": [{ "pattern": "*", "actions": ["notify"] }] }));
    assert!(!ask(&rules, &room, &bodiless, 3).notify);
}

#[test]
fn a_display_name_is_taken_at_its_letters() {
    let condition = || json!({ "kind": "contains_display_name" });
    let said = |body: &str| {
        let mut room = room();
        let event: Arc<Event> = room.message("bob", body).unwrap();
        holds_for(condition(), &room, &event)
    };
    assert!(said("hello RITA *, how are you?"));
    assert!(!said("hello Rita, how are you?"));
    assert!(!said("MargaRita *"));
}

#[test]
fn member_counts_compare() {
    let table = [
        ("3", true),
        ("==3", true),
        ("2", false),
        ("<3", false),
        ("<4", true),
        ("<=3", true),
        (">3", false),
        (">2", true),
        (">=3", true),
        (">=4", false),
    ];
    let mut room = room();
    let event = room.message("bob", "hi").unwrap();
    for (is, expected) in table {
        assert_eq!(holds_for(json!({ "kind": "room_member_count", "is": is }), &room, &event), expected, "{is}");
    }
}

#[test]
fn notification_permission_is_a_matter_of_power() {
    let condition = |key: &str| json!({ "kind": "sender_notification_permission", "key": key });
    let mut room = room();
    let levels = json!({ "users": { user("bob"): 20 }, "notifications": { "room": 20, "org.example.siren": 90 } });
    room.set("creator", "m.room.power_levels", levels).unwrap();
    let bobs = room.message("bob", "hi").unwrap();
    let creators = room.message("creator", "hi").unwrap();
    assert!(holds_for(condition("room"), &room, &bobs));
    assert!(!holds_for(condition("org.example.siren"), &room, &bobs));
    assert!(holds_for(condition("org.example.siren"), &room, &creators));
}

#[test]
fn all_conditions_must_hold_and_an_unknown_one_never_does() {
    let mut room = room();
    let event = room.message("bob", "hi").unwrap();
    let holds = json!({ "kind": "event_match", "key": "type", "pattern": "m.room.message" });
    let fails = json!({ "kind": "event_match", "key": "type", "pattern": "m.room.topic" });
    let unknown = json!({ "kind": "org.example.moon_phase", "is": "full" });
    let outcome = |conditions: Value| {
        ask(&own(json!({ "override": [{ "conditions": conditions, "actions": ["notify"] }] })), &room, &event, 3).notify
    };
    assert!(outcome(json!([])));
    assert!(outcome(json!([holds])));
    assert!(!outcome(json!([holds, fails])));
    assert!(!outcome(json!([holds, unknown])));
    assert!(!outcome(json!([unknown])));
}

#[test]
fn a_user_rule_added_to_the_defaults_comes_before_them() {
    let mut rules = defaults();
    let mut room = room();
    let event = room.send("bob", "m.reaction", None, json!({})).unwrap();
    let mine: ConditionalPushRule = serde_json::from_value(json!({
        "rule_id": "mine", "default": false, "enabled": true, "actions": ["notify"],
        "conditions": [{ "kind": "event_match", "key": "type", "pattern": "m.reaction" }],
    }))
    .unwrap();
    assert_eq!(ask(&rules, &room, &event, 3), SILENT);
    rules.override_.shift_insert(1, mine);
    assert_eq!(ask(&rules, &room, &event, 3), NOTIFY);
}

#[test]
fn who_is_named_in_the_text_is_told_unless_the_event_says_whom_it_mentions() {
    let mut room = room();
    let cases = [
        // The display name, the localpart, the whole room; by somebody who may and somebody who may not call everyone.
        ("creator", json!({ "body": "Hello rita *!" }), HIGHLIGHT),
        ("bob", json!({ "body": "ask Reader, please" }), HIGHLIGHT),
        ("bob", json!({ "body": "the readers" }), NOTIFY),
        ("creator", json!({ "body": "@room look" }), HIGHLIGHT),
        ("bob", json!({ "body": "@room look" }), NOTIFY),
        ("creator", json!({ "body": "Hello Rita *!", "m.mentions": {} }), NOTIFY),
        ("creator", json!({ "body": "ask reader", "m.mentions": { "user_ids": ["@bob:example.org"] } }), NOTIFY),
        ("creator", json!({ "body": "@room look", "m.mentions": {} }), NOTIFY),
        ("creator", json!({ "body": "you", "m.mentions": { "user_ids": [user("reader")] } }), HIGHLIGHT),
    ];
    for (sender, mut content, expected) in cases {
        content["msgtype"] = json!("m.text");
        let event = room.send(sender, "m.room.message", None, content.clone()).unwrap();
        assert_eq!(ask(&defaults(), &room, &event, 5), expected, "{sender}: {content}");
    }
}

const SUBSCRIBED: &str = ".io.element.msc4306.rule.subscribed_thread";
const UNSUBSCRIBED: &str = ".io.element.msc4306.rule.unsubscribed_thread";

#[test]
fn nothing_is_silenced_in_threads_unless_the_user_wants_that() {
    let rules = defaults();
    let found: Vec<_> = rules.postcontent.iter().map(|rule| (&*rule.rule_id, rule.enabled, rule.default)).collect();
    assert_eq!(found, [(UNSUBSCRIBED, false, true), (SUBSCRIBED, true, true)]);
    assert_eq!(ThreadsMatter::to(&rules), ThreadsMatter { subscribed: true, unsubscribed: false });
    assert_eq!(ThreadsMatter::to(&Ruleset::new()), ThreadsMatter::default());
}

#[test]
fn subscriptions_decide_after_mentions_and_before_what_is_said_of_the_room() {
    use ThreadStanding::{Outside, Subscribed, Unsubscribed};
    let mut room = room();
    let me = user("reader");
    let plain = room.message("bob", "hi").unwrap();
    let mut say = |content: Value| room.send("bob", "m.room.message", None, content).unwrap();
    let mention = say(json!({ "body": "hi", "m.mentions": { "user_ids": [me] } }));
    let keyword = say(json!({ "body": "tea is ready" }));
    let notice = say(json!({ "body": "hi", "msgtype": "m.notice" }));
    let room_id = room.id.as_str();
    let tea = json!([{ "rule_id": "tea", "pattern": "tea", "actions": ["notify", { "set_tweak": "highlight" }] }]);
    let quiet_room = json!([{ "rule_id": room_id, "actions": [] }]);
    let muted = json!([{
        "conditions": [{ "kind": "event_match", "key": "room_id", "pattern": room_id }], "actions": [],
    }]);
    // (what is set, whether unsubscribed threads are silent)
    let with = |json: Value, silent: bool| {
        let mut rules = own(json);
        rules.postcontent = defaults().postcontent;
        rules.underride = defaults().underride;
        rules.override_.extend(defaults().override_);
        rules.set_enabled("io.element.msc4306.postcontent".into(), UNSUBSCRIBED, silent).unwrap();
        rules
    };
    let as_they_are = with(json!({ "content": tea }), false);
    let silent = with(json!({ "content": tea }), true);
    let quiet = with(json!({ "room": quiet_room }), true);
    let mute = with(json!({ "override": muted }), true);
    let table = [
        ("a message", &as_they_are, &plain, [NOTIFY, NOTIFY, NOTIFY]),
        ("a message", &silent, &plain, [NOTIFY, SILENT, NOTIFY]),
        ("a mention", &silent, &mention, [HIGHLIGHT, HIGHLIGHT, HIGHLIGHT]),
        ("a keyword", &silent, &keyword, [HIGHLIGHT, HIGHLIGHT, HIGHLIGHT]),
        ("a notice", &silent, &notice, [SILENT, SILENT, SILENT]),
        ("a message in a room for mentions", &quiet, &plain, [SILENT, SILENT, NOTIFY]),
        ("a mention in a room for mentions", &quiet, &mention, [HIGHLIGHT, HIGHLIGHT, HIGHLIGHT]),
        ("a message in a muted room", &mute, &plain, [SILENT, SILENT, SILENT]),
    ];
    for (what, rules, event, expected) in table {
        let found = [Outside, Unsubscribed, Subscribed].map(|thread| ask_in(thread, rules, &room, event, 3));
        assert_eq!(found, expected, "{what}, outside, unsubscribed and subscribed");
    }
}
