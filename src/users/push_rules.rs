//! Push rules: what users want to be notified of. The rules are evaluated elsewhere; here they are kept.

use std::mem;

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::GlobalAccountDataEventType,
    push::{
        Action, AnyPushRule, ConditionalPushRule, InsertPushRuleError, NewConditionalPushRule, NewPushRule,
        NewSimplePushRule, PatternedPushRule, PushCondition, RemovePushRuleError, RuleKind, Ruleset, SimplePushRule,
    },
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    error::{Error, Kind, Result},
    matrix::push_rules,
    storage::{Batch, Snapshot, Store, schema::users::PUSH_RULES, until_settled},
    streams::{Change, Log, Notifier},
};

/// A cheap-clone service over the push rules of all users.
#[derive(Clone)]
pub struct PushRules {
    store: Store,
    notifier: Notifier,
}

/// A ruleset as clients get it: with a list for every kind of rule, where ruma leaves empty ones out.
#[derive(Serialize)]
pub struct WholeRuleset<'a> {
    #[serde(rename = "override")]
    override_: Vec<&'a ConditionalPushRule>,
    content: Vec<&'a PatternedPushRule>,
    postcontent: Vec<&'a ConditionalPushRule>,
    room: Vec<&'a SimplePushRule<OwnedRoomId>>,
    sender: Vec<&'a SimplePushRule<OwnedUserId>>,
    underride: Vec<&'a ConditionalPushRule>,
}

impl<'a> From<&'a Ruleset> for WholeRuleset<'a> {
    fn from(rules: &'a Ruleset) -> Self {
        Self {
            override_: rules.override_.iter().collect(),
            content: rules.content.iter().collect(),
            postcontent: rules.postcontent.iter().collect(),
            room: rules.room.iter().collect(),
            sender: rules.sender.iter().collect(),
            underride: rules.underride.iter().collect(),
        }
    }
}

/// Where a rule goes among the user's own rules of its kind; `before` counts if both are given.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Make it the next more important one than the rule with this id.
    pub before: Option<String>,
    /// Make it the next less important one than the rule with this id.
    pub after: Option<String>,
}

/// The rules of a user before and after they were made to hold for another room as well.
#[derive(Clone, Debug)]
pub struct CarriedRules {
    before: Option<Ruleset>,
    after: Ruleset,
}

impl PushRules {
    /// The push rules in `store`.
    pub fn new(store: Store, notifier: Notifier) -> Self {
        Self { store, notifier }
    }

    /// The rules of `user` as of `snapshot`: those the user made, and the default ones as the user changed them.
    pub async fn of(&self, snapshot: &Snapshot, user: &UserId) -> Result<Ruleset> {
        Ok(with_defaults(PUSH_RULES.get(snapshot, (user,)).await?, user))
    }

    /// The rules of `user` now.
    pub async fn current(&self, user: &UserId) -> Result<Ruleset> {
        self.of(&self.store.snapshot(), user).await
    }

    /// The content of the `m.push_rules` account data of `user` as of `snapshot`.
    pub async fn as_account_data(&self, snapshot: &Snapshot, user: &UserId) -> Result<Box<RawValue>> {
        #[derive(Serialize)]
        struct Content<'a> {
            global: WholeRuleset<'a>,
        }

        let rules = self.of(snapshot, user).await?;
        to_raw_value(&Content { global: WholeRuleset::from(&rules) }).map_err(Error::internal)
    }

    /// One rule of `user`.
    ///
    /// # Errors
    ///
    /// `NotFound` if the user has no such rule.
    pub async fn rule(&self, user: &UserId, kind: RuleKind, rule_id: &str) -> Result<AnyPushRule> {
        let rules = self.current(user).await?;
        rules.get(kind, rule_id).map(|rule| rule.to_owned()).ok_or_else(not_found)
    }

    /// Adds a rule, or changes the one with its id, which stays enabled or not and, without a `place`, where it is.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the id is reserved for default rules or has a slash, or the kind has only default rules; `Unknown` if
    /// the rule that `place` names is not one of the user's own.
    pub async fn put(&self, user: &UserId, rule: NewPushRule, place: Place) -> Result<()> {
        if matches!(rule, NewPushRule::PostContent(_)) {
            return Err(Error::invalid("There are only default rules of this kind: make one of another kind."));
        }
        self.change(user, |rules| {
            let (kind, rule_id) = (rule.kind(), rule.rule_id().to_owned());
            let enabled = rules.get(kind.clone(), &rule_id).map(|rule| rule.enabled());
            let before = place.before.as_deref();
            // The specification has `before` win, and the library compares the two.
            let after = place.after.as_deref().filter(|_| before.is_none());
            let neighbour = before.or(after);
            if enabled.is_some() && neighbour.is_some() {
                // A rule that moves goes away first, so that the others stand where they will when it comes back.
                rules.remove(kind.clone(), &rule_id).map_err(removal_refused)?;
            }
            if neighbour == Some(&*rule_id) {
                // The library would put it behind the end of the list.
                return Err(insertion_refused(InsertPushRuleError::UnknownRuleId));
            }
            rules.insert(rule.clone(), after, before).map_err(insertion_refused)?;
            match enabled {
                Some(enabled) => rules.set_enabled(kind, &rule_id, enabled).map_err(|_| not_found()),
                None => Ok(()),
            }
        })
        .await
    }

    /// Removes a rule that the user made.
    ///
    /// # Errors
    ///
    /// `NotFound` if the user has no such rule, `InvalidParam` if it is a default one.
    pub async fn remove(&self, user: &UserId, kind: RuleKind, rule_id: &str) -> Result<()> {
        self.change(user, |rules| rules.remove(kind.clone(), rule_id).map_err(removal_refused)).await
    }

    /// Has a rule match events or not.
    ///
    /// # Errors
    ///
    /// `NotFound` if the user has no such rule.
    pub async fn set_enabled(&self, user: &UserId, kind: RuleKind, rule_id: &str, enabled: bool) -> Result<()> {
        let edit = |rules: &mut Ruleset| rules.set_enabled(kind.clone(), rule_id, enabled);
        self.change(user, |rules| edit(rules).map_err(|_| not_found())).await
    }

    /// Sets what a rule does with an event that matches.
    ///
    /// # Errors
    ///
    /// `NotFound` if the user has no such rule.
    pub async fn set_actions(&self, user: &UserId, kind: RuleKind, rule_id: &str, actions: Vec<Action>) -> Result<()> {
        let edit = |rules: &mut Ruleset| rules.set_actions(kind.clone(), rule_id, actions.clone());
        self.change(user, |rules| edit(rules).map_err(|_| not_found())).await
    }

    /// The rules of `user` with those about one room made for another one as well, if there are any that it does not have yet.
    pub async fn carried(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        (from, to): (&RoomId, &RoomId),
    ) -> Result<Option<CarriedRules>> {
        let before = PUSH_RULES.get(snapshot, (user,)).await?;
        let mut after = with_defaults(before.clone(), user);
        let copies = copies_for(&after, from, to);
        let mut is_changed = false;
        for (rule, enabled) in copies {
            let (kind, rule_id) = (rule.kind(), rule.rule_id().to_owned());
            if after.get(kind.clone(), &rule_id).is_none() && after.insert(rule, None, None).is_ok() {
                after.set_enabled(kind, &rule_id, enabled).map_err(|_| not_found())?;
                is_changed = true;
            }
        }
        Ok(is_changed.then_some(CarriedRules { before, after }))
    }

    /// Adds to `batch` the rules of `user` that were carried to another room, and that they changed at the batch's `slot`. The
    /// commit fails with a conflict if they have changed since.
    pub fn put_carried(&self, batch: &mut Batch, slot: u16, user: &UserId, rules: &CarriedRules) {
        PUSH_RULES.expect(batch, (user,), rules.before.as_ref());
        PUSH_RULES.put(batch, (user,), &rules.after);
        let kind = GlobalAccountDataEventType::PushRules.to_string();
        Log::append(batch, slot, &Change::AccountData { user: user.to_owned(), room: None, kind });
        let (notifier, user) = (self.notifier.clone(), user.to_owned());
        batch.on_visible(move |_| notifier.wake(&user));
    }

    async fn change(&self, user: &UserId, edit: impl Fn(&mut Ruleset) -> Result<()>) -> Result<()> {
        until_settled(|| async {
            let before = PUSH_RULES.get(&self.store.snapshot(), (user,)).await?;
            let mut rules = with_defaults(before.clone(), user);
            edit(&mut rules)?;
            let mut batch = Batch::new();
            PUSH_RULES.expect(&mut batch, (user,), before.as_ref());
            PUSH_RULES.put(&mut batch, (user,), &rules);
            let kind = GlobalAccountDataEventType::PushRules.to_string();
            Log::append(&mut batch, 0, &Change::AccountData { user: user.to_owned(), room: None, kind });
            let (notifier, user) = (self.notifier.clone(), user.to_owned());
            batch.on_visible(move |_| notifier.wake(&user));
            self.store.commit(batch).await.map(drop)
        })
        .await
    }
}

/// The user's own rules about the room `from`, made for the room `to`, and whether they are enabled: the one for the room,
/// and those that match its events before all others, which is how clients silence a room.
fn copies_for(rules: &Ruleset, from: &RoomId, to: &RoomId) -> Vec<(NewPushRule, bool)> {
    let about_room = |condition: &mut PushCondition| match condition {
        PushCondition::EventMatch(wanted) if wanted.key == "room_id" && wanted.pattern == from.as_str() => {
            wanted.pattern = to.to_string();
            true
        }
        _ => false,
    };
    let of_room = rules.room.get(from.as_str()).map(|rule| {
        let copy = NewSimplePushRule::new(to.to_owned(), rule.actions.clone());
        (NewPushRule::Room(copy), rule.enabled)
    });
    let overriding = rules.override_.iter().filter(|rule| !rule.default).filter_map(|rule| {
        let mut conditions = rule.conditions.clone();
        let concerned = conditions.iter_mut().filter_map(|condition| about_room(condition).then_some(())).count();
        let rule_id = rule.rule_id.replace(from.as_str(), to.as_str());
        let rule_id = if rule_id == rule.rule_id { format!("{rule_id}_{to}") } else { rule_id };
        let copy = NewConditionalPushRule::new(rule_id, conditions, rule.actions.clone());
        (concerned > 0).then_some((NewPushRule::Override(copy), rule.enabled))
    });
    of_room.into_iter().chain(overriding).collect()
}

/// The default rules are those of this version of the server; what the user changed about them is kept.
fn with_defaults(stored: Option<Ruleset>, user: &UserId) -> Ruleset {
    let defaults = push_rules::server_default(user);
    match stored {
        Some(mut rules) => {
            // The library forgets this kind, which has only default rules.
            let changed = mem::take(&mut rules.postcontent);
            let postcontent = defaults.postcontent.iter().map(|rule| as_changed(rule, changed.get(&*rule.rule_id)));
            let postcontent = postcontent.collect();
            rules.update_with_server_default(defaults);
            rules.postcontent = postcontent;
            rules
        }
        None => defaults,
    }
}

/// A default rule as a user changed it.
fn as_changed(rule: &ConditionalPushRule, changed: Option<&ConditionalPushRule>) -> ConditionalPushRule {
    let mut rule = rule.clone();
    if let Some(changed) = changed {
        rule.enabled = changed.enabled;
        rule.actions.clone_from(&changed.actions);
    }
    rule
}

fn not_found() -> Error {
    Error::not_found("You have no such push rule.")
}

fn insertion_refused(cause: InsertPushRuleError) -> Error {
    match cause {
        InsertPushRuleError::UnknownRuleId | InsertPushRuleError::RelativeToServerDefaultRule => {
            Kind::Unknown.with("The rule named by before or after is not one of your own rules of this kind.")
        }
        _ => Error::invalid("The id of a push rule starts with no dot and has no slashes in it."),
    }
}

fn removal_refused(cause: RemovePushRuleError) -> Error {
    match cause {
        RemovePushRuleError::ServerDefault => Error::invalid("A default push rule can be disabled, but not removed."),
        _ => not_found(),
    }
}

#[cfg(test)]
mod tests;
