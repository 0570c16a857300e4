//! What a user's push rules say about an event: nothing, a notification, or one that stands out.
//!
//! The rules are ruma's types. They are evaluated here because the fold over a room's events needs an answer that is
//! synchronous, shares the parsed event between readers, and takes display names at their letters.

mod defaults;
mod subject;

use std::ops::RangeBounds;

use ruma::{
    UInt, UserId,
    push::{Action, AnyPushRuleRef, PushCondition, Ruleset},
};

pub use self::{defaults::server_default, subject::Subject};
use super::{
    glob::{self, QuestionMark},
    power_levels::PowerLevels,
};

/// The rule that decides about an event for a reader, if there is one: the first that is enabled and matches.
///
/// Nobody is notified of what they have sent themselves (client-server API, "Push rules").
pub fn deciding_rule<'r>(rules: &'r Ruleset, event: &Subject<'_>, reader: &Reader<'_>) -> Option<AnyPushRuleRef<'r>> {
    if event.sender() == reader.user_id {
        return None;
    }
    let counts = |rule: &AnyPushRuleRef<'_>| {
        rule.enabled() && !(event.says_whom_it_mentions() && defaults::finds_mentions_in_text(rule.rule_id()))
    };
    rules.iter().find(|rule| counts(rule) && matches(*rule, event, reader))
}

/// The outcome for a reader, without sounds and other tweaks.
pub fn evaluate(rules: &Ruleset, event: &Subject<'_>, reader: &Reader<'_>) -> Verdict {
    deciding_rule(rules, event, reader).map_or(Verdict::default(), |rule| Verdict::of(rule.actions()))
}

/// What an event means for the counts of a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It counts as a notification.
    pub notify: bool,
    /// It counts as a highlight; only with `notify`.
    pub highlight: bool,
}

impl Verdict {
    /// The outcome of a rule's actions.
    pub fn of(actions: &[Action]) -> Self {
        let notify = actions.iter().any(Action::should_notify);
        Self { notify, highlight: notify && actions.iter().any(Action::is_highlight) }
    }
}

/// The one who may be notified, and their room.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// Whose rules are asked.
    pub user_id: &'a UserId,
    /// Their display name in the room, if they have one.
    pub display_name: Option<&'a str>,
    /// How many members the room has, at the event.
    pub joined_members: u64,
    /// The power levels of the room, at the event.
    pub power_levels: &'a PowerLevels,
    /// What the thread of the event is to them.
    pub thread: ThreadStanding,
}

/// What the thread that an event is in is to a reader (MSC4306).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThreadStanding {
    /// The event is in no thread.
    #[default]
    Outside,
    /// The reader is not subscribed to it.
    Unsubscribed,
    /// The reader is subscribed to it.
    Subscribed,
}

/// Which standings in a thread a user's rules tell from others, so that nobody has to look up what no rule asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadsMatter {
    /// A rule asks for subscriptions.
    pub subscribed: bool,
    /// A rule asks for what somebody is not subscribed to.
    pub unsubscribed: bool,
}

impl ThreadsMatter {
    /// What the rules that are enabled ask for.
    pub fn to(rules: &Ruleset) -> Self {
        let conditional = rules.override_.iter().chain(&rules.postcontent).chain(&rules.underride);
        let mut matter = Self::default();
        for condition in conditional.filter(|rule| rule.enabled).flat_map(|rule| &rule.conditions) {
            if let PushCondition::ThreadSubscription(condition) = condition {
                matter.subscribed |= condition.subscribed;
                matter.unsubscribed |= !condition.subscribed;
            }
        }
        matter
    }
}

fn matches(rule: AnyPushRuleRef<'_>, event: &Subject<'_>, reader: &Reader<'_>) -> bool {
    match rule {
        AnyPushRuleRef::Override(rule) | AnyPushRuleRef::PostContent(rule) | AnyPushRuleRef::Underride(rule) => {
            rule.conditions.iter().all(|condition| holds(condition, event, reader))
        }
        AnyPushRuleRef::Content(rule) => event.body_has(&rule.pattern),
        AnyPushRuleRef::Room(rule) => rule.rule_id == event.room_id(),
        AnyPushRuleRef::Sender(rule) => rule.rule_id == event.sender(),
        _ => false,
    }
}

fn holds(condition: &PushCondition, event: &Subject<'_>, reader: &Reader<'_>) -> bool {
    match condition {
        PushCondition::EventMatch(condition) if condition.key == "content.body" => event.body_has(&condition.pattern),
        PushCondition::EventMatch(condition) => event
            .property(&condition.key)
            .and_then(|property| property.as_str())
            .is_some_and(|value| matches_any_case(&condition.pattern, value)),
        PushCondition::EventPropertyIs(condition) => {
            event.property(&condition.key).is_some_and(|property| property.is(&condition.value))
        }
        PushCondition::EventPropertyContains(condition) => {
            event.property(&condition.key).is_some_and(|property| property.contains(&condition.value))
        }
        PushCondition::RoomMemberCount(condition) => {
            condition.is.contains(&UInt::new_saturating(reader.joined_members))
        }
        PushCondition::SenderNotificationPermission(condition) => {
            reader.power_levels.may_notify(event.sender(), condition.key.as_str())
        }
        PushCondition::ThreadSubscription(condition) => match reader.thread {
            ThreadStanding::Outside => false,
            ThreadStanding::Unsubscribed => !condition.subscribed,
            ThreadStanding::Subscribed => condition.subscribed,
        },
        #[expect(deprecated, reason = "rules from before version 1.17 of the specification may hold this")]
        PushCondition::ContainsDisplayName => reader.display_name.is_some_and(|name| event.body_names(name)),
        // A condition that nobody knows makes the rule match nothing.
        _ => false,
    }
}

/// Whether a pattern matches a whole value, upper and lower case being the same.
fn matches_any_case(pattern: &str, value: &str) -> bool {
    if !pattern.contains(['*', '?']) && pattern.is_ascii() {
        return pattern.eq_ignore_ascii_case(value);
    }
    glob::matches(&pattern.to_lowercase(), &value.to_lowercase(), QuestionMark::AnyCharacter)
}

#[cfg(test)]
mod tests;
