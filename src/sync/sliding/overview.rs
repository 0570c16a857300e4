//! The rooms of one user, the most recently active one first, and what lists ask of them.
//!
//! It is computed once, remembered, and carried forward at the cost of what changed.

use std::{collections::BTreeSet, sync::Arc};

use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId, events::room::member::MembershipState};
use tokio::task::coop::consume_budget;

use super::request::{Filters, SlidingBody};
use crate::{
    error::Result,
    storage::{Position, Snapshot, Stamped, schema::rooms::Membership},
    sync::{Sync, changed::Changed},
};

/// How many users' overviews are remembered.
const REMEMBERED: usize = 2_000;

/// A cheap-clone memory of overviews for connections that start; it may lose any of them at any time.
#[derive(Clone)]
pub(crate) struct Overviews(Arc<Cache<OwnedUserId, Arc<Overview>>>);

/// The rooms of one user as of a position.
#[derive(Clone, Default)]
pub(super) struct Overview {
    /// As of when.
    pub position: Position,
    /// The rooms.
    pub rooms: imbl::HashMap<OwnedRoomId, Listed>,
    /// The direct chats, in `m.direct`.
    pub direct: Arc<BTreeSet<OwnedRoomId>>,
    /// What is known of the rooms.
    facts: Facts,
}

/// A room as lists see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// When something happened there last: the later, the nearer to the top.
    pub activity: Position,
    /// The user's relation to it.
    pub relation: Relation,
    is_encrypted: bool,
    room_type: Option<String>,
    tags: Vec<String>,
}

/// What a user has to do with a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// Is in it.
    Joined,
    /// Is invited, or knocks.
    Outside,
    /// Was kicked or banned, and had been in it.
    Removed,
    /// Left it, did not enter, or does not want to hear of the invitation: only clients that know the room hear of it.
    Gone,
}

/// Which facts are known of rooms; to look up those that no list asks for would be in vain.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Facts {
    encryption: bool,
    room_type: bool,
    tags: bool,
}

impl Default for Overviews {
    fn default() -> Self {
        Self(Arc::new(Cache::new(REMEMBERED)))
    }
}

impl Facts {
    fn needed(body: &SlidingBody) -> Self {
        let any = |needs: fn(&Filters) -> bool| body.lists.values().any(|list| needs(&list.filters));
        Self {
            encryption: any(|filters| filters.is_encrypted.is_some()),
            room_type: any(|filters| filters.room_types.is_some() || filters.not_room_types.is_some()),
            tags: any(|filters| filters.tags.is_some() || filters.not_tags.is_some()),
        }
    }

    fn with(self, other: Self) -> Self {
        Self {
            encryption: self.encryption || other.encryption,
            room_type: self.room_type || other.room_type,
            tags: self.tags || other.tags,
        }
    }
}

impl Listed {
    /// A room that the user is in.
    #[cfg(test)]
    pub fn active_at(activity: Position) -> Self {
        Self { activity, relation: Relation::Joined, is_encrypted: false, room_type: None, tags: Vec::new() }
    }

    /// Whether the room has a place in a list with these filters, for a client that `knows` it or not.
    pub fn passes(&self, room_id: &RoomId, filters: &Filters, direct: &BTreeSet<OwnedRoomId>, knows: bool) -> bool {
        let is = |wish: Option<bool>, fact: bool| wish.is_none_or(|wish| wish == fact);
        let any = |tags: &[String]| tags.iter().any(|tag| self.tags.contains(tag));
        (self.relation != Relation::Gone || knows)
            && is(filters.is_dm, direct.contains(room_id))
            && is(filters.is_encrypted, self.is_encrypted)
            && is(filters.is_invite, self.relation == Relation::Outside)
            && filters.room_types.as_ref().is_none_or(|kinds| kinds.contains(&self.room_type))
            && filters.not_room_types.as_ref().is_none_or(|kinds| !kinds.contains(&self.room_type))
            && filters.tags.as_deref().is_none_or(any)
            && !filters.not_tags.as_deref().is_some_and(any)
    }
}

/// The overview as of `snapshot`: that of the connection if it has one, or what is remembered, carried forward; else anew.
pub(super) async fn current(
    sync: &Sync,
    snapshot: &Snapshot,
    user: &UserId,
    body: &SlidingBody,
    (own, changed): (Option<&Arc<Overview>>, Option<&Changed>),
) -> Result<Arc<Overview>> {
    let facts = Facts::needed(body);
    let usable = |overview: &Arc<Overview>| {
        overview.position <= snapshot.position() && overview.facts == overview.facts.with(facts)
    };
    let remembered = sync.overviews.0.get(user).filter(usable);
    let overview = match (own.cloned().filter(usable), changed, remembered) {
        (Some(own), Some(changed), _) => carried(sync, snapshot, user, &own, changed).await?,
        (_, _, Some(remembered)) if remembered.position == snapshot.position() => remembered,
        (_, _, Some(remembered)) => {
            let changed = Changed::since(&sync.rooms, snapshot, user, remembered.position).await?;
            carried(sync, snapshot, user, &remembered, &changed).await?
        }
        _ => Arc::new(anew(sync, snapshot, user, facts).await?),
    };
    sync.overviews.0.insert(user.to_owned(), overview.clone());
    Ok(overview)
}

async fn anew(sync: &Sync, snapshot: &Snapshot, user: &UserId, facts: Facts) -> Result<Overview> {
    let direct = Arc::new(sync.account_data.direct_chats(snapshot, user).await?);
    let mut overview = Overview { position: snapshot.position(), direct, facts, ..Overview::default() };
    for (room_id, membership) in sync.rooms.of_user(snapshot, user).await? {
        // As in a sync of everything: others wait for the thread.
        consume_budget().await;
        let listed = listed(sync, snapshot, user, facts, &room_id, &membership).await?;
        overview.rooms.insert(room_id, listed);
    }
    Ok(overview)
}

async fn carried(
    sync: &Sync,
    snapshot: &Snapshot,
    user: &UserId,
    before: &Arc<Overview>,
    changed: &Changed,
) -> Result<Arc<Overview>> {
    let mut overview = Overview { position: snapshot.position(), ..(**before).clone() };
    for room_id in &changed.rooms {
        let Some(membership) = sync.rooms.membership(snapshot, room_id, user).await? else { continue };
        let listed = listed(sync, snapshot, user, before.facts, room_id, &membership).await?;
        if before.rooms.get(room_id) != Some(&listed) {
            overview.rooms.insert(room_id.clone(), listed);
        }
    }
    if changed.account_data.get(&None).is_some_and(|kinds| kinds.contains("m.direct")) {
        overview.direct = Arc::new(sync.account_data.direct_chats(snapshot, user).await?);
    }
    Ok(Arc::new(overview))
}

/// The room as lists see it.
async fn listed(
    sync: &Sync,
    snapshot: &Snapshot,
    user: &UserId,
    facts: Facts,
    room_id: &RoomId,
    membership: &Stamped<Membership>,
) -> Result<Listed> {
    let relation = relation(sync, snapshot, user, room_id, membership).await?;
    let rooms = &sync.rooms;
    Ok(Listed {
        activity: match relation {
            Relation::Joined => rooms.last_active(snapshot, room_id).await?.unwrap_or(membership.at),
            _ => membership.at,
        },
        relation,
        is_encrypted: facts.encryption && rooms.is_encrypted(snapshot, room_id).await?,
        room_type: match facts.room_type {
            true => rooms.room_type(snapshot, room_id).await?,
            false => None,
        },
        tags: match facts.tags {
            true => sync.account_data.tags(snapshot, user, room_id).await?,
            false => Vec::new(),
        },
    })
}

/// What the user has to do with a room.
pub(super) async fn relation(
    sync: &Sync,
    snapshot: &Snapshot,
    user: &UserId,
    room_id: &RoomId,
    membership: &Stamped<Membership>,
) -> Result<Relation> {
    Ok(match membership.value.membership {
        MembershipState::Join => Relation::Joined,
        MembershipState::Knock => Relation::Outside,
        MembershipState::Invite => {
            let room = sync.rooms.room(room_id).await?;
            let event = sync.rooms.event(snapshot, &room, &membership.value.event_id).await?;
            match event {
                Some(event) if sync.rooms.hears_invitation(snapshot, user, &event.event.sender).await? => {
                    Relation::Outside
                }
                _ => Relation::Gone,
            }
        }
        _ if membership.value.forgotten => Relation::Gone,
        _ => {
            let viewer = sync.rooms.viewer(snapshot, room_id, user).await?;
            let room = sync.rooms.room(room_id).await?;
            let event = sync.rooms.event(snapshot, &room, &membership.value.event_id).await?;
            let by_others = event.is_some_and(|event| event.event.sender != *user);
            if by_others && viewer.was_ever_joined() { Relation::Removed } else { Relation::Gone }
        }
    })
}
