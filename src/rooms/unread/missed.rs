//! The events that somebody was notified of, newest first, over all of their rooms
//! ([spec](https://spec.matrix.org/v1.19/client-server-api/#listing-notifications)).
//!
//! Nothing is kept for this list. It is read from the timelines of the user's rooms, which are merged by position, back to
//! where the user joined each; so it says what the user may see now, and what was taken back is not in it.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, UserId, api::client::push::get_notifications::v3::Notification,
    events::room::member::MembershipState,
};

use super::{Surroundings, fold::Fold, rules::Rules, standing::Followed};
use crate::{
    error::{Error, Result},
    matrix::{
        client_event::{Unsigned, sync_timeline},
        push_rules::Verdict,
    },
    rooms::{News, PageToken, Reader, Recipient, Room, Rooms, TimelineEvent, Viewer},
    storage::{Direction, KeyRange, Order, Position, Snapshot, schema::rooms::TIMELINE},
};

/// How many events of a room are looked at at a time.
const CHUNK: usize = 64;
/// The greatest number of events that one request looks at before it answers with what it found.
const SCANNED_AT_MOST: usize = 5_000;

/// Which notifications are wanted.
#[derive(Clone, Copy, Debug)]
pub struct MissedRequest {
    /// Those before this position; `None` starts with the newest.
    pub before: Option<Position>,
    /// How many.
    pub limit: usize,
    /// Whether only those that stand out.
    pub only_highlights: bool,
}

/// Some notifications.
#[derive(Clone, Debug, Default)]
pub struct Missed {
    /// Newest first.
    pub notifications: Vec<Notification>,
    /// Where to go on, if there may be more.
    pub next: Option<Position>,
}

/// One room on the way back through time.
struct Trail {
    room: Arc<Room>,
    viewer: Viewer,
    /// What is unread of the room; `None` for one that the user is invited to.
    fold: Option<Fold>,
    followed: Followed,
    /// The first place that was not looked at yet, going backwards; `None` at the end.
    rest: Option<Position>,
    /// What was found and is not given yet, newest first.
    found: VecDeque<Found>,
}

/// A notification and whether it was read.
struct Found {
    news: News,
    read: bool,
}

/// What is the same for a whole request.
struct Walk<'a> {
    snapshot: &'a Snapshot,
    rules: Arc<Rules>,
    request: MissedRequest,
}

impl Rooms {
    /// The events of all rooms that the reader was notified of, page by page.
    ///
    /// # Errors
    ///
    /// Fails if the rooms cannot be read.
    pub async fn missed(&self, reader: Reader<'_>, request: MissedRequest) -> Result<Missed> {
        let snapshot = self.shared.store.snapshot();
        let rules = self.shared.unread.rules.of(&self.shared.push_rules, &snapshot, reader.user).await?;
        let walk = Walk { snapshot: &snapshot, rules, request };
        // Rooms by where their newest event that was not given stands; the largest is next. A room that was not looked at
        // yet has no trail.
        let mut newest: BTreeSet<(Position, OwnedRoomId)> = self.newest_places(&walk, reader.user).await?;
        let mut trails: HashMap<OwnedRoomId, Trail> = HashMap::new();
        let (mut missed, mut scanned) = (Missed::default(), 0);
        while let Some((position, room_id)) = newest.pop_last() {
            if missed.notifications.len() == request.limit || scanned >= SCANNED_AT_MOST {
                missed.next = Some(Position::from(position.get() + 1));
                break;
            }
            if !trails.contains_key(&room_id) {
                let trail = self.trail(&walk, &room_id, reader.user, position).await?;
                trails.insert(room_id.clone(), trail);
            }
            let Some(trail) = trails.get_mut(&room_id) else { continue };
            match trail.found.pop_front() {
                Some(found) => missed.notifications.push(self.rendered(&walk, trail, reader, found).await?),
                None => scanned += self.walk_on(&walk, trail).await?,
            }
            newest.extend(trail.next().map(|next| (next, room_id)));
        }
        Ok(missed)
    }

    /// For each room of the user the place of the newest event that may be in the list.
    async fn newest_places(&self, walk: &Walk<'_>, user: &UserId) -> Result<BTreeSet<(Position, OwnedRoomId)>> {
        let now = Position::from(walk.snapshot.position().get() + 1);
        let before = walk.request.before.unwrap_or(now).min(now);
        let mut places = BTreeSet::new();
        for (room_id, row) in self.of_user(walk.snapshot, user).await? {
            let place = match row.value.membership {
                MembershipState::Invite => Some(row.at).filter(|at| *at < before),
                MembershipState::Join => {
                    let range = KeyRange::prefix_before((&room_id,), Order::Live(before));
                    let last = TIMELINE.scan(walk.snapshot, range, Direction::Reverse, 1).await?;
                    last.first().and_then(|((_, order), _)| live(*order))
                }
                _ => None,
            };
            places.extend(place.map(|place| (place, room_id)));
        }
        Ok(places)
    }

    async fn trail(&self, walk: &Walk<'_>, room_id: &OwnedRoomId, user: &UserId, from: Position) -> Result<Trail> {
        let room = self.room(room_id).await?;
        let viewer = self.viewer(walk.snapshot, room_id, user).await?;
        let fold = self.unread_fold(walk.snapshot, &room, &viewer).await?;
        let followed = Followed::load(walk.snapshot, &room, user, &walk.rules).await?;
        Ok(Trail { room, viewer, fold, followed, rest: Some(from), found: VecDeque::new() })
    }

    /// Looks at the next events of a room, backwards; gives how many.
    async fn walk_on(&self, walk: &Walk<'_>, trail: &mut Trail) -> Result<usize> {
        let Some(rest) = trail.rest else { return Ok(0) };
        let room_id = &trail.room.id;
        let (from, chunk) = match trail.viewer.joined_at() {
            Some(joined) => (KeyRange::prefix_after((room_id,), joined), CHUNK),
            None => (KeyRange::prefix_from((room_id,), Order::Live(rest)), 1),
        };
        let range = from.and(KeyRange::prefix_until((room_id,), Order::Live(rest)));
        let rows = TIMELINE.scan(walk.snapshot, range, Direction::Reverse, chunk).await?;
        let mut orders: Vec<Order> = rows.into_iter().map(|((_, order), _)| order).collect();
        let oldest = orders.last().copied().filter(|_| orders.len() == CHUNK);
        trail.rest = oldest.and_then(live).and_then(|oldest| oldest.get().checked_sub(1)).map(Position::from);
        orders.reverse();
        let looked_at = orders.len();
        let Some(first) = orders.first().copied() else { return Ok(0) };
        let before = self.state_at(&trail.room, PageToken::before(first).place()).await?;
        let mut surroundings = Surroundings::new(&trail.room, trail.viewer.user(), before);
        for event in self.events_at(walk.snapshot, &trail.room, &orders).await? {
            let passed = event.event.clone();
            if self.may_be_listed(walk, trail, &event).await? {
                let standing = self
                    .standing(walk.snapshot, &trail.room, trail.viewer.user(), trail.followed, &event.event)
                    .await?;
                let actions = surroundings.actions_for(&event.event, &walk.rules.ruleset, standing)?.to_vec();
                let verdict = Verdict::of(&actions);
                if verdict.notify && (verdict.highlight || !walk.request.only_highlights) {
                    let read = self.was_read(walk, trail, &event).await?;
                    trail.found.push_front(Found { news: News { event, actions }, read });
                }
            }
            surroundings.pass(passed);
        }
        Ok(looked_at)
    }

    /// Whether an event is in the list if it notifies.
    async fn may_be_listed(&self, walk: &Walk<'_>, trail: &Trail, event: &TimelineEvent) -> Result<bool> {
        let viewer = &trail.viewer;
        if event.event.sender == viewer.user() || event.header.redacted_by.is_some() {
            return Ok(false);
        }
        match trail.fold {
            Some(_) => Ok(!viewer.ignored().contains(&event.event.sender) && viewer.may_see(event.order, &event.event)),
            None => self.invites(walk.snapshot, viewer, event).await,
        }
    }

    async fn was_read(&self, walk: &Walk<'_>, trail: &Trail, event: &TimelineEvent) -> Result<bool> {
        let Some(fold) = &trail.fold else { return Ok(false) };
        let thread = self.thread_of(walk.snapshot, &trail.room, &event.event).await?;
        Ok(!fold.has_unread(&thread, event.order))
    }

    async fn rendered(&self, walk: &Walk<'_>, trail: &Trail, reader: Reader<'_>, found: Found) -> Result<Notification> {
        let Found { news: News { event, actions }, read } = found;
        let rendered = match trail.fold {
            Some(_) => {
                let recipient = Recipient { viewer: &trail.viewer, device: reader.device };
                self.renderer(walk.snapshot, &trail.room, recipient, [&event]).await?.sync_timeline(&event)
            }
            // Somebody who is only invited may know their own invitation, and nothing that it refers to.
            None => sync_timeline(&event.event, &Unsigned::at(self.shared.clock.now(), &event.event)),
        };
        let ts: MilliSecondsSinceUnixEpoch = event.event.origin_server_ts;
        Ok(Notification::new(actions, rendered, read, trail.room.id.clone(), ts))
    }
}

impl Trail {
    /// Where the newest event that was not given may stand.
    fn next(&self) -> Option<Position> {
        self.found.front().and_then(|found| live(found.news.event.order)).or(self.rest)
    }
}

impl Missed {
    /// Reads the place at which a list goes on, as [`Missed::next`] is written.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if it is none.
    pub fn parse_next(token: &str) -> Result<Position> {
        let number = token.bytes().all(|byte| byte.is_ascii_digit()).then(|| token.parse::<u64>().ok()).flatten();
        let position = number.map(Position::from).filter(|position| position.pending_slot().is_none());
        position.ok_or_else(|| Error::invalid("The server does not know this pagination token."))
    }
}

fn live(order: Order) -> Option<Position> {
    match order {
        Order::Live(position) => Some(position),
        Order::Backfilled(_) => None,
    }
}
