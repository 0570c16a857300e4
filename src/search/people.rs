//! Finds people by their names ([spec](https://spec.matrix.org/v1.19/client-server-api/#user-directory)).
//!
//! A name that somebody has in one room only is nobody's business elsewhere, so only what people show of themselves counts.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use ruma::{
    OwnedMxcUri, OwnedUserId, UserId,
    events::StateEventType,
    profile::{AvatarUrl, DisplayName},
    room::JoinRuleKind,
};
use serde::Deserialize;

use super::{
    analysis::Analysis,
    names::{Fit, Name, Names, words},
};
use crate::{
    error::{Error, Result},
    rooms::{RoomState, Rooms},
    storage::{
        Position, Snapshot, Store,
        schema::users::{Role, Standing},
    },
    streams::{Change, Log},
    users::{Accounts, Profiles},
};

/// After how many changes of the server all names are read anew instead of the changes.
const MANY_CHANGES: u64 = 50_000;

/// How many strangers are looked at, at most, to see whether the searcher may know of them.
const STRANGERS: usize = 500;

/// The members of rooms larger than this are looked up one by one instead of being listed.
const LARGE_ROOM: usize = 5_000;

/// How many people are given at most.
const MOST: usize = 50;

/// The longest text that is looked for, in bytes.
const LONGEST: usize = 500;

/// Whom people may find.
#[derive(Clone, Copy, Debug)]
pub struct PeopleSettings {
    /// Everybody on the server, and not only those with whom one shares a room or who are in a public one.
    pub everyone: bool,
}

/// The service that finds people: a cheap-clone handle.
#[derive(Clone)]
pub struct People {
    store: Store,
    accounts: Accounts,
    profiles: Profiles,
    rooms: Rooms,
    settings: PeopleSettings,
    analysis: Analysis,
    /// Nothing until somebody searches.
    names: Arc<ArcSwap<Names>>,
}

/// People who were found, best first.
#[derive(Clone, Debug, Default)]
pub struct PeopleFound {
    /// The people.
    pub people: Vec<Person>,
    /// Whether there are more.
    pub limited: bool,
}

/// Somebody who was found.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who it is.
    pub user_id: OwnedUserId,
    /// The name that they show.
    pub display_name: Option<String>,
    /// The picture that they show.
    pub avatar_url: Option<OwnedMxcUri>,
}

/// The people in the searcher's rooms.
#[derive(Default)]
struct Company {
    of_small_rooms: HashSet<OwnedUserId>,
    large_rooms: Vec<Arc<RoomState>>,
}

impl People {
    /// Finds people among `accounts`.
    pub fn new(store: Store, accounts: Accounts, profiles: Profiles, rooms: Rooms, settings: PeopleSettings) -> Self {
        let analysis = Analysis::without_stems();
        Self { store, accounts, profiles, rooms, settings, analysis, names: Arc::default() }
    }

    /// Those whose names or ids have each word of `typed` in them and of whom `searcher` may know, those first with whom they
    /// share a room. Nobody looks for themselves.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidParam`](crate::error::Kind::InvalidParam) if the text is longer than 500 bytes.
    pub async fn find(&self, searcher: &UserId, typed: &str, limit: usize) -> Result<PeopleFound> {
        if typed.len() > LONGEST {
            return Err(Error::invalid("search_term is longer than 500 bytes."));
        }
        let words = words(&mut self.analysis.clone(), typed);
        let limit = limit.min(MOST);
        if words.is_empty() || limit == 0 {
            return Ok(PeopleFound::default());
        }
        let snapshot = self.store.snapshot();
        let names = self.names(&snapshot).await?;
        let company = self.company(&snapshot, searcher).await?;
        let mut found: Vec<(bool, Fit, &UserId)> = names
            .having(&words)
            .filter(|(_, user)| *user != searcher)
            .map(|(fit, user)| (!company.has(user), fit, user))
            .collect();
        // All that is needed of the order is its beginning; strangers may turn out to be unknown.
        let wanted = limit + STRANGERS;
        if found.len() > wanted {
            found.select_nth_unstable(wanted);
            found.truncate(wanted);
        }
        found.sort_unstable();
        let mut answer = PeopleFound::default();
        for (stranger, _, user) in found {
            if stranger && !self.settings.everyone && !self.is_in_public(&snapshot, user).await? {
                continue;
            }
            if !self.is_here(user).await? {
                continue;
            }
            if answer.people.len() == limit {
                answer.limited = true;
                break;
            }
            let profile = self.profiles.of(&snapshot, user).await?;
            answer.people.push(Person {
                user_id: user.to_owned(),
                display_name: profile.get_static::<DisplayName>().ok().flatten(),
                avatar_url: profile.get_static::<AvatarUrl>().ok().flatten(),
            });
        }
        Ok(answer)
    }

    /// Everybody's names now.
    async fn names(&self, snapshot: &Snapshot) -> Result<Arc<Names>> {
        let known = self.names.load_full();
        let position = snapshot.position();
        if known.position >= position {
            return Ok(known);
        }
        let new = known.position == Position::ZERO || position.get() - known.position.get() > MANY_CHANGES;
        let changed = match new {
            true => self.accounts.list().await?.into_iter().map(|(user, _)| user).collect(),
            false => renamed(snapshot, known.position).await?,
        };
        let mut names = match new {
            true => Names::default(),
            false => (*known).clone(),
        };
        let mut analysis = self.analysis.clone();
        for user in changed {
            let profile = self.profiles.of(snapshot, &user).await?;
            let shown = profile.get_static::<DisplayName>().ok().flatten();
            let name = Name::new(&mut analysis, &user, shown.as_deref());
            names.put(user, name);
        }
        names.position = position;
        let names = Arc::new(names);
        self.names.store(names.clone());
        Ok(names)
    }

    async fn company(&self, snapshot: &Snapshot, searcher: &UserId) -> Result<Company> {
        let mut company = Company::default();
        for room in self.rooms.joined(snapshot, searcher).await? {
            let state = self.rooms.room(&room).await?.current();
            match state.joined.len() > LARGE_ROOM {
                true => company.large_rooms.push(state),
                false => company.of_small_rooms.extend(state.joined.iter().cloned()),
            }
        }
        Ok(company)
    }

    /// Whether somebody is in a room that everybody may enter.
    async fn is_in_public(&self, snapshot: &Snapshot, user: &UserId) -> Result<bool> {
        for room in self.rooms.joined(snapshot, user).await? {
            let state = self.rooms.room(&room).await?.current();
            let rule = state.content::<JoinRules>(&StateEventType::RoomJoinRules, "");
            if rule.is_some_and(|rule| rule.join_rule == JoinRuleKind::Public) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether somebody has an account that is in use.
    async fn is_here(&self, user: &UserId) -> Result<bool> {
        let account = self.accounts.get(user).await?;
        Ok(account.is_some_and(|account| account.standing == Standing::Active && account.role != Role::Server))
    }
}

impl Company {
    fn has(&self, user: &UserId) -> bool {
        self.of_small_rooms.contains(user) || self.large_rooms.iter().any(|state| state.is_joined(user))
    }
}

#[derive(Deserialize)]
struct JoinRules {
    join_rule: JoinRuleKind,
}

/// Who may have another name than at `since`, or is new.
async fn renamed(snapshot: &Snapshot, since: Position) -> Result<BTreeSet<OwnedUserId>> {
    let rows = Log::since(snapshot, since, usize::MAX).await?;
    Ok(rows
        .into_iter()
        .filter_map(|(_, change)| match change {
            Change::Profile { user } => Some(user),
            _ => None,
        })
        .collect())
}
