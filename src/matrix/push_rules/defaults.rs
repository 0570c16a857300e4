//! The rules that everybody starts with.

use ruma::{
    UserId,
    push::{
        Action, ConditionalPushRule, ConditionalPushRuleInit, EventMatchConditionData, HighlightTweakValue,
        PatternedPushRule, PatternedPushRuleInit, PredefinedOverrideRuleId, PushCondition, Ruleset,
        SenderNotificationPermissionConditionData, SoundTweakValue, Tweak,
    },
};

const CONTAINS_DISPLAY_NAME: &str = ".m.rule.contains_display_name";
const CONTAINS_USER_NAME: &str = ".m.rule.contains_user_name";
const ROOM_NOTIFICATION: &str = ".m.rule.roomnotif";

/// The default rules of `user` (client-server API, "Predefined Rules").
///
/// Three things differ from the library. The rules of polls compare types as clients and other servers have had it since
/// MSC3930 began, which comes to the same. And the three rules that find a mention in the text itself are still here, below
/// those for `m.mentions`: version 1.17 of the specification removed them, but bridges and older clients name people without
/// saying so, and what does say so is left alone by these rules (`finds_mentions_in_text`).
///
/// The third: the rule that silences threads to which the user is not subscribed is there, and the user has to enable it. MSC4306
/// would have it enabled, and the server that tries the proposal out leaves the whole of it off unless its operator says
/// otherwise. Hardly a client subscribes anybody to anything yet: with the rule enabled, whoever uses the others would hear no more
/// of what is said in threads, without having been asked and without a sign of it. Nobody loses anything by the rule for
/// subscriptions, which is enabled, since it matches only where somebody has subscribed.
pub fn server_default(user: &UserId) -> Ruleset {
    let mut rules = Ruleset::server_default(user);
    rules.override_ = rules.override_.into_iter().map(as_first_proposed).flat_map(with_mentions_in_text).collect();
    rules.underride = rules.underride.into_iter().map(as_first_proposed).collect();
    rules.content.insert(contains_user_name(user));
    rules.postcontent = rules.postcontent.into_iter().map(silencing_nothing).collect();
    rules
}

/// Whether a rule is one of the defaults which look for a mention in the text. They count only for events without
/// `m.mentions` (client-server API of version 1.7 to 1.16, "Predefined Rules").
pub fn finds_mentions_in_text(rule_id: &str) -> bool {
    matches!(rule_id, CONTAINS_DISPLAY_NAME | CONTAINS_USER_NAME | ROOM_NOTIFICATION)
}

fn silencing_nothing(rule: ConditionalPushRule) -> ConditionalPushRule {
    let silences = !rule.actions.iter().any(Action::should_notify);
    ConditionalPushRuleInit {
        enabled: rule.enabled && !silences,
        rule_id: rule.rule_id,
        default: rule.default,
        conditions: rule.conditions,
        actions: rule.actions,
    }
    .into()
}

fn as_first_proposed(mut rule: ConditionalPushRule) -> ConditionalPushRule {
    if rule.rule_id.starts_with(".org.matrix.msc3930.") {
        for condition in &mut rule.conditions {
            if let PushCondition::EventPropertyIs(is) = condition
                && let Some(value) = is.value.as_str()
            {
                *condition = EventMatchConditionData::new(is.key.clone(), value.to_owned()).into();
            }
        }
    }
    rule
}

/// A rule for `m.mentions`, followed by its older brother.
fn with_mentions_in_text(rule: ConditionalPushRule) -> impl Iterator<Item = ConditionalPushRule> {
    let older = match PredefinedOverrideRuleId::from(rule.rule_id.as_str()) {
        PredefinedOverrideRuleId::IsUserMention => Some(contains_display_name()),
        PredefinedOverrideRuleId::IsRoomMention => Some(room_notification()),
        _ => None,
    };
    [rule].into_iter().chain(older)
}

#[expect(deprecated, reason = "deprecated for rules that clients make; this one is as old as the condition")]
fn contains_display_name() -> ConditionalPushRule {
    let conditions = vec![PushCondition::ContainsDisplayName];
    overriding(CONTAINS_DISPLAY_NAME, conditions, loud())
}

fn room_notification() -> ConditionalPushRule {
    let conditions = vec![
        EventMatchConditionData::new("content.body".to_owned(), "@room".to_owned()).into(),
        SenderNotificationPermissionConditionData::new("room".into()).into(),
    ];
    overriding(ROOM_NOTIFICATION, conditions, vec![Action::Notify, highlight()])
}

fn overriding(rule_id: &str, conditions: Vec<PushCondition>, actions: Vec<Action>) -> ConditionalPushRule {
    ConditionalPushRuleInit { rule_id: rule_id.to_owned(), default: true, enabled: true, conditions, actions }.into()
}

fn contains_user_name(user: &UserId) -> PatternedPushRule {
    PatternedPushRuleInit {
        rule_id: CONTAINS_USER_NAME.to_owned(),
        default: true,
        enabled: true,
        pattern: user.localpart().to_owned(),
        actions: loud(),
    }
    .into()
}

fn loud() -> Vec<Action> {
    vec![Action::Notify, Action::SetTweak(Tweak::Sound(SoundTweakValue::Default)), highlight()]
}

fn highlight() -> Action {
    Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes))
}
