//! The push rules of the users whose counts are asked for, parsed once.

use std::sync::Arc;

use quick_cache::sync::Cache;
use ruma::{OwnedUserId, UserId, events::GlobalAccountDataEventType, push::Ruleset};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    error::{Error, Result},
    matrix::push_rules::ThreadsMatter,
    storage::{Position, Snapshot},
    streams::{Change, Log},
    users::PushRules,
};

/// How many users' rules are kept, of ten or twenty kilobytes each.
const KEPT: usize = 1_000;

/// The rules of the users who were asked about lately.
pub(super) struct KnownRules(Cache<OwnedUserId, Known>);

/// The rules of one user.
pub(super) struct Rules {
    /// As they are evaluated.
    pub ruleset: Ruleset,
    /// Whether they ask for subscriptions to threads.
    pub threads_matter: ThreadsMatter,
    /// As they are written, to tell whether two are the same.
    text: Box<RawValue>,
}

#[derive(Clone)]
struct Known {
    rules: Arc<Rules>,
    /// The moment as of which they were read.
    from: Position,
    /// The moment as of which they were last found to have stayed the same.
    until: Position,
}

impl Default for KnownRules {
    fn default() -> Self {
        Self(Cache::new(KEPT))
    }
}

impl KnownRules {
    /// The rules of a user as of `snapshot`.
    pub async fn of(&self, push_rules: &PushRules, snapshot: &Snapshot, user: &UserId) -> Result<Arc<Rules>> {
        let now = snapshot.position();
        if let Some(known) = self.0.get(user) {
            if known.from <= now && now <= known.until {
                return Ok(known.rules);
            }
            if known.until < now && !changed_since(snapshot, user, known.until).await? {
                let rules = known.rules.clone();
                self.0.insert(user.to_owned(), Known { until: now, ..known });
                return Ok(rules);
            }
        }
        let ruleset = push_rules.of(snapshot, user).await?;
        let text = to_raw_value(&ruleset).map_err(Error::internal)?;
        let rules = Arc::new(Rules { threads_matter: ThreadsMatter::to(&ruleset), ruleset, text });
        self.0.insert(user.to_owned(), Known { rules: rules.clone(), from: now, until: now });
        Ok(rules)
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.text.get() == other.text.get()
    }
}

/// Whether the user's rules changed after `since`, as the log tells.
async fn changed_since(snapshot: &Snapshot, user: &UserId, since: Position) -> Result<bool> {
    let push_rules = GlobalAccountDataEventType::PushRules.to_string();
    let is_change =
        |change: &Change| matches!(change, Change::AccountData { room: None, kind, .. } if *kind == push_rules);
    Ok(Log::of_user_since(snapshot, user, since).await?.iter().any(|(_, change)| is_change(change)))
}
