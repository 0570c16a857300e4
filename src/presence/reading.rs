//! Presence as others see it: people who share a joined room, and nobody else.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use ruma::{
    OwnedUserId, UInt, UserId,
    events::presence::{PresenceEvent, PresenceEventContent},
};

use super::{Availability, Entry, Patience, Presence};
use crate::{
    error::{Error, Result},
    rooms::RoomState,
    storage::Snapshot,
};

impl Presence {
    /// The presence of `user` as `reader` may see it.
    ///
    /// # Errors
    ///
    /// [`Kind::Forbidden`](crate::error::Kind::Forbidden) if they share no room.
    pub async fn of(&self, reader: &UserId, user: &UserId) -> Result<PresenceEventContent> {
        let allowed = *reader == *user || {
            let rooms = self.states_of_rooms(&self.shared.store.snapshot(), reader).await?;
            rooms.iter().any(|room| room.is_joined(user))
        };
        if !allowed {
            return Err(Error::forbidden("You share no room with that user."));
        }
        Ok(self.content(self.people().by_id.get(user)))
    }

    /// Who among those who share a room with `reader` changed after the ephemeral count `since`, and those of the `met`, whom
    /// the reader shares a room with only now. Everybody who is not simply offline for a reader who knows nobody yet.
    pub async fn changes(
        &self,
        snapshot: &Snapshot,
        reader: &UserId,
        since: Option<u64>,
        met: &HashSet<OwnedUserId>,
    ) -> Result<Vec<PresenceEvent>> {
        let candidates = self.candidates(since, met);
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let rooms = self.states_of_rooms(snapshot, reader).await?;
        let visible = |user: &OwnedUserId| *user == *reader || rooms.iter().any(|room| room.is_joined(user));
        let seen = candidates.into_iter().filter(visible).collect::<Vec<_>>();
        let people = self.people();
        let event = |sender: OwnedUserId| PresenceEvent { content: self.content(people.by_id.get(&sender)), sender };
        Ok(seen.into_iter().map(event).collect())
    }

    /// The first people, `limit` at most, whose presence changed after the ephemeral count `since`, for whoever decides
    /// elsewhere who may know; and the count up to which that goes, if there may be more.
    pub fn all_changes(&self, since: u64, limit: usize) -> (Vec<PresenceEvent>, Option<u64>) {
        let people = self.people();
        let changed: Vec<_> = people.by_change.range(since + 1..).take(limit).collect();
        let more = changed.last().filter(|_| changed.len() == limit).map(|(count, _)| **count);
        let event = |sender: &OwnedUserId| PresenceEvent {
            content: self.content(people.by_id.get(sender)),
            sender: sender.clone(),
        };
        (changed.into_iter().map(|(_, sender)| event(sender)).collect(), more)
    }

    /// The people of whom there may be news for somebody.
    fn candidates(&self, since: Option<u64>, met: &HashSet<OwnedUserId>) -> BTreeSet<OwnedUserId> {
        let people = self.people();
        let changed = people.by_change.range(since.map_or(0, |since| since + 1)..);
        let worth_telling =
            |user: &&OwnedUserId| since.is_some() || people.by_id.get(*user).is_some_and(Entry::says_something);
        let known = met.iter().filter(|user| people.by_id.contains_key(*user));
        changed.map(|(_, user)| user).filter(worth_telling).chain(known).cloned().collect()
    }

    fn content(&self, entry: Option<&Entry>) -> PresenceEventContent {
        let (Some(entry), Some(patience)) = (entry, self.shared.patience) else {
            return PresenceEventContent::new(ruma::presence::PresenceState::Offline);
        };
        let now = self.shared.clock.millis();
        present(entry, now, patience)
    }

    /// The states of the rooms that a user is joined to.
    async fn states_of_rooms(&self, snapshot: &Snapshot, user: &UserId) -> Result<Vec<Arc<RoomState>>> {
        let mut states = Vec::new();
        for room_id in self.shared.rooms.joined(snapshot, user).await? {
            states.push(self.shared.rooms.room(&room_id).await?.current());
        }
        Ok(states)
    }
}

impl Entry {
    /// Whether the person is more than simply offline.
    fn says_something(&self) -> bool {
        self.shown != Availability::Offline || self.person.status_message.is_some()
    }
}

fn present(entry: &Entry, now: u64, patience: Patience) -> PresenceEventContent {
    let mut content = PresenceEventContent::new(entry.person.availability(now, patience).into());
    content.status_msg.clone_from(&entry.person.status_message);
    if entry.person.last_active > 0 {
        content.last_active_ago = Some(UInt::new_saturating(now.saturating_sub(entry.person.last_active)));
        content.currently_active = Some(entry.person.is_currently_active(now, patience));
    }
    content
}
