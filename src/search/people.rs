//! Finds people by their names ([spec](https://spec.matrix.org/v1.19/client-server-api/#user-directory)).
//!
//! A name that somebody has in one room only is nobody's business elsewhere, so only what people show of themselves counts.

use std::{
    cmp::Reverse,
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use ruma::{
    OwnedMxcUri, OwnedUserId, UserId,
    events::StateEventType,
    profile::{AvatarUrl, DisplayName, UserProfile},
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
    streams::Log,
    users::{Accounts, Profiles},
};

/// How many strangers are looked at, at most, to see whether the searcher may know of them.
const STRANGERS: usize = 500;

/// How many names are looked at, at most, when very many have the same letters in them.
const NAMES: usize = 5_000;

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
    names: Arc<RwLock<Names>>,
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
struct Company {
    /// The rooms, those with the most members first.
    rooms: Vec<Arc<RoomState>>,
}

impl People {
    /// Finds people among `accounts`.
    pub fn new(store: Store, accounts: Accounts, profiles: Profiles, rooms: Rooms, settings: PeopleSettings) -> Self {
        let analysis = Analysis::without_stems();
        Self { store, accounts, profiles, rooms, settings, analysis, names: Arc::default() }
    }

    /// Those whose names or ids have each word of `typed` in them and of whom `searcher` may know, those first with whom they
    /// share a room. The searcher is not looking for themselves.
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
        self.learn_names(&snapshot).await?;
        let company = self.company(&snapshot, searcher).await?;
        let (named, more) = self.named(&words, searcher, &company);
        let acquainted = company.among(&named);
        let mut found: Vec<(bool, Fit, &UserId)> =
            named.iter().map(|(fit, user)| (!acquainted.contains(&**user), *fit, &**user)).collect();
        // All that is needed of the order is its beginning; strangers may turn out to be unknown.
        let wanted = limit + STRANGERS;
        let mut answer = PeopleFound { people: Vec::new(), limited: more || found.len() > wanted };
        if found.len() > wanted {
            found.select_nth_unstable(wanted);
            found.truncate(wanted);
        }
        found.sort_unstable();
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

    /// Those who are called so, without the searcher, and whether there may be more.
    fn named(&self, words: &[String], searcher: &UserId, company: &Company) -> (Vec<(Fit, OwnedUserId)>, bool) {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let (mut found, more) = names.having(words, NAMES);
        if more {
            // So many that those whom the searcher knows are not left to chance.
            let members = company.members().take(NAMES);
            found.extend(members.filter_map(|user| Some((names.fit(user, words)?, user))));
            found.sort_unstable();
            found.dedup();
        }
        let others = found.into_iter().filter(|(_, user)| *user != searcher);
        (others.map(|(fit, user)| (fit, user.to_owned())).collect(), more)
    }

    /// Brings what is known of everybody's names up to `snapshot`.
    async fn learn_names(&self, snapshot: &Snapshot) -> Result<()> {
        let known = self.names.read().unwrap_or_else(PoisonError::into_inner).position;
        if known >= snapshot.position() {
            return Ok(());
        }
        let mut shown = Vec::new();
        if known == Position::ZERO {
            shown = self.profiles.all(snapshot).await?;
            let named: HashSet<OwnedUserId> = shown.iter().map(|(user, _)| user.clone()).collect();
            let accounts = self.accounts.list().await?.into_iter().map(|(user, _)| user);
            shown.extend(accounts.filter(|user| !named.contains(user)).map(|user| (user, UserProfile::new())));
        } else {
            for user in Log::profiles_since(snapshot, known).await? {
                let profile = self.profiles.of(snapshot, &user).await?;
                shown.push((user, profile));
            }
        }
        let mut analysis = self.analysis.clone();
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have learned more meanwhile; what is read here is not newer than that.
        if names.position < snapshot.position() {
            for (user, profile) in shown {
                let name = profile.get_static::<DisplayName>().ok().flatten();
                let name = Name::new(&mut analysis, &user, name.as_deref());
                names.put(user, name);
            }
            names.position = snapshot.position();
        }
        Ok(())
    }

    async fn company(&self, snapshot: &Snapshot, searcher: &UserId) -> Result<Company> {
        let mut rooms = Vec::new();
        for room in self.rooms.joined(snapshot, searcher).await? {
            rooms.push(self.rooms.room(&room).await?.current());
        }
        // Whoever is in any of them is most likely in a large one.
        rooms.sort_by_key(|state| Reverse(state.joined.len()));
        Ok(Company { rooms })
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
    /// The members of all rooms, those of the small rooms first.
    fn members(&self) -> impl Iterator<Item = &UserId> {
        self.rooms.iter().rev().flat_map(|state| &state.joined).map(|user| &**user)
    }

    /// Those of `named` who share a room with the searcher. Costs as much as the smaller of the two crowds.
    fn among<'a>(&self, named: &'a [(Fit, OwnedUserId)]) -> HashSet<&'a UserId> {
        let members: usize = self.rooms.iter().map(|state| state.joined.len()).sum();
        let named = named.iter().map(|(_, user)| &**user);
        if members / (1 + self.rooms.len()) > named.len() {
            return named.filter(|user| self.rooms.iter().any(|state| state.is_joined(user))).collect();
        }
        let members: HashSet<&UserId> = self.members().collect();
        named.filter(|user| members.contains(user)).collect()
    }
}

#[derive(Deserialize)]
struct JoinRules {
    join_rule: JoinRuleKind,
}
