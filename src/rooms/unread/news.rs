//! What somebody is to be told of at once: unread events that their push rules notify of, and invitations.
//!
//! Everything is asked as of the moment of telling, so that nobody is told of what was read, taken back or hidden meanwhile.

use ruma::{RoomId, UserId, events::room::member::MembershipState, push::Action};

use super::{CHUNK, Surroundings, rules::Rules, standing::Followed};
use crate::{
    error::Result,
    matrix::push_rules::Verdict,
    rooms::{PageToken, Room, Rooms, TimelineEvent, Viewer},
    storage::{KeyRange, Order, Position, Snapshot},
};

/// An event that somebody is to be told of.
#[derive(Clone, Debug)]
pub struct News {
    /// The event.
    pub event: TimelineEvent,
    /// What the reader's push rules do with it; they notify.
    pub actions: Vec<Action>,
}

impl Rooms {
    /// The event at a place of a room, if `user` is to be told of it as of `snapshot`.
    pub async fn news(&self, snapshot: &Snapshot, room: &Room, user: &UserId, place: Order) -> Result<Option<News>> {
        let found = self.events_at(snapshot, room, &[place]).await?.pop();
        let Some(event) = found.filter(|found| may_matter(found, user)) else { return Ok(None) };
        let viewer = self.viewer(snapshot, &room.id, user).await?;
        let open = match viewer.membership() {
            MembershipState::Join => self.is_unread(snapshot, room, &viewer, &event).await?,
            MembershipState::Invite => self.invites(snapshot, &viewer, &event).await?,
            _ => false,
        };
        if !open {
            return Ok(None);
        }
        let rules = self.shared.unread.rules.of(&self.shared.push_rules, snapshot, user).await?;
        let actions = self.actions_for(snapshot, room, user, &event, &rules).await?;
        Ok(Verdict::of(&actions).notify.then_some(News { event, actions }))
    }

    /// The places after `since` and up to `until` of the events of a room that may be news for `user`, oldest first.
    pub async fn places_of_news(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        user: &UserId,
        (since, until): (Position, Position),
    ) -> Result<Vec<Position>> {
        let viewer = self.viewer(snapshot, &room.id, user).await?;
        let Some(joined) = viewer.joined_at() else {
            let row = self.membership(snapshot, &room.id, user).await?;
            let invited = row.filter(|row| row.value.membership == MembershipState::Invite);
            let places = invited.map(|row| row.at).filter(|at| since < *at && *at <= until);
            return Ok(places.into_iter().collect());
        };
        let read = self.read_up_to(snapshot, &room.id, user, joined).await?.everywhere();
        let (mut from, last) = (read.max(Order::Live(since)), Order::Live(until));
        let mut places = Vec::new();
        loop {
            let rest = KeyRange::prefix_after((&room.id,), from).and(KeyRange::prefix_until((&room.id,), last));
            let events = self.events_in(snapshot, room, rest, CHUNK).await?;
            let exhausted = events.len() < CHUNK;
            for event in events {
                from = event.order;
                if let Order::Live(position) = event.order
                    && may_matter(&event, user)
                {
                    places.push(position);
                }
            }
            if exhausted {
                return Ok(places);
            }
        }
    }

    /// How many unread events of a room `user` is notified of.
    pub async fn unread_notifications(&self, snapshot: &Snapshot, room_id: &RoomId, user: &UserId) -> Result<u64> {
        let room = self.room(room_id).await?;
        let viewer = self.viewer(snapshot, room_id, user).await?;
        Ok(self.unread(snapshot, &room, &viewer).await?.total().notifications)
    }

    /// What the rules of `user` do with an event, asked in the room as it was before.
    async fn actions_for(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        user: &UserId,
        event: &TimelineEvent,
        rules: &Rules,
    ) -> Result<Vec<Action>> {
        let followed = Followed::load(snapshot, room, user, rules).await?;
        let standing = self.standing(snapshot, room, user, followed, &event.event).await?;
        let before = self.state_at(room, PageToken::before(event.order).place()).await?;
        Ok(Surroundings::new(room, user, before).actions_for(&event.event, &rules.ruleset, standing)?.to_vec())
    }

    /// Whether an event, if it notifies at all, is among those that a member has not read.
    async fn is_unread(
        &self,
        snapshot: &Snapshot,
        room: &Room,
        viewer: &Viewer,
        event: &TimelineEvent,
    ) -> Result<bool> {
        let Some(fold) = self.unread_fold(snapshot, room, viewer).await? else { return Ok(false) };
        if viewer.ignored().contains(&event.event.sender) || !viewer.may_see(event.order, &event.event) {
            return Ok(false);
        }
        let thread = self.thread_of(snapshot, room, &event.event).await?;
        Ok(fold.has_unread(&thread, event.order))
    }

    /// Whether an event is the invitation that the reader has now, and the reader wants to hear of it.
    pub(super) async fn invites(&self, snapshot: &Snapshot, viewer: &Viewer, event: &TimelineEvent) -> Result<bool> {
        let TimelineEvent { event, .. } = event;
        let (user, room_id) = (viewer.user(), &event.room_id);
        let current = self.membership(snapshot, room_id, user).await?;
        let holds = current
            .is_some_and(|row| row.value.membership == MembershipState::Invite && row.value.event_id == event.id);
        Ok(holds && self.hears_invitation(snapshot, user, &event.sender).await?)
    }
}

/// Whether an event can be news at all: somebody else's, and not taken back.
fn may_matter(event: &TimelineEvent, user: &UserId) -> bool {
    event.event.sender != user && event.header.redacted_by.is_none()
}
